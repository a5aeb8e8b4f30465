"""What simulated experiments are made of: units drawn in bulk, or real ones split at random.

Each look's totals are computed for thousands of experiments in one array, by the formulas of `effects`.
Everything is pure: randomness comes in as a generator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from experiments.kinds import PROPORTIONS
from experiments.stats.scenario import Epoch
from experiments.stats.sides import Part, Side, compare_sides, draw_side, mean_side, paths_of, ratio_of
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from experiments.stats.policy import Policy
    from experiments.stats.scenario import Scenario
    from experiments.stats.simulate import Paths

    Array = NDArray[np.float64]
CHUNK = 500  # experiments drawn at a time: bounds memory


KINDS = ("proportion", "mean", "revenue", "whales", "ratio", "covariate", "median")


def draw_paths(
    scenario: Scenario,
    *,
    looks: int,
    units_per_look: int,
    experiments: int,
    policy: Policy,
    rng: np.random.Generator,
) -> Iterator[Paths]:
    """Draw experiments, in chunks.

    Args:
        scenario: what the units are like.
        looks: how many looks each experiment has.
        units_per_look: units of both variants that become complete between two looks.
        experiments: how many are drawn.
        policy: whose count gates apply.
        rng: the source of randomness.

    Raises:
        StatisticsError: an unknown kind, or a level that its kind does not allow.
    """
    if scenario.kind not in KINDS:
        raise StatisticsError(f"kind == '{scenario.kind}', must be one of {list(KINDS)}.")
    share = scenario.kind in {"proportion", "revenue", "whales", "ratio"}
    if share and not 0 < scenario.level * (1 + max(scenario.lift, 0)) < 1:
        raise StatisticsError(
            f"level == {scenario.level:g}, must be in (0, 1) with and without the lift."
        )
    epochs = scenario.epochs or [Epoch(looks)]
    for start in range(0, experiments, CHUNK):
        count = min(CHUNK, experiments - start)
        yield _draw(scenario, epochs, units_per_look, count, policy, rng)


def _draw(
    scenario: Scenario,
    epochs: Sequence[Epoch],
    per_look: int,
    count: int,
    policy: Policy,
    rng: np.random.Generator,
) -> Paths:
    looks = sum(epoch.looks for epoch in epochs)
    units = np.arange(1, looks + 1) * per_look
    parts: list[Part] = []
    batches, at = [], 0
    for epoch in epochs:
        n_t = round(per_look * epoch.share)
        sides = [
            draw_side(scenario, (count, epoch.looks, n), epoch.base * (1 + lift), rng)
            for n, lift in ((per_look - n_t, 0.0), (n_t, scenario.lift))
        ]
        difference = compare_sides(scenario.kind, *sides)
        parts.append(Part(*(_stretch(column, at, looks) for column in difference)))
        if scenario.kind in PROPORTIONS:
            new = [np.diff(side.nonzero, axis=1, prepend=0) for side in sides]
            sizes = [np.full_like(new[0], n) for n in (n_t, per_look - n_t)]
            batches.append(np.stack([sizes[0], new[1], sizes[1], new[0]], axis=2))
        at += epoch.looks
    return paths_of(scenario.kind, parts, units, policy, batches)


def _stretch(values: Array, at: int, looks: int) -> Array:
    """Place an epoch's cumulative values among all looks; after its end they stay as they were."""
    whole = np.zeros((values.shape[0], looks))
    whole[:, at : at + values.shape[1]] = values
    whole[:, at + values.shape[1] :] = values[:, -1:]
    return whole


def permuted_paths(
    y: Array,
    d: Array,
    *,
    looks: int,
    experiments: int,
    policy: Policy,
    kind: str,
    rng: np.random.Generator,
) -> Iterator[Paths]:
    """Split real units at random again and again: A/A experiments on a project's own traffic.

    Args:
        y: each unit's value or numerator, in the order of exposure, shape (units,).
        d: its denominator, 1 but for a ratio, shape (units,).
        looks: how many looks each experiment has.
        experiments: how many are drawn.
        policy: whose count gates apply.
        kind: of the metric: proportion, mean or ratio.
        rng: the source of randomness.

    Raises:
        StatisticsError: fewer units than looks.
    """
    if len(y) < 2 * looks:
        raise StatisticsError(f"units == {len(y)}, must be at least {2 * looks} for {looks} looks.")
    ends = np.linspace(0, len(y), looks + 1).astype(int)
    columns = np.stack([np.ones_like(y), (y != 0).astype(float), y, y * y, d, d * d, y * d])
    whole = np.add.reduceat(columns, ends[:-1], axis=1).cumsum(axis=1)
    for start in range(0, experiments, CHUNK):
        count = min(CHUNK, experiments - start)
        treated = np.empty((count, len(columns), looks))
        for row in range(count):
            mask = (rng.random(len(y)) < 0.5).astype(float)
            treated[row] = np.add.reduceat(columns * mask, ends[:-1], axis=1).cumsum(axis=1)
        yield _permuted(kind, whole[None] - treated, treated, ends[1:], policy)


def _permuted(kind: str, c: Array, t: Array, units: NDArray[np.int64], policy: Policy) -> Paths:
    sides: list[Side] = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for totals in (c, t):
            n, nonzero, y, yy, d, dd, yd = (totals[:, k] for k in range(7))
            if kind == "ratio":
                sides.append(ratio_of(n, nonzero, y, yy, d, dd, yd))
            else:
                sides.append(mean_side(n, nonzero, y, yy))
        part = Part(*compare_sides(kind, *sides))
    batches = []
    if kind in PROPORTIONS:
        new = [np.diff(side[:, :2], axis=2, prepend=0) for side in (t, c)]
        batches = [np.stack([new[0][:, 0], new[0][:, 1], new[1][:, 0], new[1][:, 1]], axis=2)]
    return paths_of(kind, [part], units, policy, batches)
