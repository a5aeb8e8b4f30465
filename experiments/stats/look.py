"""One look: from the totals of an experiment to an action, by the rule fixed at its start.

Guarantees: pure and repeatable; the same inputs give the same result, to the last bit, so a stored
look can be recomputed. An unhealthy experiment never gets a verdict.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from experiments.stats.confidence_sequence import half_width_in_se, half_width_in_se_one_sided
from experiments.stats.effects import Effect, Kind, compare, critical_value, stratify
from experiments.stats.group_sequential import SequentialState, conditional_power, take_step
from experiments.stats.srm import SampleRatio, check_sample_ratio
from experiments.stats.totals import StatisticsError, Totals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.stats.policy import Policy

Action = Literal["ship", "roll_back", "keep_running", "stop_inconclusive", "halt"]
Role = Literal["primary", "secondary", "guardrail"]
FUTILITY_FROM = 0.3
FUTILITY_POWER = 0.1
PLANNED_POWER = 0.8
LATER_THAN_ANY_BOUND = 8.0


@dataclass(frozen=True, slots=True)
class MetricInput:
    """One metric's totals: per epoch, per variant.

    Attributes:
        key: the metric's name.
        kind: proportion, mean or ratio.
        role: primary, secondary or guardrail.
        increase_is_good: direction.
        margin: guardrail: the relative loss that is still accepted.
        epochs: totals by variant, one mapping an epoch.
    """

    key: str
    kind: Kind
    role: Role
    increase_is_good: bool
    margin: float
    epochs: Sequence[Mapping[str, Totals]]


@dataclass(frozen=True, slots=True)
class LookInput:
    """All that a look reads.

    Attributes:
        policy: the rule.
        control: name of the control.
        treatments: names of the treatments.
        metrics: with exactly one primary among them.
        exposures: per epoch, units per variant and weight per variant.
        doubled: units seen in two variants.
        elapsed_seconds: since the start.
        smallest_srm_p: of the looks before.
        states: where the sequential test stands, by treatment.
        crossed: treatments whose upper bound was crossed at an earlier look.
    """

    policy: Policy
    control: str
    treatments: Sequence[str]
    metrics: Sequence[MetricInput]
    exposures: Sequence[tuple[Mapping[str, int], Mapping[str, float]]]
    doubled: int
    elapsed_seconds: float
    smallest_srm_p: float = 1.0
    states: Mapping[str, SequentialState] = field(default_factory=dict)
    crossed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """One treatment against the control on one metric.

    Attributes:
        metric: its name.
        variant: the treatment.
        effect: the difference, or None while it cannot be said.
        why_not: why there is no effect.
        critical: half-width of the interval in standard errors.
        interval: sequential interval of the difference.
        lift_interval: of the relative difference.
        shrunk: estimate drawn towards zero, as an early stop overstates it.
    """

    metric: str
    variant: str
    effect: Effect | None
    why_not: str = ""
    critical: float = LATER_THAN_ANY_BOUND
    interval: tuple[float, float] | None = None
    lift_interval: tuple[float, float] | None = None
    shrunk: float | None = None


@dataclass(frozen=True, slots=True)
class LookResult:
    """What a look says."""

    action: Action
    variant: str | None
    reason: str
    information: float
    sample_ratio: SampleRatio
    comparisons: Sequence[Comparison]
    states: Mapping[str, SequentialState]
    crossed: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What one treatment's own evidence says, before the experiment decides."""

    action: Action
    reason: str
    crossed: bool = False


def take_look(given: LookInput) -> LookResult:
    """Apply the rule to the totals.

    Raises:
        StatisticsError: there is no primary metric, or not exactly one.
    """
    primary = _primary(given)
    policy = given.policy
    ratio = check_sample_ratio(
        given.exposures, alpha=policy.srm_alpha, smallest_before=given.smallest_srm_p
    )
    units = sum(totals.n for epoch in primary.epochs for totals in epoch.values())
    information = units / policy.planned_units
    alpha = policy.sequential_alpha / len(given.treatments)
    verdicts: dict[str, _Verdict] = {}
    states: dict[str, SequentialState] = {}
    comparisons: list[Comparison] = []
    sick = _why_unhealthy(given, ratio)
    for treatment in given.treatments:
        before = given.states.get(treatment, SequentialState())
        effect, why_not = _effect(primary, given.control, treatment)
        ready = effect is not None and not sick and not _why_too_few(given, primary, treatment)
        state = _advance(before, information, alpha) if ready else before
        states[treatment] = state
        critical = _critical(policy, units, state, len(given.treatments))
        comparisons += [
            _describe(given, metric, treatment, critical, information) for metric in given.metrics
        ]
        if effect is None:
            verdicts[treatment] = _Verdict("keep_running", why_not)
        elif too_few := _why_too_few(given, primary, treatment):
            verdicts[treatment] = _Verdict("keep_running", too_few)
        else:
            looked = state is not before
            verdicts[treatment] = _judge(given, primary, treatment, effect, state, units, looked=looked)
    crossed = [t for t in given.treatments if verdicts[t].crossed]
    action, variant, reason = ("halt", None, sick) if sick else _combine(given, verdicts)
    return LookResult(
        action=action,
        variant=variant,
        reason=reason,
        information=information,
        sample_ratio=ratio,
        comparisons=comparisons,
        states=states,
        crossed=crossed,
    )


def _primary(given: LookInput) -> MetricInput:
    primary = [metric for metric in given.metrics if metric.role == "primary"]
    if len(primary) != 1:
        raise StatisticsError(f"primary metrics == {len(primary)}, must be 1.")
    return primary[0]


def _effect(metric: MetricInput, control: str, treatment: str) -> tuple[Effect | None, str]:
    """Stratified effect over the epochs in which both variants can be compared."""
    effects, why = [], "no unit has completed its window yet"
    for epoch in metric.epochs:
        try:
            effects.append(
                compare(metric.kind, epoch.get(control, Totals()), epoch.get(treatment, Totals()))
            )
        except StatisticsError as error:
            why = str(error)
    return (stratify(effects), "") if effects else (None, why)


def _why_unhealthy(given: LookInput, ratio: SampleRatio) -> str:
    if ratio.leaks:
        return f"units leaked into variants of weight zero: {ratio.leaks}"
    if not ratio.healthy:
        return (
            f"sample ratio mismatch: p = {ratio.p_value:.2g} < {given.policy.srm_alpha:g}, observed "
            f"{_shares(ratio.observed)}, expected {_shares(ratio.expected)}"
        )
    units = sum(sum(counts.values()) for counts, _ in given.exposures)
    if units and given.doubled / units > given.policy.most_doubled:
        return (
            f"share of units seen in two variants == {given.doubled / units:.3f}, must be at most "
            f"{given.policy.most_doubled:g}"
        )
    return ""


def _shares(shares: Mapping[str, float]) -> str:
    return " / ".join(f"{key} {share:.1%}" for key, share in shares.items())


def _why_too_few(given: LookInput, metric: MetricInput, treatment: str) -> str:
    """Small counts make every normal approximation wrong: say nothing before the gate."""
    proportion = metric.kind == "proportion"
    least = given.policy.minimum_conversions if proportion else given.policy.minimum_nonzero
    word = "conversions" if proportion else "units with a value"
    for variant in (given.control, treatment):
        have = sum(epoch.get(variant, Totals()).nonzero for epoch in metric.epochs)
        if have < least:
            return f"{word} in '{variant}' == {have}, must be at least {least} before a verdict"
    return ""


def _advance(state: SequentialState, information: float, alpha: float) -> SequentialState:
    """Spend what is due, up to and including the first look at full information."""
    if state.t >= 1 or information < state.t:
        return state
    return take_step(state, information, alpha=alpha)


def _critical(policy: Policy, units: int, state: SequentialState, treatments: int) -> float:
    """Half-width of the interval that holds now, in standard errors."""
    if 0 < state.t < 1 or not units:
        return min(state.bound, LATER_THAN_ANY_BOUND)
    if not policy.reserve:
        return min(state.bound, LATER_THAN_ANY_BOUND)
    reserve = half_width_in_se(units, alpha=policy.reserve / treatments, planned_n=policy.planned_units)
    return min(state.bound, reserve, LATER_THAN_ANY_BOUND)


def _describe(
    given: LookInput, metric: MetricInput, treatment: str, critical: float, information: float
) -> Comparison:
    effect, why_not = _effect(metric, given.control, treatment)
    if effect is None:
        return Comparison(metric.key, treatment, None, why_not)
    # A normal prior around zero whose spread is the effect that the plan can detect.
    detectable = _planned_drift(given.policy) * effect.se * min(information, 1.0) ** 0.5
    weight = detectable**2 / (detectable**2 + effect.se**2)
    return Comparison(
        metric=metric.key,
        variant=treatment,
        effect=effect,
        critical=critical,
        interval=effect.interval(critical),
        lift_interval=effect.lift_interval(critical),
        shrunk=effect.estimate * weight,
    )


def _planned_drift(policy: Policy) -> float:
    """Expected z at full information under the effect that the plan detects with 80 % power."""
    return critical_value(policy.alpha) + critical_value(2 * (1 - PLANNED_POWER))


def _judge(
    given: LookInput,
    metric: MetricInput,
    treatment: str,
    effect: Effect,
    state: SequentialState,
    units: int,
    *,
    looked: bool,
) -> _Verdict:
    """Judge one treatment whose counts suffice."""
    policy = given.policy
    z = effect.statistic if metric.increase_is_good else -effect.statistic
    harmed = _harmed_guardrail(given, treatment, units)
    if harmed:
        return _Verdict("roll_back", f"guardrail '{harmed}' is harmed")
    past_end = state.t >= 1 and not looked
    critical = _critical(policy, units, state, len(given.treatments))
    tested = looked or (past_end and policy.reserve > 0)
    if tested and z <= -critical:
        return _Verdict("roll_back", f"worse: z = {z:.2f} crossed −{critical:.2f}")
    if treatment in given.crossed or (tested and z >= critical):
        return _shippable(given, treatment, effect, z, critical)
    if units >= policy.overrun * policy.planned_units:
        return _Verdict("stop_inconclusive", f"{units} units passed without a verdict: z = {z:.2f}")
    if policy.futility and looked and FUTILITY_FROM <= state.t < 1:
        power = [
            conditional_power(sign * z, state.t, drift=_planned_drift(policy), final_bound=2.0)
            for sign in (1, -1)
        ]
        if max(power) < FUTILITY_POWER:
            return _Verdict(
                "stop_inconclusive",
                f"futile: chance of a verdict at the planned units is {max(power):.1%}",
            )
    return _Verdict("keep_running", f"z = {z:.2f} within ±{critical:.2f}")


def _shippable(given: LookInput, treatment: str, effect: Effect, z: float, critical: float) -> _Verdict:
    """The upper bound was crossed, now or before: is anything else in the way?"""
    policy = given.policy
    if given.elapsed_seconds < policy.minimum_run_seconds:
        return _Verdict(
            "keep_running",
            f"better (z = {z:.2f}), waiting for the minimum run: {given.elapsed_seconds:.0f} s of "
            f"{policy.minimum_run_seconds:.0f} s",
            crossed=True,
        )
    if inferior := _inferior_guardrail(given, treatment, critical):
        return _Verdict(
            "keep_running", f"better, but guardrail '{inferior}' is not yet safe", crossed=True
        )
    lift = effect.lift
    if lift is not None and policy.twyman_limit and abs(lift) > policy.twyman_limit:
        return _Verdict(
            "keep_running",
            f"better, but a lift of {lift:+.0%} beyond ±{policy.twyman_limit:.0%} is too good to be "
            "believed unseen: a person must ship it",
            crossed=True,
        )
    return _Verdict("ship", f"better: z = {z:.2f} crossed {critical:.2f}", crossed=True)


def _harmed_guardrail(given: LookInput, treatment: str, units: int) -> str:
    """Name a guardrail whose one-sided confidence sequence lies wholly on the bad side."""
    if not units:
        return ""
    policy = given.policy
    width = half_width_in_se_one_sided(units, alpha=policy.alpha, planned_n=policy.planned_units)
    for metric in given.metrics:
        effect, _ = _effect(metric, given.control, treatment)
        if metric.role != "guardrail" or effect is None:
            continue
        good = effect.estimate if metric.increase_is_good else -effect.estimate
        if good + width * effect.se < 0:
            return metric.key
    return ""


def _inferior_guardrail(given: LookInput, treatment: str, critical: float) -> str:
    """Name a guardrail that is not yet shown to be within its margin."""
    for metric in given.metrics:
        effect, _ = _effect(metric, given.control, treatment)
        if metric.role != "guardrail" or effect is None:
            continue
        good = effect.estimate if metric.increase_is_good else -effect.estimate
        if good - critical * effect.se < -metric.margin * abs(effect.control):
            return metric.key
    return ""


def _combine(given: LookInput, verdicts: Mapping[str, _Verdict]) -> tuple[Action, str | None, str]:
    """Turn the treatments' verdicts into one: the best that ships, else wait for the undecided."""
    for action in ("ship", "keep_running"):
        found = [t for t in given.treatments if verdicts[t].action == action]
        if found:
            best = max(found, key=lambda t: _z(given, t)) if action == "ship" else found[0]
            return action, best if action == "ship" else None, verdicts[best].reason
    last = given.treatments[0]
    return verdicts[last].action, last, verdicts[last].reason


def _z(given: LookInput, treatment: str) -> float:
    metric = _primary(given)
    effect, _ = _effect(metric, given.control, treatment)
    if effect is None:
        return float("-inf")
    return effect.statistic if metric.increase_is_good else -effect.statistic
