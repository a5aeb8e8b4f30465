"""One look: from the totals of an experiment to an action, by the rule fixed at its start.

Guarantees: pure and repeatable; the same inputs give the same result, to the last bit, so a stored
look can be recomputed. An unhealthy experiment never gets a verdict.

The state machine: `keep_running` until the first of

    halt                unhealthy: sample ratio, leak, doubled units, unequally excluded units
    roll_back           the primary is worse beyond its bound, or a guardrail is harmed
    ship                the primary is better beyond its bound, its counts suffice, guardrails safe,
                        the minimum run over
    stop_inconclusive   hopeless, or the end without a verdict: the champion stays

Harm comes first: only a ship waits for counts. A loss, a guardrail and the end of the overrun are
judged whatever the counts are (`small_counts`). Of several treatments a harmful one leaves alone, while
the others run on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from experiments.stats.comparison import Comparison, Ground, adjust, describe
from experiments.stats.metric_input import MetricInput, effect_of, why_too_few
from experiments.stats.rules import Progress, RuleOutcome, RuleState, evaluate_rule, require_kind
from experiments.stats.segments import SegmentEffect, compare_segments
from experiments.stats.small_counts import guard
from experiments.stats.srm import SampleRatio, SegmentRatio, check_sample_ratio, explain_mismatch
from experiments.stats.totals import StatisticsError, Totals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.stats.effect import Effect
    from experiments.stats.effects import Summary
    from experiments.stats.policy import Policy

Action = Literal["ship", "roll_back", "keep_running", "stop_inconclusive", "halt"]


@dataclass(frozen=True, slots=True)
class LookInput:
    """All that a look reads.

    Attributes:
        policy: the rule.
        control: name of the control.
        treatments: names of the treatments.
        metrics: with exactly one primary among them.
        exposures: per epoch, units per variant and weight per variant.
        crossover_units: units seen in two variants.
        elapsed_seconds: since the start.
        min_srm_p: of the looks before.
        states: where the rule stands, by treatment.
        crossed: treatments whose upper bound was crossed at an earlier look.
        batches: rule `exact`: the primary's totals of each batch that is new since the look before.
        segments: the primary's totals by variant, one mapping an epoch, by `attribute=value`.
        segment_exposures: units per variant by `attribute=value`.
        excluded: as exposures, of the bots and internal units that are left out of all else.
        cross_id_conflicts: people who met two variants under two ids, which nothing could know before.
        left: treatments that take no traffic any more; they are shown and decide nothing.
        claimed: per epoch, those of the units whose exposure a public key claims.
    """

    policy: Policy
    control: str
    treatments: Sequence[str]
    metrics: Sequence[MetricInput]
    exposures: Sequence[tuple[Mapping[str, int], Mapping[str, float]]]
    crossover_units: int
    elapsed_seconds: float
    min_srm_p: float = 1.0
    states: Mapping[str, RuleState] = field(default_factory=dict)
    crossed: Sequence[str] = ()
    batches: Sequence[Mapping[str, Totals]] = ()
    segments: Mapping[str, Sequence[Mapping[str, Summary]]] = field(default_factory=dict)
    segment_exposures: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    excluded: Sequence[tuple[Mapping[str, int], Mapping[str, float]]] = ()
    cross_id_conflicts: int = 0
    left: Sequence[str] = ()
    claimed: Sequence[Mapping[str, int]] = ()


@dataclass(frozen=True, slots=True)
class LookResult:
    """What a look says.

    Attributes:
        action: what to do.
        variant: which treatment it is about, or None.
        reason: why, in words.
        information: complete units over planned units.
        sample_ratio: whether the split is as asked for.
        comparisons: every treatment on every metric.
        states: what the rule hands to the next look.
        crossed: treatments whose upper bound was crossed, now or before.
        segments: the primary's effects within segments, for exploration.
        mismatch: of an unhealthy sample ratio, the segments that explain it.
        leaving: treatments that do harm and leave while another one runs on, ships or ends, and why.
    """

    action: Action
    variant: str | None
    reason: str
    information: float
    sample_ratio: SampleRatio
    comparisons: Sequence[Comparison]
    states: Mapping[str, RuleState]
    crossed: Sequence[str]
    segments: Sequence[SegmentEffect] = ()
    mismatch: Sequence[SegmentRatio] = ()
    leaving: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _TreatmentVerdict:
    """What one treatment's own evidence says, before the experiment decides."""

    action: Action
    reason: str
    crossed: bool = False


def take_look(inputs: LookInput) -> LookResult:
    """Apply the rule to the totals.

    Raises:
        StatisticsError: there is no primary metric, or not exactly one, or it is of a kind that the
            rule cannot judge.
    """
    primary = primary_of(inputs)
    policy = inputs.policy
    require_kind(policy, primary.kind)
    ratio = check_sample_ratio(
        inputs.exposures,
        alpha=policy.srm_alpha,
        min_p_before=inputs.min_srm_p,
        one_look=policy.rule == "fixed",
    )
    units = sum(totals.n for epoch in primary.epochs for totals in epoch.values())
    unhealthy_reason = _why_unhealthy(inputs, ratio)
    doubt = "" if unhealthy_reason else _why_doubtful(inputs, ratio)
    effects = {
        t: {m.key: effect_of(m, inputs.control, t) for m in inputs.metrics} for t in inputs.treatments
    }
    tested = {t: _tested(inputs, primary, t, effects[t][primary.key]) for t in inputs.treatments}
    shares = _shares_of_alpha(inputs, {t: one.effect for t, one in tested.items()})
    verdicts: dict[str, _TreatmentVerdict] = {}
    states: dict[str, RuleState] = {}
    comparisons: list[Comparison] = []
    for treatment, one in tested.items():
        before, evidence = inputs.states.get(treatment, RuleState()), None
        if one.effect is not None:
            progress = Progress(
                units,
                shares[treatment],
                healthy=not (unhealthy_reason or doubt),
                gated=bool(one.too_few),
                batches=inputs.batches,
            )
            evidence = evaluate_rule(
                policy, before, one.effect, progress, pair=(inputs.control, treatment)
            )
        states[treatment] = evidence.state if evidence else before
        ground = Ground(policy, inputs.control, treatment, units, evidence, unhealthy_reason or doubt)
        described = [describe(ground, m, *effects[treatment][m.key]) for m in inputs.metrics]
        comparisons += described
        verdicts[treatment] = _judge(inputs, primary, described, one, evidence, units)
    action, variant, reason, leaving = _combine(inputs, verdicts, comparisons)
    if unhealthy_reason:
        action, variant, reason, leaving = "halt", None, unhealthy_reason, {}
    elif doubt:
        action, variant, reason, leaving = "keep_running", None, doubt, {}
    return LookResult(
        action=action,
        variant=variant,
        reason=reason,
        information=units / policy.planned_units,
        sample_ratio=ratio,
        comparisons=adjust(inputs.metrics, comparisons, alpha=policy.alpha),
        states=states,
        crossed=[t for t in inputs.treatments if verdicts[t].crossed],
        segments=compare_segments(
            primary,
            inputs.segments,
            control=inputs.control,
            treatments=inputs.treatments,
            alpha=policy.alpha,
        ),
        mismatch=[]
        if ratio.healthy
        else explain_mismatch(inputs.segment_exposures, ratio.expected, alpha=policy.srm_alpha),
        leaving=leaving,
    )


@dataclass(frozen=True, slots=True)
class _Tested:
    """What a treatment's primary is tested by.

    Attributes:
        effect: with a statistic that keeps its level for the counts there are; None without one.
        raw: as it is shown.
        too_few: why no ship can come of it yet, or why there is no effect.
    """

    effect: Effect | None
    raw: Effect | None
    too_few: str


def _tested(
    inputs: LookInput, primary: MetricInput, treatment: str, effect_or_why: tuple[Effect | None, str]
) -> _Tested:
    effect, why_not = effect_or_why
    if effect is None:
        return _Tested(None, None, why_not)
    too_few = why_too_few(inputs.policy, primary, inputs.control, treatment)
    return _Tested(guard(effect) if too_few else effect, effect, too_few)


def primary_of(inputs: LookInput) -> MetricInput:
    """Return the metric that decides.

    Raises:
        StatisticsError: there is not exactly one.
    """
    primary = [metric for metric in inputs.metrics if metric.role == "primary"]
    if len(primary) != 1:
        raise StatisticsError(f"primary metrics == {len(primary)}, must be 1.")
    return primary[0]


def _shares_of_alpha(inputs: LookInput, effects: Mapping[str, Effect | None]) -> dict[str, int]:
    """Return by what each treatment's alpha is divided: by their number, or in one look by Holm's step.

    Holm tests the smallest p at α / k, the next at α / (k − 1), and stops at the first that fails.
    """
    k = len(inputs.treatments)
    shares = dict.fromkeys(inputs.treatments, k)
    if inputs.policy.rule == "fixed":
        ranked = sorted((e.p_value, t) for t, e in effects.items() if e is not None)
        for rank, (p_value, treatment) in enumerate(ranked):
            if p_value > inputs.policy.alpha / (k - rank):
                break
            shares[treatment] = k - rank
    return shares


def _why_unhealthy(inputs: LookInput, ratio: SampleRatio) -> str:
    if ratio.leaks:
        return f"units leaked into variants of weight zero: {ratio.leaks}"
    if not ratio.healthy and not _is_claimed(inputs):
        return _mismatch(inputs, ratio)
    units = sum(sum(counts.values()) for counts, _ in inputs.exposures)
    if units and inputs.crossover_units / units > inputs.policy.most_doubled:
        return (
            f"share of units seen in two variants == {inputs.crossover_units / units:.3f}, "
            f"must be at most {inputs.policy.most_doubled:g}"
        )
    return _why_excluded_unequally(inputs)


def _mismatch(inputs: LookInput, ratio: SampleRatio) -> str:
    return (
        f"sample ratio mismatch: p = {ratio.p_value:.2g} < {inputs.policy.srm_alpha:g}, observed "
        f"{_shares(ratio.observed)}, expected {_shares(ratio.expected)}"
    )


def _is_claimed(inputs: LookInput) -> bool:
    """Whether the split is as asked for without the exposures that public keys claim.

    Whoever reads a page has its key, and can claim one variant for units whose hash gives it: such a
    mismatch must not end an experiment. The p-values of earlier looks are not taken along, because
    claims went into them.
    """
    if not any(sum(counts.values()) for counts in inputs.claimed):
        return False
    served = [
        ({key: max(count - claimed.get(key, 0), 0) for key, count in counts.items()}, weights)
        for (counts, weights), claimed in zip(inputs.exposures, inputs.claimed, strict=True)
    ]
    one_look = inputs.policy.rule == "fixed"
    return check_sample_ratio(served, alpha=inputs.policy.srm_alpha, one_look=one_look).healthy


def _why_doubtful(inputs: LookInput, ratio: SampleRatio) -> str:
    """Say why no verdict is given although the experiment goes on."""
    if ratio.healthy:
        return ""
    return (
        f"{_mismatch(inputs, ratio)}: only among exposures that public keys claim, so it runs on and "
        "no verdict is given; send exposures with a secret key, or stop it"
    )


def _why_excluded_unequally(inputs: LookInput) -> str:
    """Say so when a variant makes more of its units look like bots: what is left is no fair half."""
    if not any(sum(counts.values()) for counts, _ in inputs.excluded):
        return ""
    ratio = check_sample_ratio(inputs.excluded, alpha=inputs.policy.srm_alpha)
    if ratio.healthy:
        return ""
    return (
        f"excluded units (bots, internal) differ between variants: p = {ratio.p_value:.2g} < "
        f"{inputs.policy.srm_alpha:g}, observed {_shares(ratio.observed)}, expected "
        f"{_shares(ratio.expected)}"
    )


def _shares(shares: Mapping[str, float]) -> str:
    return " / ".join(f"{key} {share:.1%}" for key, share in shares.items())


def _judge(
    inputs: LookInput,
    metric: MetricInput,
    described: Sequence[Comparison],
    tested: _Tested,
    evidence: RuleOutcome | None,
    units: int,
) -> _TreatmentVerdict:
    """Judge one treatment: harm first, whatever the counts are."""
    policy, treatment = inputs.policy, described[0].variant
    if harmed := next((row for row in described if row.harmed), None):
        p_value = f"p = {harmed.p_value:.2g}" if harmed.p_value is not None else ""
        return _TreatmentVerdict("roll_back", f"guardrail '{harmed.metric}' is harmed ({p_value})")
    direction = 0
    if evidence is not None:
        direction = evidence.crossed if metric.increase_is_good else -evidence.crossed
        if direction < 0:
            return _TreatmentVerdict("roll_back", f"worse: {evidence.said}")
        if not tested.too_few and (direction > 0 or treatment in inputs.crossed):
            return _shippable(inputs, described, tested.raw, evidence)
    said = tested.too_few or (evidence.said if evidence else "")
    remembered = treatment in inputs.crossed
    if ended := _why_ended(policy, evidence, units, said):
        return _TreatmentVerdict("stop_inconclusive", ended, crossed=remembered)
    return _TreatmentVerdict("keep_running", said, crossed=remembered)


def _why_ended(policy: Policy, evidence: RuleOutcome | None, units: int, said: str) -> str:
    if evidence is not None and evidence.exhausted:
        return f"{evidence.exhausted}: {said}"
    if units >= policy.overrun * policy.planned_units:
        return f"{units} units passed without a verdict: {said}"
    return evidence.futile if evidence is not None else ""


def _shippable(
    inputs: LookInput, described: Sequence[Comparison], effect: Effect | None, evidence: RuleOutcome
) -> _TreatmentVerdict:
    """The bound was crossed on the good side, now or before: is anything else in the way?"""
    policy = inputs.policy
    if inputs.elapsed_seconds < policy.required_run_seconds:
        return _TreatmentVerdict(
            "keep_running",
            f"better ({evidence.said}), waiting for the minimum run: {inputs.elapsed_seconds:.0f} s of "
            f"{policy.required_run_seconds:.0f} s",
            crossed=True,
        )
    for comparison in described:
        if comparison.safe is False:
            why = f": {comparison.why_not}" if comparison.why_not else ""
            return _TreatmentVerdict(
                "keep_running",
                f"better, but guardrail '{comparison.metric}' is not yet shown to be safe{why}",
                crossed=True,
            )
    lift = effect.lift if effect is not None else None
    if lift is not None and policy.twyman_limit and abs(lift) > policy.twyman_limit:
        return _TreatmentVerdict(
            "keep_running",
            f"better, but a lift of {lift:+.0%} beyond ±{policy.twyman_limit:.0%} is too good to be "
            "believed unseen: a person must ship it",
            crossed=True,
        )
    return _TreatmentVerdict("ship", f"better: {evidence.said}", crossed=True)


def _combine(
    inputs: LookInput, verdicts: Mapping[str, _TreatmentVerdict], comparisons: Sequence[Comparison]
) -> tuple[Action, str | None, str, Mapping[str, str]]:
    """Turn the treatments' verdicts into one: the best that ships, else wait for the undecided.

    A treatment that does harm leaves as soon as it is known, although others are undecided.
    """
    primary = primary_of(inputs)
    gains = {
        row.variant: row.effect.statistic * (1 if primary.increase_is_good else -1)
        for row in comparisons
        if row.metric == primary.key and row.effect is not None
    }
    present = [t for t in inputs.treatments if t not in inputs.left]
    if not present:
        return "keep_running", None, "no treatment takes traffic", {}

    def best(treatments: Sequence[str]) -> str:
        return max(treatments, key=lambda t: gains.get(t, float("-inf")))

    leaving = {t: verdicts[t].reason for t in present if verdicts[t].action == "roll_back"}
    parts = [f"'{t}' leaves the traffic ({reason})" for t, reason in leaving.items()]
    for action in ("ship", "keep_running", "stop_inconclusive"):
        if such := [t for t in present if verdicts[t].action == action]:
            chosen = best(such)
            reason = "; ".join([*parts, verdicts[chosen].reason])
            return action, chosen if action == "ship" else None, reason, leaving
    named = best(present)  # all of them do harm
    return "roll_back", named, verdicts[named].reason, {}
