"""What a simulated year is like."""

from __future__ import annotations

import math
from dataclasses import dataclass

from experiments.stats.totals import StatisticsError

DAYS_PER_WEEK = 7
MAX_WEEKS, MAX_USERS_PER_WEEK, MAX_PER_WEEK = 520, 10_000_000, 7


@dataclass(frozen=True, slots=True)
class YearSettings:
    """Traffic, challengers and plans of a simulated year, or of as many weeks as it has.

    Attributes:
        weeks: how long it lasts.
        users_per_week: new users; each sees one version and converts or does not.
        baseline: the first champion's conversion rate.
        prior_mean, prior_sd: of the challengers' true log lifts, normal.
        share_broken: of the challengers, which lose 30 to 100 % of the conversions besides.
        ageing: log lift that a version loses per week since it was trained.
        challengers_per_week: how often one is trained.
        retrains: whether challengers are retrains of one recipe, whose lifts do not add up; otherwise
            each is an improvement on the champion that it meets.
        daily_ramp: whether a step of the ramp lasts a day whatever users it had, as with `units` of 1
            in the ramp's steps; otherwise until its class of harm would have shown, a day at least.
        interleaving: how much a user tells in a screening, as a multiple of what was measured.
        significant_weeks, valuable_weeks: weeks of users that a test plans for, by what ships.

    Raises:
        StatisticsError: a value breaks its rule.
    """

    weeks: int = 52
    users_per_week: int = 20_000
    baseline: float = 0.1
    prior_mean: float = 0.0
    prior_sd: float = 0.03
    share_broken: float = 0.05
    ageing: float = 0.0
    challengers_per_week: float = 1.0
    retrains: bool = False
    daily_ramp: bool = False
    interleaving: float = 1.0
    significant_weeks: float = 4.0
    valuable_weeks: float = 1.0

    def __post_init__(self) -> None:
        self._require("weeks", 1 <= self.weeks <= MAX_WEEKS, f"in [1, {MAX_WEEKS}]")
        many = 100 <= self.users_per_week <= MAX_USERS_PER_WEEK
        self._require("users_per_week", many, f"in [100, {MAX_USERS_PER_WEEK}]")
        self._require("baseline", 0 < self.baseline < 1, "in (0, 1)")
        self._require("prior_mean", abs(self.prior_mean) <= 1, "in [-1, 1]")
        self._require("prior_sd", 0 < self.prior_sd <= 1, "in (0, 1]")
        self._require("share_broken", 0 <= self.share_broken <= 1, "in [0, 1]")
        self._require("ageing", 0 <= self.ageing <= 1, "in [0, 1]")
        often = 0 < self.challengers_per_week <= MAX_PER_WEEK
        self._require("challengers_per_week", often, f"in (0, {MAX_PER_WEEK}]")
        self._require("interleaving", 0.01 <= self.interleaving <= 100, "in [0.01, 100]")
        for name in ("significant_weeks", "valuable_weeks"):
            self._require(name, 0 < getattr(self, name) <= self.weeks, f"in (0, weeks == {self.weeks}]")

    def _require(self, name: str, holds: bool, rule: str) -> None:  # noqa: FBT001  private, one line
        value = getattr(self, name)
        if not holds or not math.isfinite(value):
            raise StatisticsError(f"{name} == {value:g}, must be {rule}.")

    @property
    def days(self) -> int:
        """How long it lasts."""
        return self.weeks * DAYS_PER_WEEK

    @property
    def users_per_day(self) -> float:
        """Users that come on a day."""
        return self.users_per_week / DAYS_PER_WEEK
