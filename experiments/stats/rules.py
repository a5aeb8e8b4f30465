"""The rules by which a treatment's evidence is judged, behind one function.

Each rule keeps its error rate under its own way of looking:

| rule | may be looked at | needs | guarantees |
|---|---|---|---|
| group_sequential | at will, up to the plan; then by its reserve | a planned number of units | ≤ α |
| always_valid | at will, for ever | counts large enough for the normal approximation | ≤ α |
| exact | at will, for ever | a proportion | ≤ α for any counts and drifting rates |
| fixed | once, at the planned units | a planned number of units | = α |
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from experiments.kinds import PROPORTIONS
from experiments.stats.confidence_sequence import half_width_in_se, sequential_p_value
from experiments.stats.effect import MIN_P
from experiments.stats.effects import critical_value
from experiments.stats.exact import (
    Batch,
    ExactState,
    add_batches,
    log_e_value,
    log_odds_interval,
)
from experiments.stats.group_sequential import SequentialState, take_step
from experiments.stats.power import FUTILITY_FROM, FUTILITY_POWER, design, futility_bound
from experiments.stats.special_functions import special
from experiments.stats.totals import StatisticsError, Totals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.stats.effect import Effect, Interval
    from experiments.stats.policy import Policy

PLANNED_POWER = 0.8


@dataclass(frozen=True, slots=True)
class RuleState:
    """What one look hands to the next, for one treatment.

    Attributes:
        sequential: group_sequential: what was spent, and the paths that have not crossed.
        exact: the likelihood ratios of the batches so far.
        looked: fixed: whether its one look was taken.
    """

    sequential: SequentialState = field(default_factory=SequentialState)
    exact: ExactState = field(default_factory=ExactState)
    looked: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return what differs from the state before the first look, as plain values."""
        new, data = RuleState(), dict[str, Any]()
        if self.sequential != new.sequential:
            data["sequential"] = self.sequential.as_json()
        if self.exact != new.exact:
            data["exact"] = self.exact.as_json()
        if self.looked:
            data["looked"] = True
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RuleState:
        """Read what `as_json` wrote; nothing is the state before the first look."""
        return cls(
            sequential=SequentialState.from_json(data.get("sequential", {})),
            exact=ExactState.from_json(data.get("exact", {})),
            looked=data.get("looked", False),
        )


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """What a rule says of one treatment now.

    `crossed`, an interval without 0, and p_value ≤ level are one and the same statement.

    Attributes:
        state: to be handed to the next look.
        crossed: +1 when the estimate is above zero beyond doubt, −1 below, 0 when nothing is said.
        critical: half-width of the interval that holds now, in standard errors.
        summary: the comparison that decides, in words.
        interval: of the difference under the rule; an end that is not known is None.
        p_value: of this look, to be held against `level`.
        level: what this look may spend; None when it does not test.
        waits: why nothing is tested at all, or nothing: then no interval holds either.
        futile: why going on is hopeless, or nothing.
        exhausted: why this rule cannot say anything any more, or nothing.
    """

    state: RuleState
    crossed: int
    critical: float
    summary: str
    interval: Interval
    p_value: float
    level: float | None
    waits: str = ""
    futile: str = ""
    exhausted: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an experiment stands when its rule is asked.

    Attributes:
        units: complete units of all variants.
        treatments: α is divided by it: as many as are compared with the control (Bonferroni), or fewer
            at a later step of Holm's.
        healthy: whether units arrive as they should; otherwise nothing is tested.
        gated: whether the counts are too few for a ship; only a loss can come of the look then.
        batches: totals of the batches that are new since the last look, by variant, for `exact`.
        word: what the units are called.
    """

    units: int
    treatments: int = 1
    healthy: bool = True
    gated: bool = False
    batches: Sequence[Mapping[str, Totals]] = ()
    word: str = "units"


@dataclass(frozen=True, slots=True)
class Bound:
    """What a statistic is held against at one look; it depends on the units alone, not on outcomes.

    Attributes:
        state: after this look.
        critical: |z| from which the bound is crossed, if this look tests.
        tested: whether it tests: nothing new to spend, and it does not.
        futile_below: |z| below which going on is hopeless; 0 for never.
        spent: why nothing is tested although intervals hold on, or nothing.
        waits: why nothing can be said at all yet, or nothing.
        exhausted: why the rule cannot say anything after this look, or nothing.
    """

    state: RuleState
    critical: float
    tested: bool
    futile_below: float = 0.0
    spent: str = ""
    waits: str = ""
    exhausted: str = ""


def bound_at(policy: Policy, before: RuleState, progress: Progress, df: float = math.inf) -> Bound:
    """Return the bound of a rule that holds a statistic against one; `exact` has none.

    Args:
        policy: the rule and its settings.
        before: what the look before handed on.
        progress: where the experiment stands.
        df: degrees of freedom of the statistic, which one fixed look can take into account.
    """
    if not progress.healthy:
        return Bound(before, math.inf, tested=False, waits="the experiment is not healthy")
    if policy.rule == "fixed":
        return _fixed(policy, before, progress, df)
    if policy.rule == "group_sequential":
        return _group_sequential(policy, before, progress)
    alpha = policy.alpha / progress.treatments
    width = half_width_in_se(progress.units, alpha=alpha, planned_n=policy.planned_units)
    return Bound(before, width, tested=True)


def _group_sequential(policy: Policy, before: RuleState, progress: Progress) -> Bound:
    """Spend alpha up to the plan; after it, the reserve's confidence sequence runs on."""
    alpha = policy.sequential_alpha / progress.treatments
    information, old = progress.units / policy.planned_units, before.sequential
    new = old
    if old.t < 1 and information >= old.t:
        new = take_step(old, information, alpha=alpha)
    state, stepped = replace(before, sequential=new), new is not old
    reserve = math.inf
    if new.t >= 1 and policy.reserve:
        reserve = half_width_in_se(
            progress.units, alpha=policy.reserve / progress.treatments, planned_n=policy.planned_units
        )
    if not stepped:  # nothing new to spend before the plan, or the reserve after it
        spent = "" if old.t >= 1 else "too little is new since the last look"
        if math.isinf(reserve):
            exhausted = "alpha is spent" if old.t >= 1 else ""
            return Bound(state, new.bound, tested=False, spent=spent, exhausted=exhausted)
        return Bound(state, reserve, tested=True)
    futile_below = 0.0
    if policy.futility and FUTILITY_FROM <= new.t < 1:
        plan = design("group_sequential", alpha=alpha, power=PLANNED_POWER, futility=True)
        futile_below = futility_bound(new.t, drift=plan.drift, final_bound=plan.final_bound)
    return Bound(
        state=state,
        critical=min(new.bound, reserve),
        tested=True,
        futile_below=futile_below,
        exhausted="" if new.t < 1 or policy.reserve else "alpha is spent",
    )


def _fixed(policy: Policy, before: RuleState, progress: Progress, df: float) -> Bound:
    """Look once, at the planned units; while counts are too few for a ship, only for a loss."""
    critical, taken = critical_value(policy.alpha / progress.treatments, df), "the one look was taken"
    if before.looked:
        return Bound(before, critical, tested=False, spent=taken, exhausted=taken)
    if progress.units < policy.planned_units:
        planned, word = policy.planned_units, progress.word
        waits = f"the one look is at {planned} {word}, {progress.units} are complete"
        return Bound(before, critical, tested=False, waits=waits)
    if progress.gated:
        return Bound(before, critical, tested=True)
    return Bound(replace(before, looked=True), critical, tested=True, exhausted=taken)


def evaluate_rule(
    policy: Policy, before: RuleState, effect: Effect, progress: Progress, *, pair: tuple[str, str]
) -> RuleOutcome:
    """Ask the policy's rule about one treatment.

    Args:
        policy: the rule and its settings.
        before: what the look before handed on.
        effect: of the primary metric, treatment − control, over the complete units.
        progress: where the experiment stands.
        pair: names of control and treatment in the batches.

    Raises:
        StatisticsError: `exact` is asked about something that is not a proportion.
    """
    if policy.rule == "exact":
        return _exact(policy, before, effect, progress, pair)
    fixed = policy.rule == "fixed"
    bound = bound_at(policy, before, progress, effect.df)
    # The bound of one look is Student's own; the others are made for a normal statistic.
    statistic = effect.statistic if fixed else effect.z
    beyond = bound.tested and abs(statistic) >= bound.critical
    futile = ""
    if bound.tested and not beyond and abs(statistic) < bound.futile_below:
        futile = (
            f"futile: neither direction has a {FUTILITY_POWER:.0%} chance of a verdict "
            "by the planned units"
        )
    critical = bound.critical if fixed else effect.of_statistic(bound.critical)
    interval = effect.interval(critical)
    p_value, level = _p_and_level(policy, effect, progress, bound.critical, beyond=beyond)
    words = f"z = {statistic:.2f} {'beyond' if beyond else 'within'} ±{bound.critical:.2f}"
    return RuleOutcome(
        state=bound.state,
        crossed=(1 if statistic > 0 else -1) if beyond else 0,
        critical=critical,
        summary=bound.waits or bound.spent or words,
        interval=interval if bound.tested else hold_open(interval),
        p_value=p_value,
        level=level if bound.tested and not math.isinf(bound.critical) else None,
        waits=bound.waits,
        futile=futile,
        exhausted=bound.exhausted,
    )


def _p_and_level(
    policy: Policy, effect: Effect, progress: Progress, critical: float, *, beyond: bool
) -> tuple[float, float]:
    """Return the p-value of this look and what it must not exceed for a verdict.

    Of bounds so far out that floats have no p-value for them, both are as small as floats go.
    """
    if policy.rule == "fixed":
        return effect.p_value, policy.alpha / progress.treatments
    if policy.rule == "group_sequential":
        p_value = max(float(2 * special.ndtr(-abs(effect.z))), MIN_P)
        level = max(float(2 * special.ndtr(-critical)), MIN_P)
        return (p_value if beyond or p_value > level else math.nextafter(level, 1.0)), level
    alpha = policy.alpha / progress.treatments
    p_value = sequential_p_value(effect.z, progress.units, alpha=alpha, planned_n=policy.planned_units)
    return max(p_value, MIN_P), alpha


def hold_open(interval: Interval) -> Interval:
    """Return an interval that reaches 0: what does not test must not look as if it had decided."""
    low, high = interval
    return None if low is None else min(low, 0.0), None if high is None else max(high, 0.0)


def _exact(
    policy: Policy, before: RuleState, effect: Effect, progress: Progress, pair: tuple[str, str]
) -> RuleOutcome:
    """Add the new batches to the e-process; each is read once, as it was when it closed."""
    alpha, spread = policy.alpha / progress.treatments, policy.log_odds_spread
    new = [batch for totals in progress.batches if (batch := _batch_of(totals, pair)) is not None]
    exact = add_batches(before.exact, new, spread=spread)
    log_e = log_e_value(exact, spread=spread)
    beyond = progress.healthy and log_e >= math.log(1 / alpha)
    low, high = log_odds_interval(exact, alpha=alpha, spread=spread)
    interval = _difference((low, high), effect)
    return RuleOutcome(
        state=replace(before, exact=exact),
        # Which side is read off the likelihood itself: the totals may lean the other way.
        crossed=(1 if low is not None and low > 0 else -1) if beyond else 0,
        critical=half_width_in_se(max(progress.units, 1), alpha=alpha, planned_n=policy.planned_units),
        # Cut at e^50: beyond it the number says nothing more, and in the end passes the floats.
        summary=f"e = {math.exp(min(log_e, 50.0)):.3g} "
        f"{'reached' if beyond else 'below'} {1 / alpha:g}",
        interval=interval,
        p_value=max(math.exp(-max(log_e, 0.0)), MIN_P),
        level=alpha,
        waits="" if progress.healthy else "the experiment is not healthy",
    )


def _batch_of(totals: Mapping[str, Totals], pair: tuple[str, str]) -> Batch | None:
    control, treatment = (totals.get(name, Totals()) for name in pair)
    if not control.n or not treatment.n:
        return None
    for side in (control, treatment):
        if side.sum_y != side.nonzero:
            raise StatisticsError("rule == 'exact', must be asked about a proportion: 0 or 1 per unit.")
    return Batch(treatment.n, treatment.nonzero, control.n, control.nonzero)


def _difference(log_odds: Interval, effect: Effect) -> Interval:
    """Turn an interval of the log odds ratio into one of the difference, at the control's rate."""
    control = effect.control
    if not 0 < control < 1:  # no odds: those of half a unit more of either kind
        control = (control * effect.control_n + 0.5) / (effect.control_n + 1)

    def at(theta: float | None) -> float | None:
        if theta is None:
            return None
        odds = math.exp(theta) * control / (1 - control)
        return odds / (1 + odds) - control if theta else 0.0

    return at(log_odds[0]), at(log_odds[1])


def require_kind(policy: Policy, kind: str) -> None:
    """Refuse a rule that cannot judge the primary metric's kind.

    Raises:
        StatisticsError: `exact` with anything but a proportion.
    """
    if policy.rule == "exact" and kind not in PROPORTIONS:
        raise StatisticsError(f"rule == 'exact', primary metric is a {kind}: must be a proportion.")
