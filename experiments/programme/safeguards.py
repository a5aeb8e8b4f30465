"""What guards the users of a surface: weakening it needs what a promotion needs.

Otherwise one person could lower the rule first and promote alone afterwards. Where two people approve,
they also approve a weaker rule, a steeper ramp, fewer or wider guardrails, a breaker that trips later
or never, and more users for what is tested (`experiments/actions/propose_exposure.py`).
Pausing, slower or stricter settings wait for nobody.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from experiments.models import Programme, programme_of
from experiments.models.programme import REQUIRED_APPROVALS
from experiments.programme.serving_metrics import serving_metrics_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.models import Experiment

# Above the rounding of a product of two shares: 0 to the eye is no more.
EQUAL_SHARES = 1e-9


def weakened_settings(before: Mapping[str, Any], after: Mapping[str, Any], *, kind: str) -> list[str]:
    """Return the settings that guard less than they did.

    Args:
        before: all settings, as `settings_of` returns them.
        after: all of them as they would be.
        kind: of the surface.
    """
    weaker = {
        "guardrails": _has_wider_guardrails(before, after, kind),
        "ramp": _is_steeper(before["ramp"], after["ramp"]),
        "approval": REQUIRED_APPROVALS[after["approval"]] < REQUIRED_APPROVALS[before["approval"]],
        # A smaller chance of a false trip is paid for by users who meet harm for longer; 0 is none.
        "breaker_alpha": after["breaker_alpha"] < before["breaker_alpha"],
    }
    return [name for name, is_weaker in weaker.items() if is_weaker]


def _has_wider_guardrails(before: Mapping[str, Any], after: Mapping[str, Any], kind: str) -> bool:
    margins = _margins(after, kind)
    return any(
        margins.get(metric) is None or margins[metric] > margin
        for metric, margin in _margins(before, kind).items()
        if metric != after["primary_metric"]  # its losses are watched anyway
    )


def _is_steeper(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a ramp shows a treatment to more users earlier, or leaves a step after stated users.

    Stated users take the place of as many as show the step's class of harm.
    """
    stated = {step["share"]: step.get("units") for step in before}
    elapsed = 0.0
    for step in after:
        if elapsed < _seconds_until(before, step["share"]):
            return True
        known, units = stated.get(step["share"]), step.get("units")
        if units is not None and (known is None or units < known):
            return True
        elapsed += step["minimum_seconds"]
    return False


def _seconds_until(ramp: Sequence[Mapping[str, Any]], share: float) -> float:
    """Return the shortest time until a treatment may have a share; infinite where it never does."""
    elapsed = 0.0
    for step in ramp:
        if step["share"] >= share - EQUAL_SHARES:
            return elapsed
        elapsed += step["minimum_seconds"]
    return math.inf


def _margins(settings: Mapping[str, Any], kind: str) -> dict[str, float]:
    default = {one.key: one.margin for one in serving_metrics_of(kind) if one.margin is not None}
    own = {one["metric"]: one["margin"] for one in settings["guardrails"]}
    return {**default, **own}


def exposes_more(experiment: Experiment, *, allocation: float, weights: Mapping[str, float]) -> bool:
    """Whether a larger share of all users would meet one of the treatments than now."""
    return any(
        allocation * weights[one.key] > experiment.allocation * one.weight + EQUAL_SHARES
        for one in experiment.variants.all()
        if not one.is_control
    )


def ships_by_itself(experiment: Experiment) -> bool:
    """Whether a verdict to ship is carried out without people.

    Where two people approve, also what a person's own experiment would ship waits for them, whatever
    its policy says.
    """
    if not experiment.parsed_policy.promote:
        return False
    return programme_of(experiment.surface).approval != Programme.Approval.TWO_PERSONS
