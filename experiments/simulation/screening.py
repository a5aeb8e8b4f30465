"""The screening of a simulated year: an interleaved contest, drawn user by user and judged live.

Each candidate's preference is drawn as the benchmark of interleaving has measured pairs of rankers: how
many users it needs beside an A/B, and whether its sign is that of an A/B, which below a lift of 2 % it
often is not. What is drawn is judged by the product, at every hour: `take_interleaved_look` prefers,
rejects, and lets who leaves leave; after two days what looks better goes on.

Every user gets lists of all, so each candidate has 1 / (1 + candidates) of what is seen. Nobody is in
one variant alone, so there is no breaker: what is broken leaves when the bet has decided.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from experiments.simulation.traffic import HOURS
from experiments.stats.interleaved_look import take_interleaved_look
from experiments.stats.interleaving import (
    BINS,
    MAX_SCORE,
    UNRELIABLE_LIFT,
    InterleavedInput,
    UnitScores,
    log_e_mean,
)
from experiments.stats.interleaving_power import CLOSE_LIFT
from experiments.stats.look_input import LookInput
from experiments.stats.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from experiments.simulation.year import Challenger, Year
    from experiments.stats.look_result import LookResult

DAYS, MAX_CANDIDATES = 2, 3
SECONDS_PER_HOUR = 3600.0


class MeasuredPair(NamedTuple):
    """A pair of rankers of the benchmark.

    Attributes:
        times: users of an A/B over users of interleaving.
        agrees: whether both have one sign.
    """

    times: float
    agrees: bool = True


def _agreeing(*times: float) -> tuple[MeasuredPair, ...]:
    return tuple(MeasuredPair(one) for one in times)


# By the size of the lift: docs/statistics/interleaving.md, column "A/B over score", as it was before
# later lists of a user counted less (decision 0086), so on the careful side. From 2 % on every sign
# agrees. Below, the six ratios move from run to run of the bench, whose tables need not have these;
# four of the six signs agreed.
FAR = _agreeing(
    8.4, 8.3, 9.6, 6.3, 7.6, 8.0, 7.2, 8.4, 7.5, 13.9, 11.7, 10.9, 12.1, 17.4, 11.4, 7.7, 22.7, 38.5,
    36.5,
)  # fmt: skip
CLOSE = _agreeing(
    6.2, 6.6, 14.9, 18.6, 9.0, 35.3, 26.1, 27.2, 22.0, 9.7, 7.1, 16.8, 23.7, 29.4, 7.6, 56.9, 55.9, 4.2,
    9.5, 210.9,
)  # fmt: skip
UNRELIABLE = (
    *_agreeing(4.5, 19.6, 19.8, 1.5),
    MeasuredPair(3.7, agrees=False),
    MeasuredPair(10.5, agrees=False),
)
# Of a unit's bounded score: share that is not 0, and its size where it is not; a third of a click in
# each pair of the benchmark, which this is in the middle of.
TAKES_SIDE, SCORE_BIN = 0.5, round(0.42 * BINS)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A challenger in its screening.

    Attributes:
        key: of its variant.
        challenger: that is screened.
        chances: that a user prefers the control, neither, it.
    """

    key: str
    challenger: Challenger
    chances: tuple[float, float, float]


def screen_challengers(
    year: Year, waiting: Sequence[Challenger], *, planned_units: int
) -> Challenger | None:
    """Interleave challengers with the champion; return which one goes on to its test.

    Args:
        year: that passes, by two days at most.
        waiting: in the order of training; the newest three have their turn.
        planned_units: of the surface's policy.

    Returns:
        Whom users prefer, or, after two days without a verdict, who looks best; None where none looks
        better than the champion.
    """
    screened = waiting[-MAX_CANDIDATES:]
    year.record.screened += len(screened)
    policy = Policy(
        rule="always_valid",
        planned_units=planned_units,
        overrun=1.0,
        minimum_run_seconds=0.0,
        promote=False,
    )
    contest = Contest(year, [draw_candidate(year, one) for one in screened], policy)
    while not year.is_over:
        result = contest.pass_day()
        if result is not None:
            return contest.going_on(result)
    return None


def draw_candidate(year: Year, challenger: Challenger) -> Candidate:
    """Draw how well interleaving sees a challenger, as a pair of the benchmark whose lift is as large.

    Of a proportion p and a lift ℓ an A/B needs 4 (z_α + z_β)² (1 − p) / (p ℓ²) users, and interleaving
    (z_α + z_β)² σ² / μ², `times` fewer: that fixes μ / σ of a user's score. Among several candidates
    one needs no more users than alone: the benchmark has a row of it.

    Args:
        year: that passes.
        challenger: that is screened.
    """
    lift, rate = math.expm1(year.lift(challenger)), year.rate()
    pair = draw_pair(lift, year.rng)
    times = pair.times * year.settings.interleaving
    signal = abs(lift) * math.sqrt(times * rate / (4 * max(1 - rate, 1e-9)))
    leaning = signal * math.sqrt(TAKES_SIDE / (1 + signal**2))
    leaning = min(leaning, TAKES_SIDE) * math.copysign(1, lift if pair.agrees else -lift)
    chances = ((TAKES_SIDE - leaning) / 2, 1 - TAKES_SIDE, (TAKES_SIDE + leaning) / 2)
    return Candidate(f"treatment-{challenger.number}", challenger, chances)


def draw_pair(lift: float, rng: np.random.Generator) -> MeasuredPair:
    """Return a measured pair whose lift is about as large."""
    size = abs(lift)
    pairs = UNRELIABLE if size < UNRELIABLE_LIFT else CLOSE if size < CLOSE_LIFT else FAR
    return pairs[int(rng.integers(len(pairs)))]


class Contest:
    """Candidates that share lists with the champion, hour by hour."""

    def __init__(self, year: Year, candidates: Sequence[Candidate], policy: Policy) -> None:
        self.year = year
        self.candidates = candidates
        self.policy = policy
        self.alpha = policy.alpha / len(candidates)
        self.sides = np.zeros((len(candidates), 3), np.int64)  # users by whom they prefer
        self.left: list[str] = []
        self.hours = 0

    def pass_day(self) -> LookResult | None:
        """Pass a day; return the verdict if one falls on it."""
        year = self.year
        drawn = np.stack([self._draw_day(one) for one in self.candidates])  # (candidates, hours, 3)
        for hour in range(HOURS):
            self.sides += drawn[:, hour]
            self.hours += 1
            present = [one for one in self.candidates if one.key not in self.left]
            for one in present:
                year.serve(one.challenger, share=1 / (1 + len(present)), days=1 / HOURS)
            result = self._look()
            if result is not None and result.action != "keep_running":
                year.day += 1
                return result
        year.day += 1
        return None

    def _draw_day(self, candidate: Candidate) -> NDArray[np.int64]:
        """Return whom the users of each hour prefer, shape (hours, 3)."""
        rng, users = self.year.rng, round(self.year.settings.users_per_day)
        by_hour = rng.multinomial(users, np.full(HOURS, 1 / HOURS))
        return rng.multinomial(by_hour, candidate.chances)

    def _look(self) -> LookResult | None:
        """Return this hour's look, or None where it could not change anything."""
        is_last = self.hours >= DAYS * HOURS
        bound = math.log(1 / self.alpha)
        values = np.array([-SCORE_BIN, 0, SCORE_BIN]) / BINS
        decided = [
            one.key not in self.left and log_e_mean(values, side.astype(np.float64), mean=0.0) >= bound
            for one, side in zip(self.candidates, self.sides, strict=True)
        ]
        over = self.sides[0].sum() >= self.policy.overrun * self.policy.planned_units
        if not (is_last or over or any(decided)):
            return None
        inputs = LookInput(
            policy=self.policy,
            control="control",
            treatments=[one.key for one in self.candidates],
            metrics=[],
            exposures=[],
            crossover_units=0,
            elapsed_seconds=self.hours * SECONDS_PER_HOUR,
            left=tuple(self.left),
        )
        result = take_interleaved_look(
            inputs, InterleavedInput([*map(self._scores, range(len(self.sides)))], is_last=is_last)
        )
        self.left += [key for key in result.leaving if key not in self.left]
        return result

    def _scores(self, at: int) -> UnitScores:
        losses, ties, wins = map(int, self.sides[at])
        bins: Mapping[int, int] = {-SCORE_BIN: losses, 0: ties, SCORE_BIN: wins}
        score = (wins - losses) * SCORE_BIN / BINS * MAX_SCORE
        return UnitScores(
            self.candidates[at].key, bins, wins, losses, score, control=float(wins + losses)
        )

    def going_on(self, result: LookResult) -> Challenger | None:
        """Return who is tested next, as the platform's own screenings end."""
        by_key = {one.key: one.challenger for one in self.candidates}
        if result.action == "prefer":
            return by_key[result.variant or ""]
        if result.action != "stop_inconclusive":
            return None
        better = [
            one for one in result.preferences if one.preference > 0 and one.variant not in self.left
        ]
        best = max(better, key=lambda one: one.preference, default=None)
        return by_key[best.variant] if best is not None else None
