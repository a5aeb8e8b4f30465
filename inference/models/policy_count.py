"""What the decisions of a policy add up to, as they have been counted."""

from __future__ import annotations

from typing import Any

from django.db import models


class PolicyCount(models.Model):
    """Running totals of a surface's decisions, which a worker goes on from (decision 0082)."""

    surface = models.OneToOneField(
        "inference.Surface", on_delete=models.CASCADE, related_name="policy_count"
    )
    since = models.DateTimeField(null=True, help_text="From which on decisions count; empty: all.")
    settings: models.JSONField[dict[str, float]] = models.JSONField(
        default=dict, help_text="That say what a decision earned, as they were counted by."
    )
    points: models.JSONField[list[dict[str, Any]]] = models.JSONField(
        default=list, help_text="Totals after some of the decisions, in their order."
    )
    watermark = models.BigIntegerField(
        default=0, help_text="Transactions below this one have been counted."
    )
    recount_from = models.UUIDField(
        null=True, help_text="A decision that was erased: what follows it is counted anew."
    )
    stored_from = models.UUIDField(
        null=True, help_text="Decisions below it went by retention or to the archive, and stay counted."
    )
    counted_until = models.DateTimeField(
        null=True, help_text="Decisions before it have been counted; empty: none."
    )
    running: models.JSONField[list[dict[str, Any]] | None] = models.JSONField(
        null=True, help_text="Points of a count that has not come to its end; empty: none runs."
    )
    running_upper = models.BigIntegerField(
        null=True, help_text="That count reads transactions below this one."
    )
    running_expected = models.BigIntegerField(
        null=True, help_text="About how many decisions it will have counted."
    )

    def __str__(self) -> str:
        return f"policy of {self.surface}"
