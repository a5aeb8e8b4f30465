"""Without a preference: how often interleaving decides, of two versions, of three, and by a fitted curve."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.interleaved_slates import Slates, credits_of, unit_scores
from benchmarks.interleaving_pairs import MAX_SESSIONS, K, draw_sessions
from benchmarks.results import Row
from experiments.stats.examination import PRIOR_DECAY, fit_decay
from experiments.stats.interleaving import BINS, BOTH_SIDES, MAX_SCORE
from experiments.stats.preference import log_e_sign

ALPHA, LOOKS, UNITS = 0.05, 100, 4_000
Z = 1.959964
# The curve of a world that fades faster than the prior says, and the curves that slates are scored by.
TRUE_DECAY, STEP = 1.1, 0.05
# Chances to come back after a click on either side.
RETURNS = 0.85, 0.75
CURVES = np.arange(0.5, 1.5 + STEP / 2, STEP)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Decided:
    """Shares of runs with a decision for any version at any look.

    Attributes:
        bet: by the bet, which decides.
        mixture: by the mixture of signs.
        peeked: by a fixed sign test that is read at each look.
        runs: how many.
        decay: of the curve at the end, in the mean.
    """

    bet: float
    mixture: float
    peeked: float
    runs: int
    decay: float = PRIOR_DECAY

    def rows(self, what: str) -> list[Row]:
        """Return a row per test; the last is shown for what it would do."""
        allowed = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / self.runs)
        held = {"target": f"ours <= {allowed:.4f}", "spread": f"{self.runs} runs"}
        return [
            Row(f"{what}: the bet decides", self.bet, "share", higher_is_better=False, **held),
            Row(f"{what}: the mixture of signs decides", self.mixture, "share", higher_is_better=False, **held),
            Row(f"{what}: a fixed sign test that is read at each", self.peeked, "share", higher_is_better=False),
        ]  # fmt: skip


def decide_pairs(slates: Slates, rng: np.random.Generator, *, runs: int) -> Decided:
    """Swap the sides of each unit by a coin: no preference, users as unlike as they are."""
    hits = np.zeros(3)
    for _ in range(runs):
        hits += _decisions(unit_scores(slates, UNITS, rng) * _coins(UNITS, rng))
    return Decided(*(hits / runs).tolist(), runs)


def decide_dealt(slates: Slates, rng: np.random.Generator, *, runs: int) -> Decided:
    """Take slates whose sides were dealt (`deal_sides`); the versions share alpha, as live."""
    hits = np.zeros(3)
    for _ in range(runs):
        hits += _decisions(unit_scores(slates, UNITS, rng))
    return Decided(*(hits / runs).tolist(), runs)


def decide_by_fitted_curve(slates: Slates, rng: np.random.Generator, *, runs: int) -> Decided:
    """Score each batch by the curve of the swaps before it, as live; sides are swapped by a coin.

    The fitted decay is rounded to a step of .05, since slates are scored by each curve beforehand.
    """
    world = slates.seen_by(TRUE_DECAY)
    curves = np.stack([credits_of(slates.drafted, 1, decay=float(one))[0][0] for one in CURVES])
    dealt = slates.dealt()
    hits, ends = np.zeros(3), 0.0
    for _ in range(runs):
        scores, decay = _score_in_batches(world, curves, dealt, rng)
        hits += _decisions(scores * _coins(UNITS, rng))
        ends += float(decay) / runs
    return Decided(*(hits / runs).tolist(), runs, ends)


def decide_returning(rng: np.random.Generator, *, runs: int) -> Decided:
    """Let users come back by what they clicked: as often clicked are both sides, one ends more visits."""
    hits = np.zeros(3)
    for _ in range(runs):
        unit, active = np.zeros((UNITS, 1, 2)), np.arange(UNITS)
        for number in range(1, MAX_SESSIONS + 1):
            click = rng.choice([-1, 1], len(active))
            unit[active, 0, 0] += click / math.sqrt(number)
            unit[active, 0, 1] += click
            active = active[rng.random(len(active)) < np.where(click > 0, *RETURNS)]
        unit[..., 0] = np.clip(unit[..., 0], -MAX_SCORE, MAX_SCORE)
        hits += _decisions(unit)
    return Decided(*(hits / runs).tolist(), runs)


def _coins(units: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return rng.choice([-1, 1], units)[:, None, None]


def _score_in_batches(
    slates: Slates, curves: Array, dealt: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Array, float]:
    """Return scores of units, each batch by the curve before it, shape (units, 1, 2), and the last η.

    Args:
        slates: of the world that is seen.
        curves: scores by each curve, shape (curves, users, drafts, K).
        dealt: places that a coin dealt out, shape (users, drafts, K).
        rng: where chance comes from.
    """
    users, drafts, _ = slates.rates.shape
    who, sessions = rng.integers(0, users, UNITS), draw_sessions(UNITS, rng)
    unit = np.repeat(np.arange(UNITS), np.minimum(sessions, MAX_SESSIONS))
    number = np.arange(len(unit)) - np.searchsorted(unit, unit) + 1
    at = who[unit], rng.integers(0, drafts, len(unit))
    clicks = rng.random((len(unit), K)) < slates.rates[at]
    teams = np.bincount(unit, (clicks * slates.teams[0][at]).sum(axis=1), UNITS)
    score, decay, swapped = np.zeros(UNITS), PRIOR_DECAY, np.zeros(K, int)
    for start in range(0, UNITS, UNITS // LOOKS):
        rows = slice(*np.searchsorted(unit, [start, start + UNITS // LOOKS]))
        place = at[0][rows], at[1][rows]
        nearest = int(np.abs(CURVES - decay).argmin())
        credit = (clicks[rows] * curves[nearest][place]).sum(axis=1) / np.sqrt(number[rows])
        score += np.bincount(unit[rows], credit, UNITS)
        swapped += (clicks[rows] & dealt[place]).sum(axis=0)
        # Of two versions a round is two places: (1, 2), (3, 4) and so on.
        decay = fit_decay({(n + 1, n + 2): swapped[n : n + 2].tolist() for n in range(0, K, 2)})
    total = np.stack([np.clip(score, -MAX_SCORE, MAX_SCORE), teams], axis=-1)[:, None, :]
    total[np.abs(total) < 1e-9] = 0
    return total, decay


def _decisions(unit: Array) -> NDArray[np.bool_]:
    """Return whether the bet, the mixture and the peeked test decide for any version at any look.

    Args:
        unit: bounded score and team credit, shape (units, versions, 2).
    """
    units, versions, _ = unit.shape
    at = np.unique(np.linspace(units / LOOKS, units, LOOKS).astype(int)) - 1
    bound = math.log(versions / ALPHA)
    decided = np.zeros(3, bool)
    for version in range(versions):
        shares = np.round(unit[:, version, 0] / MAX_SCORE * BINS) / BINS
        grown = np.log1p(np.outer(shares, BOTH_SIDES)).cumsum(axis=0)[at]
        decided[0] |= (np.logaddexp.reduce(grown, axis=1) - math.log(len(BOTH_SIDES)) >= bound).any()
        wins = (unit[:, version, 1] > 0).cumsum()[at]
        losses = (unit[:, version, 1] < 0).cumsum()[at]
        looks = zip(wins.tolist(), losses.tolist(), strict=True)
        decided[1] |= any(log_e_sign(won, lost) >= bound for won, lost in looks)
        z = np.abs(wins - losses) / np.sqrt(np.maximum(wins + losses, 1))
        decided[2] |= (z > Z).any()
    return decided
