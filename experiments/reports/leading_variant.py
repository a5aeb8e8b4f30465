"""Which treatment a verdict is about, where an experiment has several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.models import Decision
from experiments.reports.read_together import primary_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from experiments.models import Experiment
    from experiments.stats.comparison import Comparison
    from experiments.stats.look_result import LookResult


def leading_comparison(
    experiment: Experiment, result: LookResult, decision: Decision | None = None
) -> Comparison | None:
    """Return the primary's comparison that a verdict is about; None before there is any.

    It is that of the treatment that was decided on or that the look names. While all are undecided it
    is the one with the largest gain among those that take traffic, as the decision ranks them.

    Args:
        experiment: with its metrics.
        result: of the last look.
        decision: that ended the experiment, or None while it runs.
    """
    primary = primary_of(experiment).metric
    rows = result.of_metric(primary.key)
    named = decided_variant(experiment, decision) or result.variant
    about = next((row for row in rows if row.variant == named), None)
    if about is not None or len(rows) < 2:
        return about or next(iter(rows), None)
    left = {*result.leaving, *reasons_left(experiment.decisions.all())}
    sign = 1 if primary.direction == "increase" else -1

    def gain(row: Comparison) -> float:
        return float("-inf") if row.effect is None else sign * row.effect.statistic

    return max([row for row in rows if row.variant not in left] or rows, key=gain)


def decided_variant(experiment: Experiment, decision: Decision | None) -> str:
    """Return the key of the variant that ended the experiment; empty without one."""
    if decision is None:
        return ""
    if decision.action == Decision.Action.SHIP:
        return experiment.shipped_variant
    return str(decision.evidence.get("breaker", {}).get("variant", ""))


def reasons_left(decisions: Iterable[Decision]) -> dict[str, str]:
    """Return the treatments that left while others ran on, and why, from an experiment's decisions."""
    return {
        decision.evidence["variant"]: decision.reason.partition(": ")[2]
        for decision in decisions
        if decision.action == Decision.Action.ROLL_BACK and "variant" in decision.evidence
    }
