"""One simulated year of a surface: its challengers, its champion, and what became of its users.

Levels and lifts are logarithms of the conversion rate: 0 is the first champion on its first day.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from experiments.simulation.settings import DAYS_PER_WEEK

if TYPE_CHECKING:
    import numpy as np

    from experiments.simulation.settings import YearSettings

MIN_LOG = -3.0  # of a lift and of a level: 5 % of the conversions are left, and logarithms stay finite
MIN_LOSS = 0.3  # share of the conversions that a broken challenger loses at least
HARMFUL = -0.01  # a promotion that is worse than this is more than a small loss


@dataclass(frozen=True, slots=True)
class Challenger:
    """A version that was trained.

    Attributes:
        number: in the order of training.
        trained_on: day.
        gain: its true log lift, fresh and unbroken.
        loss: what being broken adds to it, at most 0; 0 of most.
    """

    number: int
    trained_on: int
    gain: float
    loss: float = 0.0

    @property
    def is_broken(self) -> bool:
        """Whether it loses a large share of the conversions."""
        return self.loss < 0


@dataclass(frozen=True, slots=True)
class Champion:
    """The version that serves.

    Attributes:
        quality: its log level when it was fresh.
        trained_on: day.
    """

    quality: float = 0.0
    trained_on: int = 0


@dataclass(slots=True)
class YearRecord:
    """What a year brought.

    Attributes:
        tests: challengers that met users in a test, or were published.
        screened: challengers that shared lists with the champion, before a test or without one after.
        promotions: challengers that became champion.
        harmful: of them those with a negative lift.
        clearly_harmful: of them those that lose more than 1 %.
        broken_promotions: of them broken ones.
        broken_user_days: users that were served by a broken challenger, each on the one day on which a
            user comes; of a list that versions share, each has its share.
        worse_user_days: likewise users that were served by a version worse than the best champion so
            far: a challenger in its test, or what became champion although it was worse.
        final: log level of what serves at the end.
    """

    tests: int = 0
    screened: int = 0
    promotions: int = 0
    harmful: int = 0
    clearly_harmful: int = 0
    broken_promotions: int = 0
    broken_user_days: float = 0.0
    worse_user_days: float = 0.0
    final: float = 0.0


@dataclass(slots=True)
class Year:
    """A year while it passes under one release rule.

    Attributes:
        settings: of the year.
        challengers: in the order of training.
        rng: of its traffic.
        day: today.
        champion: that serves.
        newest_tested: number of the newest challenger that had its turn.
        record: so far.
        best: what the best champion so far was trained to, as if trained on the first day.
        serves_since: day on which the champion became it.
    """

    settings: YearSettings
    challengers: tuple[Challenger, ...]
    rng: np.random.Generator
    day: int = 0
    champion: Champion = field(default_factory=Champion)
    newest_tested: int = -1
    record: YearRecord = field(default_factory=YearRecord)
    best: float = 0.0
    serves_since: int = 0

    @property
    def is_over(self) -> bool:
        """Whether it has passed."""
        return self.day >= self.settings.days

    def waiting(self) -> list[Challenger]:
        """Return the challengers that are trained and newer than every one that had its turn."""
        newer = self.challengers[self.newest_tested + 1 :]
        return [one for one in newer if one.trained_on <= self.day]

    def level(self) -> float:
        """Return the champion's level today."""
        return _clip(self.champion.quality - self._aged(self.day - self.champion.trained_on))

    def lift(self, challenger: Challenger) -> float:
        """Return a challenger's lift over the champion; both age at one rate, so it stays the same."""
        fresher = self._aged(challenger.trained_on - self.champion.trained_on)
        before = self.champion.quality if self.settings.retrains else 0.0
        return _clip(challenger.gain - before + fresher + challenger.loss)

    def rate(self, lift: float = 0.0) -> float:
        """Return the conversion rate today of the champion, or of a version with a lift over it."""
        return min(self.settings.baseline * math.exp(self.level() + lift), 1.0)

    def serve(self, challenger: Challenger, *, share: float, days: float = 1.0) -> None:
        """Record that a share of all users saw a challenger."""
        users = share * days * self.settings.users_per_day
        if challenger.is_broken:
            self.record.broken_user_days += users
        worse = self._fresh_level() + self.lift(challenger) < self.best
        # Who sees the challenger does not see the champion, whose days are counted when it leaves.
        self.record.worse_user_days += users * (worse - self._is_worse())

    def promote(self, challenger: Challenger) -> None:
        """Make a challenger the champion."""
        self.count_promotion(challenger)
        before = 0.0 if self.settings.retrains else self.champion.quality
        quality = before + challenger.gain + challenger.loss
        self.crown(Champion(quality, challenger.trained_on))

    def crown(self, champion: Champion) -> None:
        """Let a champion serve from today on, and count the days of the one before."""
        self._count_days()
        self.champion, self.serves_since = champion, self.day
        self.best = max(self.best, self._fresh_level())

    def count_promotion(self, challenger: Challenger) -> None:
        """Count what becomes champion, and whether it is harmful."""
        lift = self.lift(challenger)
        self.record.promotions += 1
        self.record.harmful += lift < 0
        self.record.clearly_harmful += lift < HARMFUL
        self.record.broken_promotions += challenger.is_broken

    def end(self) -> YearRecord:
        """Return what the year brought, on its last day."""
        self.day = self.settings.days
        self._count_days()
        self.record.final = self.level()
        return self.record

    def _count_days(self) -> None:
        days = self.day - self.serves_since
        self.record.worse_user_days += self._is_worse() * days * self.settings.users_per_day

    def _is_worse(self) -> bool:
        """Whether the champion is worse than one before it; all age at one rate."""
        return self._fresh_level() < self.best

    def _fresh_level(self) -> float:
        """What the champion's level would be on the first day, had it been trained then."""
        return self.champion.quality + self._aged(self.champion.trained_on)

    def _aged(self, days: float) -> float:
        return self.settings.ageing * days / DAYS_PER_WEEK


def _clip(value: float) -> float:
    return max(value, MIN_LOG)


def draw_challengers(settings: YearSettings, rng: np.random.Generator) -> tuple[Challenger, ...]:
    """Draw the challengers of a year."""
    count = math.ceil(settings.weeks * settings.challengers_per_week)
    gains = rng.normal(settings.prior_mean, settings.prior_sd, count)
    broken = rng.random(count) < settings.share_broken
    losses = rng.uniform(MIN_LOSS, 1.0, count)
    return tuple(
        Challenger(
            number,
            int(number * DAYS_PER_WEEK / settings.challengers_per_week),
            float(gains[number]),
            max(math.log1p(-losses[number]), MIN_LOG) if broken[number] else 0.0,
        )
        for number in range(count)
    )
