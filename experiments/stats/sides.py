"""The moments of many simulated experiments at once, and what a look would make of them.

The formulas are those of `effects` and `small_counts`, over arrays; a test holds both together.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from experiments.kinds import PROPORTIONS
from experiments.stats.count_gate import gate_of
from experiments.stats.effects import UNEQUAL
from experiments.stats.simulate import Paths
from experiments.stats.small_counts import exact_statistic
from experiments.stats.strata import ProportionStratum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from experiments.stats.policy import Policy
    from experiments.stats.scenario import Scenario

    Array = NDArray[np.float64]
RHO = 0.7  # correlation of a covariate
WHALES, WHALE = 0.01, 100.0  # their share of the buyers, and how many times as much they spend
WORTH_A_TAIL = 1.0  # below this |z| no exact tail comes near a bound


class Side(NamedTuple):
    """One variant's cumulative moments at each look, each of shape (experiments, looks).

    `extra` holds what a kind needs beside them: a covariate's moments, or a median's values.
    """

    n: Array
    nonzero: Array
    level: Array
    variance: Array
    extra: tuple[Array, ...] = ()


class Part(NamedTuple):
    """One epoch of many experiments, each of shape (experiments, looks); zero before it begins.

    Attributes:
        estimate: treatment − control.
        variance: of the test of no difference.
        pooled: variance if both variants have one spread.
        spread: what the degrees of freedom are made of: Σ variance² / (n − 1) of the two means.
        control_n: units.
        control_nonzero: of them with a value.
        treatment_n: units.
        treatment_nonzero: of them with a value.
    """

    estimate: Array
    variance: Array
    pooled: Array
    spread: Array
    control_n: Array
    control_nonzero: Array
    treatment_n: Array
    treatment_nonzero: Array


def draw_side(
    scenario: Scenario, shape: tuple[int, int, int], factor: float, rng: np.random.Generator
) -> Side:
    """Draw one variant: shape is (experiments, looks, units a look), factor is on the level."""
    level = scenario.level * factor
    count, looks, per = shape
    n: Array = np.broadcast_to(np.arange(1, looks + 1) * float(per), (count, looks))
    if scenario.kind == "proportion":
        x: Array = rng.binomial(per, level, (count, looks)).cumsum(axis=1).astype(float)
        return Side(n, x, x / n, x / n * (1 - x / n))
    if scenario.kind == "median":
        values = np.exp(rng.normal(0, scenario.sd, shape)) * level
        if scenario.step:
            values = np.round(values / scenario.step) * scenario.step
        return Side(n, _sum((values != 0).astype(float)), n, n, (values.reshape(count, looks * per),))
    if scenario.kind == "ratio":
        views: Array = (1 + rng.poisson(8, shape)).astype(float)
        rate = rng.beta(4 * level, 4 * (1 - level), shape)
        y = rng.binomial(views.astype(np.int64), rate).astype(float)
        return ratio_of(n, _count(y), *(_sum(a) for a in (y, y * y, views, views * views, y * views)))
    if scenario.kind == "covariate":
        before: Array = rng.normal(0, 1, shape)
        rest = math.sqrt(1 - RHO**2) * rng.normal(0, 1, shape)
        return _covariate_side(level + scenario.sd * (RHO * before + rest), before, n)
    y = _values(scenario, level, shape, rng)
    return mean_side(n, _count(y), _sum(y), _sum(y * y))


def _values(
    scenario: Scenario, level: float, shape: tuple[int, int, int], rng: np.random.Generator
) -> Array:
    if scenario.kind == "mean":
        return np.asarray(level + scenario.sd * rng.normal(0, 1, shape))
    spent = np.where(rng.random(shape) < level, np.exp(rng.normal(0, 1, shape)), 0.0)
    if scenario.kind == "whales":
        spent = np.where(rng.random(shape) < WHALES, spent * WHALE, spent)
    return spent


def _sum(values: Array) -> Array:
    """Sum the units of each look and of those before."""
    return np.asarray(values.sum(axis=2).cumsum(axis=1))


def _count(values: Array) -> Array:
    return _sum((values != 0).astype(float))


def mean_side(n: Array, nonzero: Array, y: Array, yy: Array) -> Side:
    """Return a mean's moments from sums."""
    mean = y / n
    return Side(n, nonzero, mean, np.maximum(yy - n * mean**2, 0.0) / (n - 1))


def ratio_of(n: Array, nonzero: Array, y: Array, yy: Array, d: Array, dd: Array, yd: Array) -> Side:
    """Return a ratio's moments from sums."""
    r = y / d
    return Side(n, nonzero, r, (yy - 2 * r * yd + r * r * dd) / (n - 1) / (d / n) ** 2)


def _covariate_side(y: Array, x: Array, n: Array) -> Side:
    side, mean_x = mean_side(n, _count(y), _sum(y), _sum(y * y)), _sum(x) / n
    xx = _sum(x * x) - n * mean_x**2
    yx = _sum(y * x) - n * mean_x * side.level
    return side._replace(extra=(mean_x, xx, yx))


def compare_sides(kind: str, c: Side, t: Side) -> Part:
    """Compare two variants at each look."""
    if kind == "median":
        return _compare_medians(c, t)
    # Looks before an epoch begins divide 0 by 0; `paths_of` weighs them with 0.
    with np.errstate(invalid="ignore", divide="ignore"):
        apart, variances = t.level - c.level, [c.variance, t.variance]
        if kind == "covariate":
            apart, variances = _adjusted(c, t)
        var_c, var_t = (v / side.n for v, side in zip(variances, (c, t), strict=True))
        n, weight = c.n + t.n, c.n * t.n / (c.n + t.n)
        squares = var_c * c.n * (c.n - 1) + var_t * t.n * (t.n - 1)
        pooled = squares / (n - 2) / weight
        unequal = np.maximum(c.n, t.n) >= UNEQUAL * np.minimum(c.n, t.n)
        larger, one = unequal & (pooled > var_c + var_t), squares / (n - 2)
        var_c, var_t = np.where(larger, one / c.n, var_c), np.where(larger, one / t.n, var_t)
        variance, spread = var_c + var_t, var_c**2 / (c.n - 1) + var_t**2 / (t.n - 1)
        if kind in PROPORTIONS:
            share = (c.nonzero + t.nonzero) / n
            variance, spread = share * (1 - share) / weight, np.zeros_like(share)
    return Part(apart, variance, pooled, spread, c.n, c.nonzero, t.n, t.nonzero)


def _adjusted(c: Side, t: Side) -> tuple[Array, list[Array]]:
    """Return the difference and both variances with the covariate taken out."""
    both, apart = c.n * t.n / (c.n + t.n), t.extra[0] - c.extra[0]
    spread = c.extra[1] + t.extra[1] + both * apart**2
    theta = (c.extra[2] + t.extra[2] + both * apart * (t.level - c.level)) / spread
    variances = [
        side.variance - (2 * theta * side.extra[2] - theta**2 * side.extra[1]) / (side.n - 1)
        for side in (c, t)
    ]
    return t.level - c.level - theta * apart, variances


def _compare_medians(c: Side, t: Side) -> Part:
    """Compare the shares below the median of both together, ties on it by one fraction."""
    shape = c.n.shape
    apart, variance = np.zeros(shape), np.zeros(shape)
    for look in range(shape[1]):
        sides = [side.extra[0][:, : round(float(side.n[0, look]))] for side in (c, t)]
        pooled = np.concatenate(sides, axis=1)
        n = pooled.shape[1]
        # Selection in linear time: a full sort of every look would dominate a simulation.
        middle = np.partition(pooled, (n - 1) // 2, axis=1)[:, (n - 1) // 2][:, None]
        below, equal = (np.stack([f(one, middle).sum(axis=1) for one in sides])
                        for f in (np.less, np.equal))  # fmt: skip
        inside = (0.5 * n - below.sum(axis=0)) / equal.sum(axis=0)
        shares = [(below[k] + inside * equal[k]) / sides[k].shape[1] for k in (0, 1)]
        moment = (below.sum(axis=0) + inside**2 * equal.sum(axis=0)) / n
        apart[:, look] = shares[0] - shares[1]
        variance[:, look] = (moment - 0.25) * n / (n - 1) * (1 / c.n[0, look] + 1 / t.n[0, look])
    zero = np.zeros(shape)
    return Part(apart, variance, variance, zero, c.n, c.nonzero, t.n, t.nonzero)


def paths_of(
    kind: str,
    parts: Sequence[Part],
    units: NDArray[np.int64],
    policy: Policy,
    batches: Sequence[Array],
) -> Paths:
    """Stratify epochs, apply the gates and guard what lies below them.

    Args:
        kind: of the metric.
        parts: one an epoch.
        units: complete units at each look, shape (looks,).
        policy: whose count gates apply.
        batches: of proportions, one array an epoch (see `Paths.batches`).
    """
    n_c, n_t = (sum(getattr(p, name) for p in parts) for name in ("control_n", "treatment_n"))
    with np.errstate(invalid="ignore", divide="ignore"):
        raw = [
            np.nan_to_num(p.control_n * p.treatment_n / (p.control_n + p.treatment_n)) for p in parts
        ]
        weights = [w / sum(raw) for w in raw]
        estimate, variance, pooled, spread = (
            sum(np.nan_to_num(w**power * getattr(p, name)) for w, p in zip(weights, parts, strict=True))
            for power, name in ((1, "estimate"), (2, "variance"), (2, "pooled"), (4, "spread"))
        )
        few = _too_few(kind, parts, policy, n_c, n_t)
        statistic = _as_normal(estimate / np.sqrt(variance), variance**2 / spread)
        if kind in PROPORTIONS:
            _guard_proportions(statistic, parts, few)
        elif kind != "median":
            guarded = _as_normal(estimate / np.sqrt(pooled), n_c + n_t - 2)
            smaller = few & ~(np.abs(statistic) <= np.abs(guarded))
            statistic = np.where(smaller, guarded, statistic)
    return Paths(
        units=units,
        statistic=np.nan_to_num(statistic, posinf=0.0, neginf=0.0),
        ready=~few & np.isfinite(statistic),
        batches=np.concatenate(batches, axis=1).astype(np.int64) if len(batches) else None,
        batch_of_look=np.arange(1, len(units) + 1) if len(batches) else None,
    )


def _too_few(
    kind: str, parts: Sequence[Part], policy: Policy, n_c: Array, n_t: Array
) -> NDArray[np.bool_]:
    shares = [
        np.nan_to_num((p.control_nonzero + p.treatment_nonzero) / (p.control_n + p.treatment_n))
        for p in parts
    ]
    expected = [
        sum(share * getattr(p, name) for share, p in zip(shares, parts, strict=True))
        for name in ("control_n", "treatment_n")
    ]
    sizes = np.stack([n_c, n_t], axis=-1).reshape(-1, 2)
    # Gates depend on the sizes alone, of which there are few: not one call per experiment and look.
    distinct, inverse = np.unique(sizes, axis=0, return_inverse=True)
    gates = np.array([gate_of(policy, kind, int(c), int(t)) for c, t in distinct.tolist()])
    return np.asarray(np.minimum(*expected) < gates[inverse.reshape(-1)].reshape(n_c.shape))


def _as_normal(t: Array, df: Array) -> Array:
    """Return Wallace's normal deviate of Student's t; `Effect.z` says why."""
    finite = np.isfinite(df) & (df > 0)
    known = np.where(finite, df, 1.0)
    size = (8 * known + 1) / (8 * known + 3) * np.sqrt(known * np.log1p(t * t / known))
    return np.where(finite, np.copysign(size, t), t)


def _guard_proportions(statistic: Array, parts: Sequence[Part], few: NDArray[np.bool_]) -> None:
    """Put the exact tail's deviate in the place of the statistic where counts are few."""
    # Equal counts recur across experiments, and an exact tail is the slow step.
    known: dict[tuple[float, ...], float] = {}
    for place in zip(*np.nonzero(few & (np.abs(statistic) > WORTH_A_TAIL)), strict=True):
        counts = tuple(float(column[place]) for part in parts for column in part[4:])
        if counts not in known:
            known[counts] = exact_statistic(
                [
                    ProportionStratum(int(counts[k]), counts[k + 1], int(counts[k + 2]), counts[k + 3])
                    for k in range(0, len(counts), 4)
                    if counts[k] and counts[k + 2]
                ]
            )
        statistic[place] = known[counts]
