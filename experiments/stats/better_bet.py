"""`ship_when: valuable`: what is more likely better than not ships at the end of its plan.

A rule that asks for significance of every challenger ships few of them, and loses what the others would
have brought. A posterior under the project's own prior asks how likely a gain is: of what it ships, a
part may be worse, each by little, while together they gain.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from experiments.stats.cumulative_gain import LogGain, Prior, shrink_to
from experiments.stats.special_functions import special

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.stats.comparison import Comparison
    from experiments.stats.effect import Effect
    from experiments.stats.evidence import Evidence
    from experiments.stats.look_input import LookInput


def better_bet(inputs: LookInput, evidence: Evidence, comparisons: Sequence[Comparison]) -> str:
    """Say why a treatment ships as the better bet, though not proven, or nothing.

    At the end of the plan, where the posterior mean of its log lift is a gain and every guardrail is
    shown to be safe.
    """
    effect = evidence.primary.effect
    valuable = inputs.policy.ship_when == "valuable"
    if not valuable or awaits_bet(inputs) or evidence.primary.too_few or effect is None:
        return ""
    if any(row.safe is False or row.harmed for row in comparisons):
        return ""
    chance = _chance_of_gain(inputs, effect)
    if chance <= 0.5:  # of a normal posterior: its mean is no gain
        return ""
    return f"shipped as the better bet ({chance:.0%} likely better); not proven"


def awaits_bet(inputs: LookInput) -> bool:
    """Whether a bet may still come: before the end of the plan, and before that of the minimum run.

    Until then nothing ends for want of a verdict: neither as futile, which is a claim of significance,
    nor at an overrun that much traffic reaches within the minimum run.
    """
    policy = inputs.policy
    return policy.ship_when == "valuable" and (
        inputs.units < policy.planned_units or inputs.elapsed_seconds < policy.required_run_seconds
    )


def _chance_of_gain(inputs: LookInput, effect: Effect) -> float:
    """Return the posterior chance that the treatment is better; 0 where there is no log lift."""
    policy, lift = inputs.policy, effect.lift
    if lift is None or lift <= -1 or effect.se <= 0:
        return 0.0
    gain = LogGain(math.log1p(lift), effect.se / abs(effect.treatment))
    if inputs.primary.direction == "decrease":
        gain = gain.reversed
    posterior = shrink_to(Prior(policy.prior_mean, policy.prior_sd), gain)
    return float(special.ndtr(posterior.mean / posterior.sd))
