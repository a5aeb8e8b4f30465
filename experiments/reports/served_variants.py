"""How variants were served, as reports show it: lately while it runs, altogether once it has ended."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.models import Experiment, Look
    from experiments.models.served_variant import ServedVariant


def read_served(experiment: Experiment, looks: Sequence[Look]) -> list[ServedVariant]:
    """Return how variants were served.

    Args:
        experiment: of the report.
        looks: its, oldest first.
    """
    if experiment.state == experiment.State.ENDED:
        return add_served([row for look in looks for row in look.served_variants])
    return _last_served(looks)


def add_served(rows: Sequence[ServedVariant]) -> list[ServedVariant]:
    """Return one row per variant of the answers of several spans of time.

    Answers are added up, and shares are of all of them. The 95th percentile is the largest of a span,
    and distinct items are those of the span with most: neither can be added.

    Args:
        rows: of one span after the other.
    """
    totals: dict[str, ServedVariant] = {}
    for row in rows:
        if not row.slates:  # but answers that began in the span before
            continue
        before = totals.get(row.variant)
        totals[row.variant] = row if before is None else _add(before, row)
    return list(totals.values())


def _add(one: ServedVariant, other: ServedVariant) -> ServedVariant:
    slates = one.slates + other.slates

    def share(first: float, second: float) -> float:
        return (first * one.slates + second * other.slates) / slates

    return replace(
        other,
        slates=slates,
        latency_p95_ms=max(one.latency_p95_ms, other.latency_p95_ms),
        fallback=share(one.fallback, other.fallback),
        errors=share(one.errors, other.errors),
        cold=share(one.cold, other.cold),
        items=max(one.items, other.items),
    )


def _last_served(looks: Sequence[Look]) -> list[ServedVariant]:
    """Return how variants were served before the last look that saw somebody served."""
    for look in reversed(looks):
        # A variant without slates has but answers that began before the look before.
        if served := [row for row in look.served_variants if row.slates]:
            return served
    return []
