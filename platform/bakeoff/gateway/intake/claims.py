"""Exposures that clients claim: is the variant what the rule gave the unit when it happened?

A client that evaluates flags by itself says what it showed, with a key that everybody can read. The
server knows the rule, so a claim that the rule does not give is kept aside and never counted. What the
claim does not carry cannot be checked: conditions over attributes and prerequisites are taken to hold.
A forger can still choose units whose hash fits; metrics that trust secret keys alone stop that.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.assignment import hashed_variant

if TYPE_CHECKING:
    from datetime import datetime

    from experiments.assignment import RunningExperiment


@dataclass(frozen=True, slots=True)
class Claim:
    """An exposure that a client claims.

    Attributes:
        experiment: that it names.
        variant: key of the variant that was shown.
        at: when, by our clock.
        trusted: whether a secret key says so, which is believed.
    """

    experiment: RunningExperiment
    variant: str
    at: datetime
    trusted: bool

    @property
    def epoch(self) -> int:
        """Number of the epoch at its time; 0 before the first, which a secret key's never is."""
        number = bisect_right(self.experiment.epochs, self.at, key=lambda epoch: epoch.started_at)
        return max(number, 1) if self.trusted else number

    def why_quarantined(self, unit: str) -> str:
        """Return the reason why it does not count, one of `QuarantinedExposure.Reason`, or nothing."""
        experiment, number = self.experiment, self.epoch
        # A server decided itself, and may have forced or kept a variant that the hash does not give.
        if self.trusted:
            return ""
        if number == 0:
            return "before_start"
        if unit in experiment.rule.forced:
            return "forced"
        current = hashed_variant(experiment.epochs[number - 1].rule, unit)
        if current == self.variant:
            return ""
        earlier = any(
            hashed_variant(epoch.rule, unit) == self.variant
            for epoch in experiment.epochs[: number - 1]
            # What a unit keeps it met in an epoch that is still remembered.
            if not experiment.memory.sticky or epoch.number >= experiment.memory.since
        )
        if earlier:
            return "" if experiment.memory.sticky else "earlier_rule"
        return "outside" if current is None else "other_variant"
