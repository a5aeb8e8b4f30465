"""Who a unit is: what the product says of it, under which ids it comes, and whether it counts."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Unit(models.Model):
    """What a product says of one of its units: attributes that rules and reports can use."""

    # Here and below: the unique key finds a project's rows, and an index more invites wrong plans.
    project = models.ForeignKey(
        "accounts.Project", on_delete=models.CASCADE, related_name="units", db_index=False
    )
    unit_id = models.CharField(max_length=200)
    attributes: models.JSONField[dict[str, Any]] = models.JSONField(default=dict, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "unit_id"], name="unit_id_is_unique"),
        ]

    def __str__(self) -> str:
        return self.unit_id


class SegmentsAtStart(models.Model):
    """What a unit's attributes were when an experiment started, of which a prediction makes use.

    Written once, before the first exposure, and never changed (decision 0060). Without a foreign-key
    check, as observations: a start writes one row per unit that is known.
    """

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.CASCADE, db_index=False, db_constraint=False
    )
    unit_id = models.CharField(max_length=200)
    segments = ArrayField(models.CharField(max_length=100), help_text="attribute=value, by attribute.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "unit_id"], name="a_unit_has_one_set_of_segments_at_the_start"
            )
        ]

    def __str__(self) -> str:
        return f"{self.unit_id}: {', '.join(self.segments)}"


class Link(models.Model):
    """An anonymous id and a user's id that came together, and which of them is the unit.

    Written once and never changed, so that whoever read it may keep it (docs/identity.md).
    """

    project = models.ForeignKey(
        "accounts.Project", on_delete=models.CASCADE, related_name="links", db_index=False
    )
    anonymous_id = models.CharField(max_length=200)
    user_id = models.CharField(max_length=200)
    alias = models.CharField(  # noqa: DJ001  null keeps it out of the unique index
        max_length=200, null=True, help_text="The id that stands for another; null: each had its own."
    )
    unit_id = models.CharField(max_length=200, help_text="The unit of the anonymous id.")
    other_unit_id = models.CharField(
        max_length=200, blank=True, help_text="The unit of the user's id, where it is another."
    )
    linked_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "anonymous_id", "user_id"], name="a_pair_is_linked_once"
            ),
            models.UniqueConstraint(fields=["project", "alias"], name="an_alias_stands_for_one_unit"),
        ]
        indexes = [
            models.Index(
                fields=["project", "unit_id"],
                condition=Q(alias__isnull=True),
                name="people_with_two_units",
            ),
            models.Index(fields=["project", "user_id"], name="links_by_user"),
        ]

    def __str__(self) -> str:
        return f"{self.anonymous_id} is {self.user_id}"


class ExcludedUnit(models.Model):
    """A unit that is left out of analysis, in every variant alike.

    Has a column `xid`, as the records have, by which the roll-up finds what is new.
    """

    class Reason(models.TextChoices):
        BOT = "bot", "its user agent is a crawler's"
        RATE = "rate", "it sends more events than a person can"
        INTERNAL = "internal", "it is on the project's list"

    project = models.ForeignKey(
        "accounts.Project", on_delete=models.CASCADE, related_name="excluded_units", db_index=False
    )
    unit_id = models.CharField(max_length=200)
    reason = models.CharField(max_length=8, choices=Reason.choices)
    excluded_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "unit_id"], name="a_unit_is_excluded_once")
        ]

    def __str__(self) -> str:
        return f"{self.unit_id} ({self.reason})"
