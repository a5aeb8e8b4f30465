"""Many simulated bandits at once: how often they decide wrongly, and what their splits cost.

Each epoch brings the same number of users, whose windows close before the next begins. Shares follow
from `bandit.posteriors` as live, and each look holds the statistic of batched least squares against the
bound that decides live (`rules.bound_at`); a test holds both against `take_look`.

Everything is pure: randomness comes in as a generator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from experiments.stats.bandit import chance_of_best, posteriors, shares_of
from experiments.stats.rules import Progress, RuleState, bound_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from experiments.stats.policy import Policy

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BanditScenario:
    """What users do.

    Attributes:
        rates: conversion of each variant, control first.
        units: users an epoch.
        epochs: how many.
        drift: relative swing of all rates over the epochs, as of a season: 0 for none.
    """

    rates: Sequence[float]
    units: int
    epochs: int
    drift: float = 0.0

    def rates_at(self, epoch: int) -> Array:
        """Return the rates of an epoch, shape (k,)."""
        season = 1 + self.drift * math.sin(2 * math.pi * epoch / self.epochs)
        return np.asarray(self.rates, dtype=np.float64) * season


@dataclass(frozen=True, slots=True)
class BanditRuns:
    """What came of many runs.

    Attributes:
        sizes: users by variant, shape (runs, epochs, k).
        conversions: of them, of the same shape.
        weights: shares by variant, of the same shape.
        statistic: of each treatment against the control at each look, shape (runs, epochs, k − 1).
        crossed: +1 or −1 from the look on at which a treatment crossed its bound, 0 before.
        regret: conversions lost beside sending all to the best variant, shape (runs,).
        equal_regret: of an equal split of as many users.
    """

    sizes: NDArray[np.int64]
    conversions: NDArray[np.int64]
    weights: Array
    statistic: Array
    crossed: NDArray[np.int64]
    regret: Array
    equal_regret: float

    def share_with_a_verdict(self) -> tuple[float, float]:
        """Return the share of runs in which any treatment crossed at any look, and its error."""
        share = float((self.crossed != 0).any(axis=(1, 2)).mean())
        return share, math.sqrt(share * (1 - share) / len(self.crossed))


def simulate_bandits(
    scenario: BanditScenario, policy: Policy, *, runs: int, rng: np.random.Generator
) -> BanditRuns:
    """Run many bandits without ending any: verdicts are read off afterwards.

    Args:
        scenario: what users do.
        policy: its floor and its rule, `always_valid`.
        runs: how many.
        rng: where chance comes from.
    """
    k = len(scenario.rates)
    shape = (runs, scenario.epochs, k)
    sizes, conversions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    weights, regret = np.full(shape, 1 / k), np.zeros(runs)
    for epoch in range(scenario.epochs):
        if epoch:
            n = sizes[:, :epoch]
            level = conversions[:, :epoch] / n
            means, sds = posteriors(n, level, level * (1 - level) * n / (n - 1))
            known = (sds > 0).all(axis=1)
            weights[:, epoch][known] = shares_of(
                chance_of_best(means[known], sds[known]), floor=policy.floor
            )
        rates = scenario.rates_at(epoch)
        # Two of each, or an epoch has no variance: as live, where an epoch waits for its users.
        sizes[:, epoch] = 2 + rng.multinomial(scenario.units - 2 * k, weights[:, epoch])
        conversions[:, epoch] = rng.binomial(sizes[:, epoch], rates)
        regret += (sizes[:, epoch] * (rates.max() - rates)).sum(axis=1)
    statistic = _batched_statistic(sizes, conversions)
    equal = sum(
        scenario.units * float(rates.max() - rates.mean())
        for rates in map(scenario.rates_at, range(scenario.epochs))
    )
    crossed = _crossed(statistic, policy, scenario.units)
    return BanditRuns(sizes, conversions, weights, statistic, crossed, regret, equal)


def share_covered(runs: BanditRuns, policy: Policy, *, difference: float) -> float:
    """Return the share of runs of two variants whose interval holds the difference at every look.

    Args:
        runs: of two variants whose rates differ by as much in every epoch.
        policy: as of the runs.
        difference: treatment − control.
    """
    n, rate = runs.sizes, runs.conversions / runs.sizes
    weight = np.sqrt(n[..., 0] * n[..., 1])  # of two variants N is n_c + n_t
    variance = (rate * (1 - rate) / n).sum(axis=-1)
    missed = np.cumsum(weight * (rate[..., 1] - rate[..., 0] - difference), axis=1)
    error = np.sqrt(np.cumsum(weight**2 * variance, axis=1))
    bounds = [
        bound_at(policy, RuleState(), Progress(units=int(units))).critical
        for units in np.cumsum(n[0].sum(axis=-1))
    ]
    # Before the first conversion there is no interval that could miss.
    return float(((np.abs(missed) <= np.array(bounds) * error) | (error == 0)).all(axis=1).mean())


def _batched_statistic(sizes: NDArray[np.int64], conversions: NDArray[np.int64]) -> Array:
    """Return Σ a d / √Σ a² v over the epochs so far, a = √(N n_c n_t / (n_c + n_t)), per treatment."""
    n_c, x_c = sizes[..., :1], conversions[..., :1]
    n_t, x_t = sizes[..., 1:], conversions[..., 1:]
    both = n_c + n_t
    pooled = (x_c + x_t) / both
    weight = np.sqrt(sizes.sum(axis=-1, keepdims=True) * n_c * n_t / both)
    variance = pooled * (1 - pooled) * both / (n_c * n_t)
    # An epoch in which nobody converts says nothing, and its distance is 0.
    value = np.cumsum(weight * (x_t / n_t - x_c / n_c), axis=1)
    total = np.cumsum(np.where(variance > 0, weight**2 * variance, 0.0), axis=1)
    statistic: Array = np.divide(value, np.sqrt(total), out=np.zeros_like(value), where=total > 0)
    return statistic


def _crossed(statistic: Array, policy: Policy, units: int) -> NDArray[np.int64]:
    """Return by look whether a treatment has crossed its bound by then, and on which side first."""
    runs, epochs, treatments = statistic.shape
    crossed = np.zeros((runs, epochs, treatments), np.int64)
    before = np.zeros((runs, treatments), np.int64)
    for look in range(epochs):
        progress = Progress(units=units * (look + 1), treatments=treatments)
        bound = bound_at(policy, RuleState(), progress).critical
        now = np.where(np.abs(statistic[:, look]) >= bound, np.sign(statistic[:, look]), 0)
        before = np.where(before != 0, before, now.astype(np.int64))
        crossed[:, look] = before
    return crossed
