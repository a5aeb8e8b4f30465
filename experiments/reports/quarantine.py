"""Exposures that public keys claimed and the rule does not give: how many there are, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count

from experiments.models import QuarantinedExposure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from experiments.models import Experiment


def count_quarantined(experiment: Experiment) -> dict[str, int]:
    """Return how many claims of an experiment were set aside, by reason, the most frequent first."""
    rows = QuarantinedExposure.objects.filter(experiment=experiment).values_list("reason")
    return dict(rows.annotate(claims=Count("id")).order_by("-claims", "reason"))


def describe_quarantined(counts: Mapping[str, int]) -> str:
    """Return a sentence without its full stop, or nothing where there are none."""
    if not counts:
        return ""
    labels = dict(QuarantinedExposure.Reason.choices)
    why = "; ".join(f"{labels[reason]}: {claims:,}" for reason, claims in counts.items())
    return f"{sum(counts.values()):,} exposures that public keys claimed are set aside ({why})"
