"""Drafted slates of a world's users, by the product's own coins and credit, and what users click in them."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from benchmarks.interleaving_pairs import DECAY, MAX_SESSIONS, K, World, draw_sessions
from experiments.stats.interleaved_credit import DraftedSlate, credit_of, dealt_rounds
from experiments.stats.interleaving import MAX_SCORE
from inference.serving.team_draft import draft_slate

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Slates:
    """Drafted slates of every user: chance of a click, score and team credit of each place.

    Attributes:
        drafted: by user, each of its drafts.
        rates: shape (users, drafts, K).
        scores: of each version against the control, shape (versions, users, drafts, K).
        teams: likewise.
    """

    drafted: list[list[DraftedSlate]]
    rates: Array
    scores: Array
    teams: NDArray[np.int64]

    @property
    def versions(self) -> int:
        return len(self.scores)

    def dealt(self) -> NDArray[np.bool_]:
        """Return which places a coin has dealt out, of the shape of the rates."""
        dealt = np.zeros(self.rates.shape, bool)
        for user, drafts in enumerate(self.drafted):
            for n, slate in enumerate(drafts):
                for start, end in dealt_rounds(slate):
                    dealt[user, n, start:end] = True
        return dealt

    def seen_by(self, decay: float) -> Slates:
        """Return the same slates in a world whose places fade by another curve."""
        return replace(self, rates=self.rates * np.arange(1, K + 1) ** (DECAY - decay))


def draft_slates(world: World, names: tuple[str, ...], *, drafts: int) -> Slates:
    """Draft the rankers of these names, the last as the control, and score by the true curve."""
    coins = random.Random(3)
    *versions, control = (world.rankings[name] for name in names)
    shown = np.zeros((len(control), drafts, K), int)
    drafted: list[list[DraftedSlate]] = []
    for user in range(len(control)):
        rankings = [[str(item) for item in lists[user]] for lists in (control, *versions)]
        drafted.append([])
        for n in range(drafts):
            draft = draft_slate(rankings, K, rng=coins)
            teams, ranks = (
                tuple(getattr(one, name) for one in draft.picks) for name in ("team", "ranks")
            )
            drafted[-1].append(DraftedSlate(teams, ranks, draft.rest))
            shown[user, n] = [int(pick.item_id) for pick in draft.picks]
    rates = world.click_rates(shown.reshape(len(control), -1), places=K).reshape(shown.shape)
    scores, teams_won = credits_of(drafted, len(versions), decay=DECAY)
    return Slates(drafted, rates, scores, teams_won)


def credits_of(
    drafted: list[list[DraftedSlate]], versions: int, *, decay: float
) -> tuple[Array, NDArray[np.int64]]:
    """Return score and team credit of a click on each place, each (versions, users, drafts, K)."""
    shape = (versions, len(drafted), len(drafted[0]), K)
    scores, teams = np.zeros(shape), np.zeros(shape, int)
    for user, drafts in enumerate(drafted):
        for n, slate in enumerate(drafts):
            for place in range(K):
                for version, credit in enumerate(credit_of(slate, [place], decay=decay)):
                    scores[version, user, n, place] = credit.score
                    teams[version, user, n, place] = credit.team
    return scores, teams


def deal_sides(world: World, names: tuple[str, ...]) -> World:
    """Return a world without a preference: each user once per order in which the rankers have sides.

    Side 0 is as often each of the rankers as any other side, so no side pleases more.
    """
    orders = list(permutations(names))
    sides = {
        f"side {n}": np.concatenate([world.rankings[order[n]] for order in orders])
        for n in range(len(names))
    }
    return World(sides, np.concatenate([world.likes] * len(orders)))


def unit_scores(slates: Slates, units: int, rng: np.random.Generator) -> Array:
    """Return bounded score and team credit of units, each with the clicks of all its sessions.

    Returns:
        Of each version, shape (units, versions, 2).
    """
    users, drafts, _ = slates.rates.shape
    who, sessions = rng.integers(0, users, units), draw_sessions(units, rng)
    total = np.zeros((units, slates.versions, 2))
    for session in range(MAX_SESSIONS):
        on = np.flatnonzero(sessions > session)
        place = who[on], rng.integers(0, drafts, len(on))
        clicks = rng.random((len(on), K)) < slates.rates[place]
        for version in range(slates.versions):
            score = (clicks * slates.scores[version][place]).sum(axis=1)
            total[on, version, 0] += score / math.sqrt(session + 1)
            total[on, version, 1] += (clicks * slates.teams[version][place]).sum(axis=1)
    total[..., 0] = np.clip(total[..., 0], -MAX_SCORE, MAX_SCORE)
    total[np.abs(total) < 1e-9] = 0
    return total
