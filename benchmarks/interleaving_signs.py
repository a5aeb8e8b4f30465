"""Whether interleaving has the sign of the A/B where the A/B's interval excludes 0, with users of each drawn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.interleaved_slates import draft_slates, unit_scores
from benchmarks.interleaving_pairs import draw_sessions
from benchmarks.results import Row

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.interleaved_slates import Slates
    from benchmarks.interleaving_pairs import World

Z = 1.959964
FEWER = 10  # users of an A/B over those of the interleaving beside it


def sign_rows(
    world: World,
    pairs: list[tuple[str, str]],
    rng: np.random.Generator,
    *,
    drafts: int,
    sizes: list[tuple[int, int]],
) -> list[Row]:
    """Return the agreement for each number of users of an A/B, both arms, and of repeats of each pair."""
    agrees: dict[int, list[bool]] = {users: [] for users, _ in sizes}
    runs = {users: repeats * len(pairs) for users, repeats in sizes}
    for pair in pairs:
        slates = draft_slates(world, pair, drafts=drafts)
        for users, repeats in sizes:
            for _ in range(repeats):
                sign = _sign_of_ab(world, pair, users, rng)
                if sign:
                    agrees[users].append(sign == _sign_of_interleaving(slates, users // FEWER, rng))
    return [
        Row(
            f"sign of interleaving {users // FEWER:,} users agrees with an A/B of {users:,} whose interval "
            "of 95 % excludes 0",
            float(np.mean(each)), "share", target="ours >= 0.9",
            spread=f"{sum(each)} of {len(each)}; {runs[users]} A/Bs of {len(pairs)} pairs",
        )
        for users, each in agrees.items() if each
    ]  # fmt: skip


def _sign_of_ab(world: World, pair: tuple[str, str], users: int, rng: np.random.Generator) -> int:
    """Return whose users click more for certain, 1 or -1; 0: the interval holds 0."""
    arms = [_clicks(world, name, users // 2, rng) for name in pair]
    difference = arms[0].mean() - arms[1].mean()
    error = math.sqrt(sum(one.var(ddof=1) / len(one) for one in arms))
    return int(np.sign(difference)) if abs(difference) > Z * error else 0


def _clicks(world: World, name: str, users: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw how often each user of an arm clicks in all its sessions."""
    rates = world.click_rates(world.rankings[name])
    who, sessions = rng.integers(0, len(rates), users), draw_sessions(users, rng)
    clicks: NDArray[np.int64] = rng.binomial(sessions[:, None], rates[who]).sum(axis=1)
    return clicks


def _sign_of_interleaving(slates: Slates, users: int, rng: np.random.Generator) -> int:
    return int(np.sign(unit_scores(slates, users, rng)[:, 0, 0].mean()))
