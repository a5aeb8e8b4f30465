"""One look: from the totals of an experiment to an action, by the rule fixed at its start.

Guarantees: pure and repeatable; the same inputs give the same result, to the last bit, so a stored
look can be recomputed. An unhealthy experiment never gets a verdict.

The state machine: `keep_running` until the first of

    halt                unhealthy: sample ratio, leak, units in two variants, unequally excluded units
    roll_back           the primary is worse beyond its bound, or a guardrail is harmed
    ship                the primary is better beyond its bound, its counts suffice, guardrails safe,
                        the minimum run over
    stop_inconclusive   hopeless, or the end without a verdict: the champion stays

Harm comes first: only a ship waits for counts. A loss, a guardrail and the end of the overrun are
judged whatever the counts are (`small_counts`). Of several treatments a harmful one leaves alone, while
the others run on.

Six steps, each a function that can be read and tested alone; what one knows is handed to the next:

    estimate    `estimates`     the effect of each treatment on each metric
    gate        `count_gate`    the statistic that keeps its level for the counts there are
    evidence    `evidence`      the rule applied to each treatment's primary metric
    harm        `role_tests`    each metric's interval, and whether guardrails are harmed or safe
    verdict     `verdicts`      what each treatment's evidence says, then one action
    record      here            p-values held against alpha, segments, what the next look needs
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from experiments.stats.comparison import adjust
from experiments.stats.count_gate import gate
from experiments.stats.estimates import estimate
from experiments.stats.evidence import weigh
from experiments.stats.health import check_health
from experiments.stats.interleaved_look import take_interleaved_look
from experiments.stats.look_result import LookResult, SpentAlpha
from experiments.stats.role_tests import Ground, run_role_test
from experiments.stats.rules import require_kind
from experiments.stats.segments import compare_segments
from experiments.stats.shrunken_segments import shrink_segments
from experiments.stats.verdicts import decide, judge_treatment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.stats.comparison import Comparison
    from experiments.stats.evidence import Evidence
    from experiments.stats.health import Health
    from experiments.stats.look_input import LookInput
    from experiments.stats.rules import RuleState
    from experiments.stats.verdicts import LookVerdict, TreatmentVerdict


def take_look(inputs: LookInput) -> LookResult:
    """Apply the rule to the totals.

    Raises:
        StatisticsError: there is no primary metric, or not exactly one, or it is of a kind that the
            rule cannot judge.
    """
    if inputs.interleaved is not None:
        return take_interleaved_look(inputs, inputs.interleaved)
    require_kind(inputs.policy, inputs.primary.kind)
    health = check_health(inputs)
    rows = [gate(inputs.policy, one, control=inputs.control) for one in estimate(inputs)]
    evidence = weigh(inputs, rows, healthy=not health.reason)
    grounds = {t: Ground.of(inputs, one, health.reason) for t, one in evidence.items()}
    comparisons = [run_role_test(grounds[row.variant], row) for row in rows]
    verdicts = {
        t: judge_treatment(inputs, one, [row for row in comparisons if row.variant == t])
        for t, one in evidence.items()
    }
    verdict = decide(inputs, health, evidence, verdicts)
    return _record(inputs, health, evidence, comparisons, verdicts, verdict)


def _record(
    inputs: LookInput,
    health: Health,
    evidence: Mapping[str, Evidence],
    comparisons: Sequence[Comparison],
    verdicts: Mapping[str, TreatmentVerdict],
    verdict: LookVerdict,
) -> LookResult:
    policy = inputs.policy
    within = compare_segments(
        inputs.primary,
        inputs.segments,
        control=inputs.control,
        treatments=inputs.treatments,
        alpha=policy.alpha,
    )
    segments, differences = shrink_segments(within, alpha=policy.alpha)
    return LookResult(
        action=verdict.action,
        variant=verdict.variant,
        reason=verdict.reason,
        information=inputs.units / policy.planned_units,
        sample_ratio=health.sample_ratio,
        comparisons=adjust(inputs.metrics, comparisons, alpha=policy.alpha),
        segments=segments,
        differences=differences,
        mismatch=health.mismatch,
        leaving=verdict.leaving,
        bounds={t: _spent(one.state) for t, one in evidence.items()},
        states={t: one.state for t, one in evidence.items()},
        crossed=[t for t in inputs.treatments if verdicts[t].crossed],
    )


def _spent(state: RuleState) -> SpentAlpha:
    sequential = state.sequential
    bound = None if math.isinf(sequential.bound) else sequential.bound  # JSON has no infinity
    return SpentAlpha(t=sequential.t, bound=bound, spent=sequential.spent)
