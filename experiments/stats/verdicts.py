"""Fifth step of a look: from the evidence on each treatment to one action of the experiment.

Harm comes first: only a ship waits for counts, safe guardrails and the minimum run. A loss, a harmed
guardrail and the end of the overrun are judged whatever the counts are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from experiments.stats.better_bet import awaits_bet, better_bet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from experiments.kinds import Action
    from experiments.stats.comparison import Comparison
    from experiments.stats.evidence import Evidence
    from experiments.stats.health import Health
    from experiments.stats.look_input import LookInput
    from experiments.stats.rules import RuleOutcome


@dataclass(frozen=True, slots=True)
class TreatmentVerdict:
    """What one treatment's own evidence says, before the experiment decides.

    Attributes:
        action: what would be done if it were the only one.
        reason: why, in words.
        crossed: whether its upper bound was crossed, now or at an earlier look.
    """

    action: Action
    reason: str
    crossed: bool = False


@dataclass(frozen=True, slots=True)
class LookVerdict:
    """What is done with the experiment.

    Attributes:
        action: what to do.
        variant: which treatment it is about, or None.
        reason: why, in words.
        leaving: treatments that leave while another one runs on, ships or ends, and why.
    """

    action: Action
    variant: str | None
    reason: str
    leaving: Mapping[str, str] = field(default_factory=dict)


def judge_treatment(
    inputs: LookInput, evidence: Evidence, comparisons: Sequence[Comparison]
) -> TreatmentVerdict:
    """Judge one treatment: harm first, whatever the counts are.

    Args:
        inputs: of the look.
        evidence: on its primary metric.
        comparisons: of this treatment, on every metric.
    """
    outcome, remembered = evidence.outcome, evidence.variant in inputs.crossed
    if harmed := next((row for row in comparisons if row.harmed), None):
        p_value = f"p = {harmed.p_value:.2g}" if harmed.p_value is not None else ""
        return TreatmentVerdict("roll_back", f"guardrail '{harmed.metric}' is harmed ({p_value})")
    if outcome is not None and evidence.direction < 0:
        return TreatmentVerdict("roll_back", f"worse: {outcome.summary}")
    too_few = evidence.primary.too_few
    if outcome is not None and not too_few and (evidence.direction > 0 or remembered):
        obstacle = _obstacle(inputs, evidence, outcome, comparisons)
        if obstacle:
            # A guardrail that is not shown to be safe by the end of the overrun never will be.
            over = _why_ended(inputs, None, obstacle) if " guardrail " in obstacle else ""
            action: Action = "stop_inconclusive" if over else "keep_running"
            return TreatmentVerdict(action, over or obstacle, crossed=True)
        return TreatmentVerdict("ship", f"better: {outcome.summary}", crossed=True)
    reason = too_few or (outcome.summary if outcome else "")
    if bet := better_bet(inputs, evidence, comparisons):
        return TreatmentVerdict("ship", bet, crossed=remembered)
    ended = _why_ended(inputs, outcome, reason)
    action = "stop_inconclusive" if ended else "keep_running"
    return TreatmentVerdict(action, ended or reason, crossed=remembered)


def _why_ended(inputs: LookInput, outcome: RuleOutcome | None, reason: str) -> str:
    """Say why going on brings nothing, or nothing."""
    policy, units = inputs.policy, inputs.units
    if awaits_bet(inputs):
        return ""
    if outcome is not None and outcome.exhausted:
        return f"{outcome.exhausted}: {reason}"
    if units >= policy.overrun * policy.planned_units:
        word = "blocks" if inputs.counts_blocks else "units"
        return f"{units} {word} passed without a verdict: {reason}"
    return outcome.futile if outcome is not None else ""


def _obstacle(
    inputs: LookInput, evidence: Evidence, outcome: RuleOutcome, comparisons: Iterable[Comparison]
) -> str:
    """Say what keeps a treatment from shipping whose bound was crossed on the good side, or nothing."""
    policy = inputs.policy
    if inputs.elapsed_seconds < policy.required_run_seconds:
        return (
            f"better ({outcome.summary}), waiting for the minimum run: "
            f"{inputs.elapsed_seconds:.0f} s of {policy.required_run_seconds:.0f} s"
        )
    for row in comparisons:
        if row.safe is False:
            why = f": {row.why_not}" if row.why_not else ""
            return f"better, but guardrail '{row.metric}' is not yet shown to be safe{why}"
    lift = evidence.primary.effect.lift if evidence.primary.effect is not None else None
    # Twyman's law: any figure that looks interesting is usually wrong.
    if lift is not None and policy.twyman_limit and abs(lift) > policy.twyman_limit:
        return (
            f"better, but a lift of {lift:+.0%} beyond ±{policy.twyman_limit:.0%} is too good to be "
            "believed unseen: a person must ship it"
        )
    return ""


def decide(
    inputs: LookInput,
    health: Health,
    evidence: Mapping[str, Evidence],
    verdicts: Mapping[str, TreatmentVerdict],
) -> LookVerdict:
    """Turn the treatments' verdicts into one: the best that ships, else wait for the undecided.

    A treatment that does harm leaves as soon as it is known, although others are undecided.
    """
    if health.unhealthy_reason:
        return LookVerdict("halt", None, health.unhealthy_reason)
    if health.doubt:
        return LookVerdict("keep_running", None, health.doubt)
    present = [t for t in inputs.treatments if t not in inputs.left]
    if not present:
        return LookVerdict("keep_running", None, "no treatment takes traffic")

    def best(treatments: Sequence[str]) -> str:
        return max(treatments, key=lambda t: evidence[t].gain)

    leaving = {t: verdicts[t].reason for t in present if verdicts[t].action == "roll_back"}
    parts = [f"'{t}' leaves the traffic ({reason})" for t, reason in leaving.items()]
    actions: tuple[Action, ...] = ("ship", "keep_running", "stop_inconclusive")
    for action in actions:
        if such := [t for t in present if verdicts[t].action == action]:
            chosen = best(such)
            reason = "; ".join([*parts, verdicts[chosen].reason])
            return LookVerdict(action, chosen if action == "ship" else None, reason, leaving)
    named = best(present)  # all of them do harm, and one is named
    return LookVerdict("roll_back", named, verdicts[named].reason)
