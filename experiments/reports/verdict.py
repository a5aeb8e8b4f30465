"""The verdict in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from experiments.models import Decision, Experiment

WORDS = {
    "ship": "Ship",
    "roll_back": "Roll back",
    "keep_running": "Keep running",
    "stop_inconclusive": "No verdict",
    "halt": "Halt",
    "promote": "Promote",
}


INTERVALS = {
    "fixed": "fixed-horizon",
    "group_sequential": "group-sequential",
    "always_valid": "always-valid",
    "exact": "exact sequential",
}


@dataclass(frozen=True, slots=True)
class VerdictSummary:
    """What is known of an experiment now.

    Attributes:
        action: of the decision, or of the last look, or `keep_running`.
        sentence: the verdict with effect and interval, or what is missing.
        effect: relative difference, or None.
        interval: its interval under the policy's rule, or None.
        units: complete units that it rests on.
    """

    action: str
    sentence: str
    effect: float | None
    interval: tuple[float, float] | None
    units: int


def summarise_verdict(experiment: Experiment) -> VerdictSummary:
    """Return the verdict of an experiment from its decision and its last look."""
    decision = experiment.decisions.first()
    if experiment.state == Experiment.State.RUNNING:
        decision = None  # about a treatment that left; what is known now is what the last look says
    look = experiment.looks.last()
    if look is None and decision is not None:  # ended by a person, or halted, before the first look
        sentence = f"{WORDS[decision.action]}: {decision.reason}."
        return VerdictSummary(decision.action, sentence, None, None, 0)
    if look is None:
        sentence = (
            "Not started." if experiment.state == Experiment.State.DRAFT else "No look was taken yet."
        )
        return VerdictSummary("keep_running", sentence, None, None, 0)
    action = decision.action if decision is not None else look.action
    comparison = _primary_comparison(experiment, look.result)
    units = round(look.information * experiment.parsed_policy.planned_units)
    effect = comparison.get("lift") if comparison else None
    interval = comparison.get("lift_interval") if comparison else None
    return VerdictSummary(
        action=action,
        sentence=_sentence(experiment, action, comparison, decision, look.reason),
        effect=effect,
        interval=(interval[0], interval[1]) if interval else None,
        units=units,
    )


def _primary_comparison(experiment: Experiment, result: dict[str, Any]) -> dict[str, Any] | None:
    primary = experiment.primary.metric.key
    wanted = result.get("variant")
    rows = [row for row in result["comparisons"] if row["metric"] == primary]
    chosen = [row for row in rows if row["variant"] == wanted] or rows
    return chosen[0] if chosen else None


def _sentence(
    experiment: Experiment,
    action: str,
    comparison: dict[str, Any] | None,
    decision: Decision | None,
    reason: str,
) -> str:
    word = WORDS[action]
    if comparison is None or comparison["effect"] is None:
        return f"{word}: {decision.reason if decision else reason}."
    variant = experiment.variants.select_related("model_version").get(key=comparison["variant"])
    what = (
        f"{experiment.primary.metric} per unit"
        if _is_mean(experiment)
        else str(experiment.primary.metric)
    )
    named = variant.model_version or variant.key  # a variant of a flag has a value, and no version
    said = f"{word} {named}" if action in {"ship", "roll_back"} else word
    numbers = f"{what} {describe_lift(comparison, interval_name(experiment, primary=True))}"
    tail = f" ({decision.reason if decision else reason})"
    return f"{said}: {numbers}{tail}."


def _is_mean(experiment: Experiment) -> bool:
    return experiment.primary.metric.kind == "mean"


def interval_name(experiment: Experiment, *, primary: bool) -> str:
    """Return what the intervals of an experiment are called: their rule and their level.

    The primary's treatments share alpha (Bonferroni), so its intervals are the wider ones.
    """
    policy = experiment.parsed_policy
    treatments = max(sum(not variant.is_control for variant in experiment.variants.all()), 1)
    level = 1 - policy.alpha / (treatments if primary else 1)
    return f"{INTERVALS[policy.rule]} {100 * level:.4g} % interval"


def describe_lift(comparison: dict[str, Any], interval: str) -> str:
    """Return an effect with its interval, relative where the control allows it.

    Args:
        comparison: of a stored look.
        interval: what its interval is called.
    """
    low_high = comparison.get("lift_interval")
    if comparison.get("lift") is not None and low_high:
        low, high = (percent(value) for value in low_high)
        return f"{percent(comparison['lift'])}, {interval} {low} to {high}"
    estimate = comparison["effect"]["estimate"]
    if comparison["interval"] is None:
        return f"{estimate:+.4g}, no interval yet: {comparison['why_not']}"
    low, high = ("open" if end is None else f"{end:+.4g}" for end in comparison["interval"])
    return f"{estimate:+.4g}, {interval} {low} to {high}"


def percent(share: float) -> str:
    """Return a share as signed per cent, with a true minus."""
    digits = 0 if abs(share) >= 0.1 else 1
    return f"{share * 100:+.{digits}f} %".replace("-", "−")
