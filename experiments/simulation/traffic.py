"""Users of a simulated test: counts per epoch and arm, and the product's breaker over their hours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from experiments.programme.harm import DEFAULT_ALPHA, MARGIN, TESTS
from experiments.stats.breaker import ArmPaths, log_bound, log_e_paths
from experiments.stats.cumulative_gain import LogGain
from experiments.stats.estimates import effect_of
from experiments.stats.metric_input import MetricInput
from experiments.stats.totals import Totals

if TYPE_CHECKING:
    from experiments.simulation.year import Challenger, Year
    from experiments.stats.effect import Effect

HOURS = 24
BY_HOUR = np.full(HOURS, 1 / HOURS)
EQUAL = 0.5  # weight of each arm: a ramp changes the allocation, never the weights


@dataclass(slots=True)
class EpochCounts:
    """Users and conversions of one epoch, by arm."""

    control_n: int = 0
    control_x: int = 0
    treatment_n: int = 0
    treatment_x: int = 0


class ArmTraffic:
    """The counts of one test while its days pass."""

    def __init__(self, year: Year, challenger: Challenger) -> None:
        self.year = year
        self.lift = year.lift(challenger)
        self.epochs = [EpochCounts()]

    @property
    def epoch(self) -> EpochCounts:
        """The present epoch."""
        return self.epochs[-1]

    @property
    def units(self) -> int:
        """Users of both arms and all epochs."""
        return sum(one.control_n + one.treatment_n for one in self.epochs)

    def add_day(self, allocation: float, *, watched: bool) -> float | None:
        """Add a day's users; return the share of the day after which the breaker trips, if it does.

        Args:
            allocation: of all users, who enter the test.
            watched: whether there is a breaker. It is asked once an hour.
        """
        year, rng = self.year, self.year.rng
        users = round(year.settings.users_per_day * allocation)
        treated = int(rng.binomial(users, EQUAL))
        treatment_x = int(rng.binomial(treated, year.rate(self.lift)))
        control_x = int(rng.binomial(users - treated, year.rate()))
        tripped = self._tripped_hour(treatment_x, control_x) if watched else None
        self.epoch.treatment_n += treated
        self.epoch.control_n += users - treated
        self.epoch.treatment_x += treatment_x
        self.epoch.control_x += control_x
        return None if tripped is None else (tripped + 1) / HOURS

    def _tripped_hour(self, treatment_x: int, control_x: int) -> int | None:
        """Return the hour of today at whose end the breaker trips.

        Args:
            treatment_x: conversions of the treatment today.
            control_x: of the control.
        """
        rng = self.year.rng
        gains, converted = (rng.multinomial(x, BY_HOUR).cumsum() for x in (treatment_x, control_x))
        # One stratum: what epochs of one share add to each bet is the same as what their sum adds.
        gains += sum(one.treatment_x for one in self.epochs)
        converted += sum(one.control_x for one in self.epochs)
        paths = ArmPaths(EQUAL, gains, converted)
        log_e = log_e_paths([paths], margin=MARGIN, harm="decrease")
        # The level is shared with the guardrails that every automatic experiment has.
        tripped = log_e >= log_bound(tests=TESTS, alpha=DEFAULT_ALPHA)
        return int(tripped.argmax()) if tripped.any() else None

    def metric(self) -> MetricInput:
        """Return the conversions as a look reads them."""
        return MetricInput(
            key="conversions",
            kind="proportion",
            role="primary",
            direction="increase",
            margin=0.0,
            epochs=[
                {
                    "control": Totals.of_proportion(one.control_x, one.control_n),
                    "treatment": Totals.of_proportion(one.treatment_x, one.treatment_n),
                }
                for one in self.epochs
            ],
        )

    def effect(self) -> Effect | None:
        """Return the effect so far; None where nothing can be compared."""
        return effect_of(self.metric(), "control", "treatment")[0]

    def log_gain(self) -> LogGain | None:
        """Return the effect so far on the log scale; None where an arm has no conversions."""
        effect = self.effect()
        if effect is None or effect.lift is None or not effect.log_se:
            return None
        return LogGain(math.log1p(effect.lift), effect.log_se)
