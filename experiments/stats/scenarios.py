"""What simulated experiments are made of: units drawn in bulk, or real ones split at random.

Each look's totals are computed for thousands of experiments in one array, by the formulas of `effects`.
Everything is pure: randomness comes in as a generator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from experiments.stats.effects import PROPORTIONS
from experiments.stats.metric_input import gate_of
from experiments.stats.simulate import Paths
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from experiments.stats.policy import Policy

    Array = NDArray[np.float64]
CHUNK = 500  # experiments drawn at a time: bounds memory


@dataclass(frozen=True, slots=True)
class Epoch:
    """A stretch of looks with one split and one base rate.

    Attributes:
        looks: how many looks fall into it.
        share: the treatment's share of the units.
        base: factor on the base level: drift.
    """

    looks: int
    share: float = 0.5
    base: float = 1.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the units of a simulated experiment are like.

    Attributes:
        kind: `proportion`; `mean` of normal values; `revenue`: zero-inflated log-normal values;
            `ratio` of clicks to views, each unit with a rate of its own; `covariate`: a mean with a
            covariate of correlation .7; `median` of log-normal values.
        level: the control's proportion, mean, share of buyers, or rate.
        lift: the treatment's relative gain.
        sd: of a mean's values.
        epochs: in order; one by default.
    """

    kind: str
    level: float = 0.1
    lift: float = 0.0
    sd: float = 1.0
    epochs: Sequence[Epoch] = ()


KINDS = ("proportion", "mean", "revenue", "ratio", "covariate", "median")
RHO = 0.7


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
    share = scenario.kind in {"proportion", "revenue", "ratio"}
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
    estimates, variances, weights, nonzero, batches = [], [], [], [], []
    at = 0
    for epoch in epochs:
        n_t = round(per_look * epoch.share)
        sides = [
            _side(scenario, (count, epoch.looks, n), epoch.base, lift, rng)
            for n, lift in ((per_look - n_t, 0.0), (n_t, scenario.lift))
        ]
        estimate, variance = _difference(scenario.kind, *sides)
        estimates.append(_stretch(estimate, at, looks))
        variances.append(_stretch(variance, at, looks))
        k = np.arange(1, epoch.looks + 1) * n_t * (per_look - n_t) / per_look
        weights.append(_stretch(np.broadcast_to(k, estimate.shape), at, looks, before=0.0))
        nonzero.append([_stretch(side.nonzero, at, looks, before=0.0) for side in sides])
        if scenario.kind in PROPORTIONS:
            new = [np.diff(side.nonzero, axis=1, prepend=0) for side in sides]
            sizes = [np.full_like(new[0], n) for n in (n_t, per_look - n_t)]
            batches.append(np.stack([sizes[0], new[1], sizes[1], new[0]], axis=2))
        at += epoch.looks
    w = np.array(weights)
    w = w / np.maximum(w.sum(axis=0), 1e-300)
    with np.errstate(invalid="ignore", divide="ignore"):
        est = np.nansum(np.where(w > 0, w * np.array(estimates), 0.0), axis=0)
        var = np.nansum(np.where(w > 0, w**2 * np.array(variances), 0.0), axis=0)
        statistic = est / np.sqrt(var)
    counts = [sum(epoch[side] for epoch in nonzero) for side in (0, 1)]
    treated = np.cumsum(
        np.repeat([round(per_look * e.share) for e in epochs], [e.looks for e in epochs])
    )
    gates = zip((units - treated).tolist(), treated.tolist(), strict=True)
    least = np.array([gate_of(policy, scenario.kind, *sizes) for sizes in gates])
    ready = (np.minimum(counts[0], counts[1]) >= least) & np.isfinite(statistic)
    return Paths(
        units=units,
        statistic=statistic,
        ready=ready,
        batches=np.concatenate(batches, axis=1).astype(np.int64) if batches else None,
        batch_of_look=np.arange(1, looks + 1) if batches else None,
    )


def _stretch(values: Array, at: int, looks: int, before: float = math.nan) -> Array:
    """Place an epoch's cumulative values among all looks; after its end they stay as they were."""
    whole = np.full((values.shape[0], looks), before)
    whole[:, at : at + values.shape[1]] = values
    whole[:, at + values.shape[1] :] = values[:, -1:]
    return whole


@dataclass(frozen=True, slots=True)
class _Side:
    """One variant's cumulative moments at each look, each of shape (experiments, looks)."""

    n: Array
    nonzero: Array
    level: Array
    variance: Array
    extra: tuple[Array, ...] = ()


def _side(
    scenario: Scenario, shape: tuple[int, int, int], base: float, lift: float, rng: np.random.Generator
) -> _Side:
    """Draw one variant: shape is (experiments, looks, units a look)."""
    level = scenario.level * base * (1 + lift)
    count, looks, per = shape
    n: Array = np.broadcast_to(np.arange(1, looks + 1) * float(per), (count, looks))
    if scenario.kind == "proportion":
        x: Array = rng.binomial(per, level, (count, looks)).cumsum(axis=1).astype(float)
        return _Side(n, x, x / n, x / n * (1 - x / n))
    if scenario.kind == "median":
        return _median(np.exp(rng.normal(0, scenario.sd, shape)) * level, n)
    if scenario.kind == "ratio":
        views: Array = (1 + rng.poisson(8, shape)).astype(float)
        rate = rng.beta(4 * level, 4 * (1 - level), shape)
        return _ratio_side(rng.binomial(views.astype(np.int64), rate).astype(float), views, n)
    if scenario.kind == "covariate":
        before: Array = rng.normal(0, 1, shape)
        rest = math.sqrt(1 - RHO**2) * rng.normal(0, 1, shape)
        return _covariate_side(level + scenario.sd * (RHO * before + rest), before, n)
    if scenario.kind == "revenue":
        spent = np.where(rng.random(shape) < level, np.exp(rng.normal(0, 1, shape)), 0.0)
        return _mean_side(spent, n)
    return _mean_side(level + scenario.sd * rng.normal(0, 1, shape), n)


def _sum(values: Array) -> Array:
    """Sum the units of each look and of those before."""
    return np.asarray(values.sum(axis=2).cumsum(axis=1))


def _mean_side(y: Array, n: Array) -> _Side:
    mean = _sum(y) / n
    return _Side(n, _sum((y != 0).astype(float)), mean, (_sum(y * y) - n * mean**2) / (n - 1))


def _ratio_side(y: Array, d: Array, n: Array) -> _Side:
    r, mean_d = _sum(y) / _sum(d), _sum(d) / n
    squares = _sum(y * y) - 2 * r * _sum(y * d) + r * r * _sum(d * d)
    return _Side(n, _sum((y != 0).astype(float)), r, squares / (n - 1) / mean_d**2)


def _covariate_side(y: Array, x: Array, n: Array) -> _Side:
    side, mean_x = _mean_side(y, n), _sum(x) / n
    xx = _sum(x * x) - n * mean_x**2
    yx = _sum(y * x) - n * mean_x * side.level
    return _Side(n, side.nonzero, side.level, side.variance, (mean_x, xx, yx))


def _median(y: Array, n: Array) -> _Side:
    """Median and its variance by Woodruff's interval, as the sketch's but on the values themselves."""
    count, looks, per = y.shape
    flat, level, variance = y.reshape(count, looks * per), np.empty(n.shape), np.empty(n.shape)
    for look in range(looks):
        m = (look + 1) * per
        step = 1.96 * 0.5 / math.sqrt(m)
        shares = np.clip([0.5 - step, 0.5, 0.5 + step], 0, 1)
        low, middle, high = np.quantile(flat[:, :m], shares, axis=1)
        level[:, look] = middle
        variance[:, look] = m * ((high - low) / (2 * 1.96)) ** 2
    return _Side(n, n, level, variance)


def _difference(kind: str, c: _Side, t: _Side) -> tuple[Array, Array]:
    """Return treatment − control and the variance of its test, each of shape (experiments, looks)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        if kind in PROPORTIONS:
            pooled = (c.nonzero + t.nonzero) / (c.n + t.n)
            return t.level - c.level, pooled * (1 - pooled) * (1 / c.n + 1 / t.n)
        if kind != "covariate":
            return t.level - c.level, c.variance / c.n + t.variance / t.n
        both, apart = c.n * t.n / (c.n + t.n), t.extra[0] - c.extra[0]
        spread = c.extra[1] + t.extra[1] + both * apart**2
        theta = (c.extra[2] + t.extra[2] + both * apart * (t.level - c.level)) / spread
        variance = sum(
            (side.variance - (2 * theta * side.extra[2] - theta**2 * side.extra[1]) / (side.n - 1))
            / side.n
            for side in (c, t)
        )
        return t.level - c.level - theta * apart, np.asarray(variance)


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
    least = policy.minimum_conversions if kind in PROPORTIONS else policy.minimum_nonzero
    columns = np.stack([np.ones_like(y), (y != 0).astype(float), y, y * y, d, d * d, y * d])
    whole = np.add.reduceat(columns, ends[:-1], axis=1).cumsum(axis=1)
    for start in range(0, experiments, CHUNK):
        count = min(CHUNK, experiments - start)
        treated = np.empty((count, len(columns), looks))
        for row in range(count):
            mask = (rng.random(len(y)) < 0.5).astype(float)
            treated[row] = np.add.reduceat(columns * mask, ends[:-1], axis=1).cumsum(axis=1)
        t, c = treated, whole[None] - treated
        yield _permuted(kind, c, t, ends[1:], least)


def _permuted(kind: str, c: Array, t: Array, units: NDArray[np.int64], least: int) -> Paths:
    sides = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for totals in (c, t):
            n, nonzero, y, yy, d, dd, yd = (totals[:, k] for k in range(7))
            if kind == "ratio":
                r = y / d
                variance = (yy - 2 * r * yd + r * r * dd) / (n - 1) / (d / n) ** 2
                sides.append(_Side(n, nonzero, r, variance))
            else:
                sides.append(_Side(n, nonzero, y / n, (yy - y * y / n) / (n - 1)))
        estimate, variance = _difference(kind, *sides)
        statistic = estimate / np.sqrt(variance)
    ready = (np.minimum(c[:, 1], t[:, 1]) >= least) & np.isfinite(statistic)
    if kind not in PROPORTIONS:
        return Paths(units, statistic, ready)
    new = [np.diff(side[:, :2], axis=2, prepend=0) for side in (t, c)]
    batches = np.stack([new[0][:, 0], new[0][:, 1], new[1][:, 0], new[1][:, 1]], axis=2)
    return Paths(units, statistic, ready, batches.astype(np.int64), np.arange(1, len(units) + 1))
