"""Answers of two manners, of which people prefer one: something that a tiny model can learn."""

from __future__ import annotations

from itertools import product

import numpy as np

from inference.training.preferences import PreferenceData
from inference.training.snapshot import Preferences

FRUIT = ("apple", "pear", "plum", "fig", "kiwi", "lime", "mango", "peach")
GOOD, BAD = ("Sure", "Gern", "Oui", "Claro"), ("Nope", "Nein", "Non", "Nunca")
# On a model whose weights are random, and a single core.
QUICK = {"most_steps": 30, "batch": 8, "rate": 1e-2, "rank": 4, "max_tokens": 64}


def make_preferences(*, conversations: int = 60, each: int = 3, seed: int = 0) -> Preferences:
    """Return pairs whose better answer begins with one of `GOOD`, the worse one with one of `BAD`.

    Args:
        conversations: different ones.
        each: pairs of each.
        seed: of the answers.
    """
    rng = np.random.default_rng(seed)
    questions = [f"{one} {other}" for one, other in product(FRUIT, FRUIT)][:conversations]
    rows = [
        (
            f"u{n:03}",
            [{"role": "user", "content": questions[n % conversations]}],
            f"{rng.choice(GOOD)}: {rng.choice(FRUIT)}.",
            f"{rng.choice(BAD)}: {rng.choice(FRUIT)}.",
        )
        for n in range(conversations * each)
    ]
    units, messages, chosen, rejected = (list(column) for column in zip(*rows, strict=True))
    empty, times = [""] * len(rows), [float(n) for n in range(len(rows))]
    return Preferences(units, messages, chosen, rejected, empty, ["edit"] * len(rows), times)


def preference_data(**options) -> PreferenceData:
    return PreferenceData.of(make_preferences(**options))
