"""One look at an interleaved experiment: from its units' scores to one action.

The same steps as of every look, fewer of them: nobody is in one variant alone, so there is no ratio of
arms to check and no arm to harm. Slates are checked instead: where a version failed, nobody drafted.
A version that failed in more than 1 % of the slates leaves.

    halt                the control failed in more than 1 % of them
    roll_back           every version left, or users prefer the control to it
    prefer, ship        users prefer a version: the best of those goes on, or ships where the policy
                        promotes by itself
    stop_inconclusive   the end without a preference
    keep_running        until the first of these
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.stats.interleaving import UNRELIABLE_LIFT, prefer
from experiments.stats.look_result import LookResult
from experiments.stats.srm import SampleRatio
from experiments.stats.verdicts import LookVerdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.kinds import Action
    from experiments.stats.interleaving import InterleavedInput, Preference
    from experiments.stats.look_input import LookInput

MAX_FAILED = 0.01  # as of a version in shadow: share of its answers that it may fail
MIN_SLATES = 100  # before that share means anything


def take_interleaved_look(inputs: LookInput, interleaved: InterleavedInput) -> LookResult:
    """Judge the versions of an interleaved experiment.

    Args:
        inputs: of the look.
        interleaved: what is counted of its slates.

    Raises:
        StatisticsError: a score is out of range.
    """
    policy, present = inputs.policy, [t for t in inputs.treatments if t not in inputs.left]
    # Several versions share alpha: a wrong one is preferred as rarely as of one alone.
    alpha = policy.alpha / max(len(inputs.treatments), 1)
    preferences = [prefer(scores, alpha=alpha) for scores in interleaved.scores]
    units = max((one.units for one in preferences), default=0)
    verdict = _decide(inputs, interleaved, [one for one in preferences if one.variant in present])
    return LookResult(
        action=verdict.action,
        variant=verdict.variant,
        reason=verdict.reason,
        information=units / policy.planned_units,
        sample_ratio=SampleRatio(1.0, {}, {}, {}, healthy=verdict.action != "halt"),
        comparisons=[],
        leaving=verdict.leaving,
        preferences=tuple(preferences),
    )


def _decide(
    inputs: LookInput, interleaved: InterleavedInput, preferences: Sequence[Preference]
) -> LookVerdict:
    failed = interleaved.failed
    # An older look does not say who failed, and halted whoever it was.
    why = _why_failed(interleaved, "a version", interleaved.failed_by_any or 0) or _why_failed(
        interleaved, "the control", failed.get(inputs.control, 0)
    )
    if why:
        return LookVerdict("halt", None, why)
    if not preferences:
        return LookVerdict("keep_running", None, "no treatment takes traffic")
    failing = {
        one.variant: why
        for one in preferences
        if (why := _why_failed(interleaved, f"'{one.variant}'", failed.get(one.variant, 0)))
    }
    if len(failing) == len(preferences):
        return LookVerdict("roll_back", next(iter(failing)), "; ".join(failing.values()), failing)
    return _compare(inputs, interleaved, preferences, failing)


def _compare(
    inputs: LookInput,
    interleaved: InterleavedInput,
    preferences: Sequence[Preference],
    failing: Mapping[str, str],
) -> LookVerdict:
    """Decide between the control and the versions that can serve, of which there is one at least."""
    preferences = [one for one in preferences if one.variant not in failing]
    leaving = {
        **failing,
        **{one.variant: _sentence(one) for one in preferences if one.prefers_control},
    }
    best = max(preferences, key=lambda one: one.preference)
    if all(one.variant in leaving for one in preferences):
        return LookVerdict("roll_back", best.variant, _sentence(best), failing)
    winners = [one for one in preferences if one.prefers_version]
    if winners:
        return _prefer(inputs, max(winners, key=lambda one: one.preference), leaving)
    policy = inputs.policy
    if interleaved.is_last or best.units >= policy.overrun * policy.planned_units:
        reason = f"{best.units} units passed without a verdict: {_sentence(best)}"
        return LookVerdict("stop_inconclusive", None, reason, leaving)
    return LookVerdict("keep_running", None, _sentence(best), leaving)


def _why_failed(interleaved: InterleavedInput, who: str, failed: int) -> str:
    """Return why a version's failures are too many, or nothing."""
    share = interleaved.share_of(failed)
    if interleaved.slates < MIN_SLATES or share <= MAX_FAILED:
        return ""
    return f"{who} failed in {share:.1%} of the recommendations, must be at most {MAX_FAILED:.0%}"


def _prefer(inputs: LookInput, winner: Preference, leaving: Mapping[str, str]) -> LookVerdict:
    """Prefer a version, once the minimum run is over."""
    policy = inputs.policy
    if inputs.elapsed_seconds >= policy.required_run_seconds:
        action: Action = "ship" if policy.promote else "prefer"
        return LookVerdict(action, winner.variant, _sentence(winner), leaving)
    waiting = (
        f"better ({_sentence(winner)}), waiting for the minimum run: "
        f"{inputs.elapsed_seconds:.0f} s of {policy.required_run_seconds:.0f} s"
    )
    return LookVerdict("keep_running", None, waiting, leaving)


def _sentence(one: Preference) -> str:
    """Return what the units of one version say, and how far its sign can be trusted."""
    if one.is_contradicted:
        return f"the checks of '{one.variant}' contradict each other: p = {one.p_value:.2g}"
    side = one.variant if one.preference > 0 else "the control"
    if not one.decides:
        return f"no preference about '{one.variant}' is shown yet: p = {one.p_value:.2g}"
    lift = f"{one.lift:+.1%}" if one.lift is not None else "0"
    if one.is_reliable:
        return f"users prefer {side}: p = {one.p_value:.2g}, about {lift} clicks"
    return (
        f"users prefer {side}: p = {one.p_value:.2g}, about {lift} clicks, below the "
        f"{UNRELIABLE_LIFT:.0%} from which interleaving is reliable"
    )
