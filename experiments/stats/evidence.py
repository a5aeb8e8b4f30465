"""Third step of a look: what the policy's rule says of each treatment's primary metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.stats.rules import Progress, RuleOutcome, RuleState, evaluate_rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.stats.count_gate import GatedEstimate
    from experiments.stats.look_input import LookInput


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one treatment's primary metric.

    Attributes:
        primary: its estimate.
        outcome: of the rule; None without an effect.
        state: what the rule hands to the next look.
    """

    primary: GatedEstimate
    outcome: RuleOutcome | None
    state: RuleState

    @property
    def variant(self) -> str:
        """Which treatment."""
        return self.primary.variant

    @property
    def direction(self) -> int:
        """+1 when the bound is crossed on the good side, −1 on the bad side, 0 within it."""
        if self.outcome is None:
            return 0
        return self.outcome.crossed * (1 if self.primary.metric.direction == "increase" else -1)

    @property
    def gain(self) -> float:
        """The statistic with the sign that a gain is positive; −∞ without an effect."""
        if self.primary.effect is None:
            return float("-inf")
        sign = 1 if self.primary.metric.direction == "increase" else -1
        return self.primary.effect.statistic * sign


def weigh(inputs: LookInput, rows: Sequence[GatedEstimate], *, healthy: bool) -> dict[str, Evidence]:
    """Apply the rule to each treatment's primary metric.

    Args:
        inputs: of the look.
        rows: every treatment on every metric.
        healthy: whether units arrive as they should; otherwise nothing is tested.
    """
    primaries = {row.variant: row for row in rows if row.metric.role == "primary"}
    shares = _shares_of_alpha(inputs, primaries)
    evidence = {}
    for variant, row in primaries.items():
        outcome, state = None, inputs.states.get(variant, RuleState())
        if row.tested is not None:
            progress = Progress(
                units=inputs.units,
                treatments=shares[variant],
                healthy=healthy,
                gated=bool(row.too_few),
                batches=inputs.batches,
                word="blocks" if inputs.counts_blocks else "units",
            )
            pair = (inputs.control, variant)
            outcome = evaluate_rule(inputs.policy, state, row.tested, progress, pair=pair)
            state = outcome.state
        evidence[variant] = Evidence(row, outcome, state)
    return evidence


def _shares_of_alpha(inputs: LookInput, primaries: Mapping[str, GatedEstimate]) -> dict[str, int]:
    """Return by what each treatment's alpha is divided: by their number, or in one look by Holm's step.

    Holm tests the smallest p at α / k, the next at α / (k − 1), and stops at the first that fails.
    """
    k = len(inputs.treatments)
    shares = dict.fromkeys(inputs.treatments, k)
    if inputs.policy.rule == "fixed":
        # Equal p-values in the order of names, so that a look can be recomputed to the last bit.
        ranked = sorted((row.tested.p_value, v) for v, row in primaries.items() if row.tested)
        for rank, (p_value, variant) in enumerate(ranked):
            if p_value > inputs.policy.alpha / (k - rank):
                break
            shares[variant] = k - rank
    return shares
