"""Predictions beside CUPED, clusters beside rows, shrunken segments: variance removed, errors, coverage."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cdnow import LIFETIMES, read_cdnow
from benchmarks.results import Row, write_result
from benchmarks.variance_live import USERS, cdnow_orders, observe, simulate_orders
from experiments.stats.cross_fit import FOLDS, cross_fit
from experiments.stats.effects import compare, critical_value
from experiments.stats.segments import SegmentEffect
from experiments.stats.shrunken_segments import shrink_segments
from experiments.stats.totals import Totals
from inference.encoders.locate import fetch_from_wheel

ALPHA = 0.05
SEGMENTS, COUNT, SPREADS = "8 segments,", 8, (0.0, 0.5, 1.0, 3.0)
NOTES = (
    f"Predictions cross-fitted in {FOLDS} parts; one test per split. Segments: effects with standard "
    "errors of 0.5 to 1.5; coverage is the mean over segments and runs. By the worker: orders are recorded "
    "as events, the prediction is learnt at an experiment's start and written for each user by the roll-up; "
    "91 days of CDNOW and the 91 before, 14 of the simulated orders and 28 before. Users are exposed by "
    "their first event in the 28 days after the start, as the prediction takes past ones."
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rate:
    """How often a test of no effect said that there was one."""

    share: float
    runs: int

    def row(self, what: str) -> Row:
        allowed = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / self.runs)
        return Row(
            what, float(self.share), "share", target=f"ours <= {allowed:.4f}", higher_is_better=False,
            spread=f"{self.runs} runs",
        )  # fmt: skip


def run(size: str, home: str) -> None:
    full = size == "full"
    splits = 2_000 if full else 100
    rows = []
    customers = read_cdnow(Path(home))
    rows += _cupac(f"CDNOW, {len(customers.after):,} customers", customers.before, customers.history,
                   customers.after, splits=splits)  # fmt: skip
    before, history, after = simulate_histories(20_000, 21)
    rows += _cupac("simulated histories, 20,000 users", before, history, after, splits=splits)
    rows.append(segment_row(before, history, after))
    rows += _by_the_worker(Path(home), splits, full=full)
    rows += _clustered("60 shops of 20 to 40 customers", shops, splits)
    rows += _clustered("switchback, 120 blocks of 2 hours, a drift over the day", blocks, splits)
    rows += shrunken_coverage(splits)
    write_result("variance", size, rows, NOTES)


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
    return _beside(name, before, predicted, after, splits=splits)


def _beside(name: str, before: Array, predicted: Array, after: Array, *, splits: int) -> list[Row]:
    rng, wrong, cut = np.random.default_rng(7), np.zeros(2), np.zeros(2)
    for _ in range(splits):
        treated = rng.random(len(after)) < 0.5
        for n, covariate in enumerate((before, predicted)):
            effect = compare("mean", *(_totals(after, covariate, m) for m in (~treated, treated)))
            wrong[n] += effect.p_value < ALPHA
            cut[n] += effect.variance_reduction or 0.0
    cuped, cupac = map(float, cut / splits)
    return [
        Row(f"{name}: variance removed by a prediction (CUPAC), beside the past number (CUPED)",
            cupac, "share", peer=cuped, target="ratio_to_peer >= 1"),
        Rate(wrong[1] / splits, splits).row(f"{name}: false positives, CUPAC"),
        Rate(wrong[0] / splits, splits).row(f"{name}: false positives, CUPED"),
    ]  # fmt: skip


def _by_the_worker(home: Path, splits: int, *, full: bool) -> list[Row]:
    """Return the same of covariates that were learnt at a start and written by the roll-up."""
    folder = fetch_from_wheel(*LIFETIMES, home / "datasets")
    lines = (folder / "CDNOW_master.txt").read_text().splitlines()
    users = USERS if full else 2_000
    sets = {
        "CDNOW": cdnow_orders(iter(lines)),
        f"simulated orders, {users:,} users": simulate_orders(users, 21),
    }
    return [
        row
        for name, one in observe(sets, home).items()
        for row in _beside(f"{name}, by the worker", one.cuped, one.cupac, one.after, splits=splits)
    ]


def segment_row(before: Array, history: Array, after: Array) -> Row:
    """Return what a segment among the features takes out, beside the history alone.

    Args:
        before: the same number before, shape (users,).
        history: features, the segment (the plan) last, shape (users, features).
        after: the outcome, shape (users,).
    """
    fold = np.random.default_rng(1).integers(0, FOLDS, len(after))
    treated = np.random.default_rng(7).random(len(after)) < 0.5
    cuts = []
    for features in (history, history[:, :-1]):
        predicted = cross_fit(features, after, fold)
        effect = compare("mean", *(_totals(after, predicted, side) for side in (~treated, treated)))
        cuts.append(effect.variance_reduction or 0.0)
    return Row(
        f"simulated histories, {len(before):,} users: variance removed by a prediction with a segment (the "
        "plan) among its features, beside without",
        float(cuts[0]), "share", peer=float(cuts[1]), target="ratio_to_peer >= 1",
    )  # fmt: skip


def shops(rng: np.random.Generator) -> tuple[Array, NDArray[np.bool_], NDArray[np.int64]]:
    """Customers of shops that differ, half of which are treated without an effect.

    Returns:
        A value, whether it was treated, and the shop, of each customer.
    """
    shop = np.repeat(np.arange(60), 20 + rng.integers(0, 21, 60))
    treated = rng.permutation(60) < 30
    return rng.normal(10, 2, 60)[shop] + rng.normal(0, 3, len(shop)), treated[shop], shop


def blocks(rng: np.random.Generator) -> tuple[Array, NDArray[np.bool_], NDArray[np.int64]]:
    """Orders in blocks whose levels follow the day, and each other (autoregressive, .6)."""
    level, noise = np.zeros(120), rng.normal(0, 1.5, 120)
    for n in range(120):
        level[n] = 0.6 * level[n - 1] * (n > 0) + noise[n] + np.sin(2 * np.pi * n / 12)
    block = np.repeat(np.arange(120), rng.poisson(16, 120) + 1)
    treated = rng.permutation(120) < 60
    return level[block] + rng.normal(0, 2, len(block)), treated[block], block


def _clustered(name: str, draw: Callable[[np.random.Generator], Any], runs: int) -> list[Row]:
    rng, wrong = np.random.default_rng(11), np.zeros(2)
    for _ in range(runs):
        values, treated, cluster = draw(rng)
        sides, rows = [], []
        for side in (~treated, treated):
            _, place = np.unique(cluster[side], return_inverse=True)
            sums, sizes = np.bincount(place, values[side]), np.bincount(place).astype(float)
            sides.append(Totals.of(sums.tolist(), sizes.tolist()))
            rows.append(_totals(values, np.zeros(len(values)), side))
        wrong += [compare("ratio", *sides).p_value < ALPHA, compare("mean", *rows).p_value < ALPHA]
    ours, naive = map(float, wrong / runs)
    return [
        Rate(ours, runs).row(f"{name}: false positives, by clusters"),
        Row(f"{name}: false positives, as if rows were independent", naive, "share", target="ours >= 0.15"),
    ]  # fmt: skip


def shrunken_coverage(runs: int) -> list[Row]:
    """Return how often intervals of shrunken effects cover the true effects, by their spread.

    The estimates of eight segments have standard errors of one on average, which is the spread's unit.
    """
    rng, rows = np.random.default_rng(17), []
    for spread in SPREADS:
        covered, narrower = np.empty(runs), np.empty(runs)
        for n in range(runs):
            truth = rng.normal(0.5, spread, COUNT)
            errors = rng.uniform(0.5, 1.5, COUNT)
            covered[n], narrower[n] = _cover(truth, rng.normal(truth, errors), errors)
        error = float(covered.std(ddof=1)) / math.sqrt(runs)
        what = f"{SEGMENTS} true effects that scatter by {spread:g} standard errors"
        rows += [
            Row(f"{what}: covered by the intervals of 95 %", float(covered.mean()), "share",
                target="ours >= 0.925", spread=f"± {1.96 * error:.4f}, {runs} runs"),
            Row(f"{what}: width of the intervals beside those of the segments alone",
                float(narrower.mean()), "ratio", higher_is_better=False, spread=f"{runs} runs"),
        ]  # fmt: skip
    return rows


def _cover(truth: Array, estimates: Array, errors: Array) -> tuple[float, float]:
    """Return the share of true effects in their intervals, and the intervals' relative width."""
    z = critical_value(ALPHA)
    segments = [
        SegmentEffect(f"country={n}", "treatment", estimate=float(estimate), se=float(se))
        for n, (estimate, se) in enumerate(zip(estimates, errors, strict=True))
    ]
    shrunk, _ = shrink_segments(segments, alpha=ALPHA)
    bounds = np.array([one.shrunken_interval for one in shrunk])
    covered = (bounds[:, 0] <= truth) & (truth <= bounds[:, 1])
    return float(covered.mean()), float(((bounds[:, 1] - bounds[:, 0]) / (2 * z * errors)).mean())


def _totals(y: Array, x: Array, side: NDArray[np.bool_]) -> Totals:
    """Sum the units of one side, as `Totals.of` does, by numpy."""
    y, x = y[side], x[side]
    n = len(y)
    plain = Totals.of_mean(n=n, nonzero=int((y != 0).sum()), total=float(y.sum()), squares=float(y @ y))
    return plain + Totals(
        sum_x=float(x.sum()), sum_xx=float(x @ x), sum_yx=float(y @ x), sum_dx=float(x.sum()),
        sum_xw=float(x.sum()),
    )  # fmt: skip
