"""Many simulated bandits at once: how often they decide wrongly, and what their splits cost.

Each epoch brings the same number of users in equal parts. A part's windows close some parts later, and
shares follow from `bandit.posteriors` of what has closed, as live. Looks go on until all windows have
closed. Rule `always_valid`: the statistic of batched least squares over the epochs that have closed,
against the bound that decides live (`rules.bound_at`). Rule `exact`: the mixture of conditional
likelihoods (`exact`), a part a batch. A test holds both against `take_look`.

Everything is pure: randomness comes in as a generator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from experiments.stats.bandit import chance_of_best, posteriors, shares_of
from experiments.stats.exact import log_mean_exp, quadrature
from experiments.stats.rules import Progress, RuleState, bound_at
from experiments.stats.special_functions import special
from experiments.stats.totals import StatisticsError

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
        parts: equal parts of an epoch's users, one after the other.
        delay: parts that pass before a part's windows close: 0 where they close before the next begins.
    """

    rates: Sequence[float]
    units: int
    epochs: int
    drift: float = 0.0
    parts: int = 1
    delay: int = 0

    def rates_at(self, epoch: int) -> Array:
        """Return the rates of an epoch, shape (k,)."""
        season = 1 + self.drift * math.sin(2 * math.pi * epoch / self.epochs)
        return np.asarray(self.rates, dtype=np.float64) * season

    def closed_parts(self, epoch: int) -> int:
        """Return how many parts have closed when an epoch begins, from the first epoch on."""
        return max(epoch * self.parts - self.delay, 0)


@dataclass(frozen=True, slots=True)
class BanditRuns:
    """What came of many runs.

    Attributes:
        sizes: users by variant, shape (runs, epochs, k).
        conversions: of them, of the same shape.
        weights: shares by variant, of the same shape.
        statistic: of each treatment against the control once an epoch has closed, shape
            (runs, epochs, k − 1).
        crossed: +1 or −1 from the look on at which a treatment crossed its bound, 0 before; a look per
            epoch, of rule `exact` per part.
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
        policy: its floor and its rule, `always_valid` or `exact`.
        runs: how many.
        rng: where chance comes from.

    Raises:
        StatisticsError: it has another rule.
    """
    if policy.rule not in {"always_valid", "exact"}:
        raise StatisticsError(f"rule == '{policy.rule}', must be 'always_valid' or 'exact'.")
    k, parts = len(scenario.rates), scenario.parts
    shape = (runs, scenario.epochs, parts, k)
    sizes, conversions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    weights, regret = np.full((runs, scenario.epochs, k), 1 / k), np.zeros(runs)
    for epoch in range(scenario.epochs):
        _share_out(weights[:, epoch], sizes, conversions, scenario.closed_parts(epoch), policy.floor)
        rates = scenario.rates_at(epoch)
        for part in range(parts):
            # Two of each, or an epoch has no variance: as live, where an epoch waits for its users.
            free = scenario.units // parts - 2 * k
            sizes[:, epoch, part] = 2 + rng.multinomial(free, weights[:, epoch])
            conversions[:, epoch, part] = rng.binomial(sizes[:, epoch, part], rates)
        regret += (sizes[:, epoch].sum(axis=1) * (rates.max() - rates)).sum(axis=1)
    statistic = _batched_statistic(sizes.sum(axis=2), conversions.sum(axis=2))
    equal = sum(
        scenario.units // parts * parts * float(rates.max() - rates.mean())
        for rates in map(scenario.rates_at, range(scenario.epochs))
    )
    if policy.rule == "exact":
        by_part = (runs, scenario.epochs * parts, k)
        crossed = _crossed_exactly(sizes.reshape(by_part), conversions.reshape(by_part), policy)
    else:
        crossed = _crossed(statistic, policy, scenario.units)
    return BanditRuns(
        sizes.sum(axis=2), conversions.sum(axis=2), weights, statistic, crossed, regret, equal
    )


def _share_out(
    weights: Array,
    sizes: NDArray[np.int64],
    conversions: NDArray[np.int64],
    closed: int,
    floor: float,
) -> None:
    """Set the shares of an epoch, shape (runs, k), from the parts that have closed."""
    parts = sizes.shape[2]
    epochs = -(-closed // parts)
    if not epochs:
        return
    open_parts = epochs * parts - closed  # of the last of these epochs
    n, x = (
        np.concatenate(
            [
                one[:, : epochs - 1].sum(axis=2),
                one[:, epochs - 1 : epochs, : parts - open_parts].sum(axis=2),
            ],
            axis=1,
        )
        for one in (sizes, conversions)
    )
    level = x / n
    means, sds = posteriors(n, level, level * (1 - level) * n / (n - 1))
    known = (sds > 0).all(axis=1)
    weights[known] = shares_of(chance_of_best(means[known], sds[known]), floor=floor)


def _crossed_exactly(
    sizes: NDArray[np.int64], conversions: NDArray[np.int64], policy: Policy
) -> NDArray[np.int64]:
    """Return by part whether the mixture of a treatment has reached its bound by then, and the side.

    Args:
        sizes: users by part and variant, control first, shape (runs, parts, k).
        conversions: of them, of the same shape.
        policy: its level and its spread of the log odds ratio.
    """
    runs, parts, k = sizes.shape
    theta, log_weights = quadrature(policy.log_odds_spread)
    bound = math.log((k - 1) / policy.alpha)
    crossed = np.zeros((runs, parts, k - 1), np.int64)
    total = np.zeros((runs, k - 1, len(theta)))
    for part in range(parts):
        for run in range(runs):
            n_c, x_c = int(sizes[run, part, 0]), int(conversions[run, part, 0])
            for t in range(k - 1):
                n_t, x_t = int(sizes[run, part, t + 1]), int(conversions[run, part, t + 1])
                total[run, t] += theta * x_t - log_mean_exp(n_t, n_c, x_t + x_c, theta)
        mixed = total + log_weights
        side = np.where(
            special.logsumexp(mixed[..., theta > 0], axis=-1)
            > special.logsumexp(mixed[..., theta < 0], axis=-1),
            1,
            -1,
        )
        now = np.where(special.logsumexp(mixed, axis=-1) >= bound, side, 0)
        before = crossed[:, part - 1] if part else np.zeros_like(now)
        crossed[:, part] = np.where(before != 0, before, now)
    return crossed


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
