"""Predictions beside CUPED: the variance that each takes out, and false positives with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.cdnow import read_cdnow
from benchmarks.results import Row, write_result
from experiments.stats.cross_fit import FOLDS, cross_fit
from experiments.stats.effects import compare
from experiments.stats.totals import Totals

ALPHA = 0.05

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rate:
    """How often a test of no effect said that there was one."""

    share: float
    runs: int

    def row(self, what: str) -> Row:
        allowed = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / self.runs)
        return Row(
            what, self.share, "share", target=f"ours <= {allowed:.4f}", higher_is_better=False,
            spread=f"{self.runs} runs",
        )  # fmt: skip


def run(size: str, home: str) -> None:
    full = size == "full"
    splits = 2_000 if full else 100
    rows = []
    customers = read_cdnow(Path(home))
    rows += _cupac(f"CDNOW, {len(customers.after):,} customers", customers.before, customers.history,
                   customers.after, splits=splits)  # fmt: skip
    rows += _cupac("simulated histories, 20,000 users", *simulate_histories(20_000, 21), splits=splits)
    write_result(
        "variance", size, rows, f"Predictions cross-fitted in {FOLDS} parts; one test per split."
    )


def simulate_histories(users: int, seed: int) -> tuple[Array, Array, Array]:
    """Users with a heavy-tailed taste, who come, pause and leave: history, features and outcome.

    Returns:
        The same number before (users,), features (users, 6), and the number after (users,).
    """
    rng = np.random.default_rng(seed)
    rate = rng.gamma(0.8, 2.0, users)  # of orders in the time before
    left = rng.random(users) < 0.4  # who has left orders no more; the last order says when
    until = np.where(left, rng.random(users), 1.0)
    stretches = np.array([3 / 4, 15 / 16])  # the last quarter and sixteenth begin here
    edges = np.column_stack(
        [np.zeros(users), *(np.full(users, one) for one in stretches), np.ones(users)]
    )
    lengths = np.clip(np.minimum(edges[:, 1:], until[:, None]) - edges[:, :-1], 0, None)
    orders = rng.poisson(rate[:, None] * lengths)
    dollars = orders * rng.lognormal(3, 0.5, users)[:, None]
    plan = rng.integers(0, 2, users).astype(float)
    after = rng.poisson(rate * ~left * (1 + plan)) * rng.lognormal(3, 0.5, users)
    history = np.column_stack([
        dollars.sum(axis=1), dollars[:, 1:].sum(axis=1), dollars[:, 2], orders.sum(axis=1),
        1 - until, plan,
    ])  # fmt: skip
    return history[:, 0], history, after


def _cupac(name: str, before: Array, history: Array, after: Array, *, splits: int) -> list[Row]:
    predicted = cross_fit(history, after, np.random.default_rng(1).integers(0, FOLDS, len(after)))
    rng, wrong, cut = np.random.default_rng(7), np.zeros(2), np.zeros(2)
    for _ in range(splits):
        treated = rng.random(len(after)) < 0.5
        for n, covariate in enumerate((before, predicted)):
            effect = compare("mean", *(_totals(after, covariate, m) for m in (~treated, treated)))
            wrong[n] += effect.p_value < ALPHA
            cut[n] += effect.variance_reduction or 0.0
    cuped, cupac = cut / splits
    return [
        Row(f"{name}: variance removed by a prediction (CUPAC), beside the past number (CUPED)",
            cupac, "share", peer=cuped, target="ratio_to_peer >= 1"),
        Rate(wrong[1] / splits, splits).row(f"{name}: false positives, CUPAC"),
        Rate(wrong[0] / splits, splits).row(f"{name}: false positives, CUPED"),
    ]  # fmt: skip


def _totals(y: Array, x: Array, side: NDArray[np.bool_]) -> Totals:
    """Sum the units of one side, as `Totals.of` does, by numpy."""
    y, x = y[side], x[side]
    n = len(y)
    plain = Totals.of_mean(n=n, nonzero=int((y != 0).sum()), total=float(y.sum()), squares=float(y @ y))
    return plain + Totals(
        sum_x=float(x.sum()), sum_xx=float(x @ x), sum_yx=float(y @ x), sum_dx=float(x.sum()),
        sum_xw=float(x.sum()),
    )  # fmt: skip
