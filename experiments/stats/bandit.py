"""Thompson sampling in batches: which share of new users each variant of a bandit gets.

In the mean over draws, Thompson sampling gives a variant the share that is its chance of being best.
That chance is computed here instead of drawn, so that the shares of an epoch follow from the totals and
can be recomputed. A floor keeps every variant measurable: its share never falls below it.

Rewards are the primary metric of users whose windows have closed. Variants are compared within epochs:
shares change while base rates drift, and pooled totals would take a good week for a good variant. An
epoch weighs as much as it says of the difference, so that one in which a variant had few users does not
drown what the others have said.

References:
    Thompson (1933), Biometrika 25. Chapelle & Li (2011), An empirical evaluation of Thompson sampling,
    NIPS. Scott (2010), A modern Bayesian look at the multi-armed bandit, Applied Stochastic Models in
    Business and Industry 26 (the chance of being the best as a share).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from experiments.stats.effects import linearise
from experiments.stats.quantiles import Sketch
from experiments.stats.special_functions import special
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from experiments.kinds import Direction
    from experiments.stats.effects import Linear, Summary
    from experiments.stats.metric_input import MetricInput

    Array = NDArray[np.float64]

# Every variant begins as if so many users had shown the mean of all: a handful of lucky users does not
# take the traffic.
PRIOR_UNITS = 10.0
# Where the normal density is integrated: beyond ±8 it has 1e-15, and a step of .04 is finer than the
# narrowest of posteriors that a floor of 5 % allows beside the widest.
REACH, POINTS = 8.0, 401
DECIMALS = 4  # of shares: a user in 10,000


@dataclass(frozen=True, slots=True)
class Rewards:
    """What is known of the variants' rewards: independent normal posteriors.

    Attributes:
        variants: their names.
        means: posterior means, shape (k,), in the metric's unit.
        sds: posterior standard deviations, shape (k,).
        units: complete units of each, shape (k,).
    """

    variants: tuple[str, ...]
    means: Array
    sds: Array
    units: NDArray[np.int64]


def rewards_of(metric: MetricInput, variants: Sequence[str]) -> Rewards | None:
    """Return the posteriors of the variants' levels; None while nothing tells them apart.

    An epoch counts where each of the variants has two complete units; `posteriors` has the formula.

    Args:
        metric: the primary, with its totals by epoch.
        variants: those that take traffic.

    Raises:
        StatisticsError: it is a quantile, whose levels are no means.
    """
    epochs = [linear for epoch in metric.epochs if (linear := _linear(metric, epoch, variants))]
    if not epochs:
        return None
    sizes = np.array([[one.n for one in epoch] for epoch in epochs], dtype=np.int64)
    levels = np.array([[one.level for one in epoch] for epoch in epochs])
    variances = np.array([[one.variance for one in epoch] for epoch in epochs])
    means, sds = posteriors(sizes, levels, variances)
    if not (sds > 0).all():  # every user has one value
        return None
    return Rewards(tuple(variants), means, sds, sizes.sum(axis=0))


def posteriors(sizes: NDArray[np.int64], levels: Array, variances: Array) -> tuple[Array, Array]:
    """Return posterior means and standard deviations, each of shape (..., k).

    Least squares of the levels on variants and epochs, weighted by units n. With N the units of an
    epoch and ȳ its mean, the variants' effects θ and the variances of their differences are

        L θ = Σ n (level − ȳ),  L = Σ (diag(n) − n nᵀ / N)
        V_ab = σ² (L⁺_aa + L⁺_bb − 2 L⁺_ab)

    In one epoch V_ab is σ² / n_a + σ² / n_b. In several a variant is worth its units times that sum
    over V_ab, both summed over the other variants: so many units in one epoch would say as much. Its
    posterior has the precision (worth + PRIOR_UNITS) / σ² around the mean of all.

    Args:
        sizes: units by epoch and variant, at least 2 each, shape (..., epochs, k).
        levels: their means, of the same shape.
        variances: of single units' values, of the same shape.
    """
    n, k = sizes.astype(float), sizes.shape[-1]
    units, of_variant = n.sum(axis=-1), n.sum(axis=-2)
    total = units.sum(axis=-1, keepdims=True)
    # Shared by the variants of an epoch: one that happens to lack the rare values is not certain.
    shared = ((sizes - 1) * variances).sum(axis=-1) / (sizes - 1).sum(axis=-1)
    spread = (shared * units).sum(axis=-1, keepdims=True) / total
    laplacian = np.eye(k) * of_variant[..., None, :]
    laplacian = laplacian - np.einsum("...ea,...eb->...ab", n, n / units[..., None])
    # Rows sum to 0 but for rounding: the zero among its eigenvalues must count as one. The smallest of
    # the others is some units of all.
    inverse = np.linalg.pinv(laplacian, rcond=1e-12, hermitian=True)
    centred = levels - ((n * levels).sum(axis=-1) / units)[..., None]
    effects = np.einsum("...ab,...eb->...a", inverse, n * centred)
    effects -= (of_variant * effects).sum(axis=-1, keepdims=True) / total
    # Of each variant, the sum of its differences' variances over σ²: the rows of L⁺ sum to 0. Then what
    # it would be in one epoch. A variant alone has no differences.
    own, once = np.einsum("...aa->...a", inverse), 1 / of_variant
    apart = k * own + own.sum(axis=-1, keepdims=True)
    in_one_epoch = (k - 2) * once + once.sum(axis=-1, keepdims=True)
    worth = of_variant * (in_one_epoch / apart if k > 1 else 1.0)
    known = np.where(spread > 0, worth, 0.0)  # no spread at all: nothing is known
    prior = (n * levels).sum(axis=(-2, -1))[..., None] / total
    shrinkage = known / (known + PRIOR_UNITS)
    return prior + shrinkage * effects, np.sqrt(spread / (known + PRIOR_UNITS))


def _linear(
    metric: MetricInput, epoch: Mapping[str, Summary], variants: Sequence[str]
) -> list[Linear] | None:
    """Return an epoch's levels; None where a variant has too few units for a variance."""
    linear = []
    for side in (epoch.get(variant) for variant in variants):
        if isinstance(side, Sketch):
            raise StatisticsError(
                f"metric '{metric.key}' is a quantile, must have a mean to be a reward."
            )
        if side is None or side.moments().n < 2:
            return None
        try:
            linear.append(linearise(metric.kind, side))
        except StatisticsError:  # a ratio over nothing
            return None
    return linear


def chance_of_best(means: Array, sds: Array, *, direction: Direction = "increase") -> Array:
    """Return each variant's chance of being the best, summing to 1.

    ∫ φ((x − m_a) / s_a) / s_a Π_b Φ((x − m_b) / s_b) dx, by the trapezoidal rule.

    Args:
        means: of independent normal posteriors, shape (..., k).
        sds: positive, of the same shape.
        direction: which level is good.

    Raises:
        StatisticsError: a standard deviation is not positive.
    """
    if not (sds > 0).all():
        raise StatisticsError(f"standard deviation == {float(sds.min()):g}, must be positive.")
    good = means if direction == "increase" else -means
    z = np.linspace(-REACH, REACH, POINTS)
    density = np.exp(-z * z / 2)
    k = means.shape[-1]
    chances = np.empty(means.shape)
    for a in range(k):
        x = good[..., a, None] + sds[..., a, None] * z
        below = np.ones(x.shape)
        for b in range(k):
            if b != a:
                below *= special.ndtr((x - good[..., b, None]) / sds[..., b, None])
        chances[..., a] = below @ density
    total: Array = chances.sum(axis=-1, keepdims=True)
    return chances / total


def shares_of(chances: Array, *, floor: float) -> Array:
    """Return shares of new users: the floor, and of the rest as much as the chance of being the best.

    Args:
        chances: summing to 1, shape (..., k).
        floor: the least share of a variant.

    Raises:
        StatisticsError: the floors leave nothing to share out.
    """
    k = chances.shape[-1]
    if not 0 <= floor * k <= 1:
        raise StatisticsError(f"floor == {floor:g}, must be at most 1 / {k} of {k} variants.")
    shares: Array = floor + (1 - k * floor) * chances
    return shares


def next_weights(
    metric: MetricInput, weights: Mapping[str, float], *, floor: float
) -> dict[str, float]:
    """Return the weights of the next epoch; those of now while nothing tells the variants apart.

    Args:
        metric: the primary, with its totals by epoch.
        weights: of now; a variant of weight 0 has left, and stays at 0.
        floor: the least share of the others.

    Raises:
        StatisticsError: as of `rewards_of` and `shares_of`.
    """
    present = [key for key, weight in weights.items() if weight > 0]
    rewards = rewards_of(metric, present)
    if rewards is None or len(present) < 2:
        return dict(weights)
    chances = chance_of_best(rewards.means, rewards.sds, direction=metric.direction)
    # What is above the floor is cut to a few decimals, and what that leaves goes to the largest: no
    # share falls below the floor.
    above = np.floor((shares_of(chances, floor=floor) - floor) * 10**DECIMALS) / 10**DECIMALS
    shares = floor + np.maximum(above, 0.0)
    shares[int(np.argmax(shares))] += 1 - shares.sum()
    shared = dict(zip(present, (round(float(share), 12) for share in shares), strict=True))
    return {key: shared.get(key, 0.0) for key in weights}


@dataclass(frozen=True, slots=True)
class Regret:
    """What the split cost beside sending everybody to the best variant, in the metric's unit.

    Attributes:
        bandit: of the split as it was.
        equal: of an equal split of the same users among the variants of their epoch.
    """

    bandit: float
    equal: float

    @property
    def saved(self) -> float:
        """What an equal split would have cost more."""
        return self.equal - self.bandit


def losses_of(
    metric: MetricInput, present: Sequence[str], left: Sequence[str] = ()
) -> dict[str, float]:
    """Return what a user of each variant loses beside the best that is present, by posterior means.

    A variant that left is compared with that best one over the epochs in which both stood; negative
    where it did better, and left for another reason. Variants of which nothing is known are left out.

    Args:
        metric: the primary, with its totals by epoch.
        present: variants that take traffic.
        left: variants that took it.
    """
    rewards = rewards_of(metric, present)
    if rewards is None:
        return {}
    sign = 1.0 if metric.direction == "increase" else -1.0
    good = sign * rewards.means
    losses = dict(zip(present, (good.max() - good).tolist(), strict=True))
    best = present[int(np.argmax(good))]
    for variant in left:
        if (pair := rewards_of(metric, [best, variant])) is not None:
            losses[variant] = sign * float(pair.means[0] - pair.means[1])
    return losses


def regret_of(
    losses: Mapping[str, float], exposures: Sequence[tuple[Mapping[str, int], Mapping[str, float]]]
) -> Regret:
    """Return the regret of a bandit and of an equal split.

    Args:
        losses: of a user, by variant.
        exposures: per epoch, users and weights by variant; a variant of weight 0 takes no traffic.
    """
    bandit = equal = 0.0
    for exposed, weights in exposures:
        in_traffic = [name for name, weight in weights.items() if weight > 0 and name in losses]
        if not in_traffic:
            continue
        counts = {name: exposed.get(name, 0) for name in in_traffic}
        bandit += math.fsum(counts[name] * losses[name] for name in in_traffic)
        equal += sum(counts.values()) * math.fsum(losses[name] for name in in_traffic) / len(in_traffic)
    return Regret(bandit, equal)
