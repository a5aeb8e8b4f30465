"""What interleaved experiments count: scores of units, and clicks on swapped places."""

from __future__ import annotations

from typing import Any

from django.db import models


class Interleaving(models.Model):
    """What an interleaved experiment knows besides its units' scores."""

    experiment = models.OneToOneField(
        "experiments.Experiment", on_delete=models.CASCADE, related_name="interleaving"
    )
    swaps: models.JSONField[list[list[list[int]]]] = models.JSONField(
        default=list, help_text="Of rounds whose places a coin dealt out: [places, clicks on each]."
    )
    decay = models.FloatField(help_text="Of the examination curve that scores the next batch.")

    def __str__(self) -> str:
        return f"interleaving of {self.experiment}"


class InterleavedUnit(models.Model):
    """A complete unit's score for one version against the control, written when its window closes.

    Without foreign-key checks, as the records that it is computed from (decision 0007).
    """

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.CASCADE, db_index=False, db_constraint=False
    )
    variant = models.ForeignKey(
        "experiments.Variant", on_delete=models.CASCADE, db_index=False, db_constraint=False
    )
    unit_id = models.CharField(max_length=200)
    exposed_at = models.DateTimeField()
    score = models.FloatField(help_text="Counterfactual clicks of the version less the control's.")
    weighted = models.FloatField(
        null=True,
        help_text="The score, each slate's over the root of its number; empty: without weights.",
    )
    control = models.FloatField(help_text="Counterfactual clicks of the control.")
    team = models.IntegerField(help_text="Clicks on the version's picks less those on the control's.")
    slates = models.PositiveIntegerField(help_text="That it was served in its window.")
    # Written for processes of versions that read nothing else.
    failed = models.PositiveIntegerField(help_text="Of them those that a version had no part in.")
    version_failed = models.PositiveIntegerField(
        null=True,
        help_text="Of them those that this version failed; empty where that was not counted yet.",
    )
    control_failed = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Of them those that the control failed."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "unit_id", "variant"], name="a_unit_has_one_score_per_version"
            )
        ]

    def __str__(self) -> str:
        return f"{self.unit_id}: {self.score:g}"


def swaps_as_json(clicks: dict[tuple[int, ...], list[int]]) -> list[list[list[int]]]:
    """Return clicks by places as they are stored."""
    return [[list(places), counts] for places, counts in sorted(clicks.items())]


def swaps_from_json(data: Any) -> dict[tuple[int, ...], list[int]]:
    """Read what `swaps_as_json` wrote."""
    return {tuple(places): list(counts) for places, counts in data}
