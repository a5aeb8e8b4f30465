"""How often a rule is right: many experiments at once, under the very bounds that decide live.

Bounds depend on the units alone, so they are computed once (`rules.bound_at`) and held against the
statistics of thousands of experiments in one array; a test holds the result against `take_look`, one
experiment at a time.

Everything is pure: randomness comes in as a generator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp, ndtri

from experiments.stats.exact import log_mean_exp, quadrature
from experiments.stats.rules import Progress, RuleState, bound_at
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from experiments.stats.policy import Policy

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Paths:
    """Many experiments: their statistic at each look.

    Attributes:
        units: complete units of both variants at each look, shape (looks,).
        statistic: z of treatment − control, NaN where it cannot be said, guarded where counts are few
            (`small_counts`), shape (experiments, looks).
        ready: whether the count gates are passed, so that a gain counts, shape (experiments, looks).
        batches: for `exact`: units and conversions of each batch, columns treatment_n, treatment_x,
            control_n, control_x, shape (experiments, batches, 4); a batch is what one look adds in
            one epoch.
        batch_of_look: how many batches there are by each look, shape (looks,).
    """

    units: NDArray[np.int64]
    statistic: Array
    ready: NDArray[np.bool_]
    batches: NDArray[np.int64] | None = None
    batch_of_look: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a rule did to many experiments.

    Attributes:
        stop: index of the look at which each ended, shape (experiments,).
        direction: +1 better, −1 worse, 0 no verdict, shape (experiments,).
        units: complete units at each look, shape (looks,).
    """

    stop: NDArray[np.int64]
    direction: NDArray[np.int64]
    units: NDArray[np.int64]

    def rate(self, direction: int | None = None) -> tuple[float, float]:
        """Return the share with a verdict (of one direction) and its Monte-Carlo standard error."""
        hits = self.direction != 0 if direction is None else self.direction == direction
        share = float(hits.mean())
        return share, math.sqrt(share * (1 - share) / len(hits))

    def rate_by(self, look: int) -> float:
        """Return the share with a verdict by a look."""
        return float(((self.direction != 0) & (self.stop <= look)).mean())

    def mean_stop(self, planned_units: int) -> tuple[float, float]:
        """Return the mean units at the end over the planned ones, and its Monte-Carlo error."""
        shares = self.units[self.stop] / planned_units
        return float(shares.mean()), float(shares.std(ddof=1) / math.sqrt(len(shares)))


def apply_rule(policy: Policy, paths: Paths, *, act_on_futility: bool | None = None) -> Outcomes:
    """Hold the paths against the policy's rule.

    Args:
        policy: rule and settings; `futility` is acted on unless told otherwise.
        paths: the experiments.
        act_on_futility: overrides the policy's own word.

    Raises:
        StatisticsError: `exact` without batches.
    """
    act = policy.futility if act_on_futility is None else act_on_futility
    if policy.rule == "exact":
        beyond = _beyond_exact(policy, paths)
        futile = np.zeros_like(beyond)
    else:
        beyond, futile = _beyond_bound(policy, paths)
    if not act:
        futile = np.zeros_like(beyond)
    ends = beyond | futile
    last = paths.statistic.shape[1] - 1
    # argmax of booleans is the first look that ends it, and 0 where none does.
    stop = np.where(ends.any(axis=1), ends.argmax(axis=1), last)
    rows = np.arange(len(stop))
    crossed = beyond[rows, stop]
    direction = np.where(crossed, np.sign(np.nan_to_num(paths.statistic[rows, stop])), 0)
    return Outcomes(stop=stop, direction=direction.astype(np.int64), units=paths.units)


def _beyond_bound(policy: Policy, paths: Paths) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Compare with the bounds, a gain only once the gates are passed; an increase is a gain."""
    size = np.abs(paths.statistic)
    beyond, futile = np.zeros(size.shape, bool), np.zeros(size.shape, bool)
    state = RuleState()
    for look, units in enumerate(paths.units.tolist()):
        bound = bound_at(policy, state, Progress(units))
        state = bound.state
        if bound.tested:
            ready = paths.ready[:, look]
            beyond[:, look] = (size[:, look] >= bound.critical) & (
                ready | (paths.statistic[:, look] < 0)
            )
            futile[:, look] = (size[:, look] < bound.futile_below) & ready
    return beyond, futile & ~beyond


def _beyond_exact(policy: Policy, paths: Paths) -> NDArray[np.bool_]:
    if paths.batches is None or paths.batch_of_look is None:
        raise StatisticsError("rule == 'exact', must be simulated on proportions.")
    theta, log_weights = quadrature(policy.log_odds_spread)
    total = np.zeros((len(paths.batches), len(theta)))
    beyond, done = np.zeros(paths.statistic.shape, bool), 0
    normalisers: dict[tuple[int, int, int], Array] = {}
    for look, by_now in enumerate(paths.batch_of_look):
        for batch in range(done, by_now):
            total += _log_ratios(paths.batches[:, batch], theta, normalisers)
        done = int(by_now)
        log_e = logsumexp(total + log_weights, axis=1)
        beyond[:, look] = log_e >= math.log(1 / policy.alpha)
    return beyond


def _log_ratios(
    rows: NDArray[np.int64], theta: Array, normalisers: dict[tuple[int, int, int], Array]
) -> Array:
    """Return the log likelihood ratios of one batch of every experiment, shape (experiments, nodes)."""
    keys = np.column_stack([rows[:, 0], rows[:, 2], rows[:, 1] + rows[:, 3]])
    # Margins recur across experiments; their normaliser is the slow step.
    unique, inverse = np.unique(keys, axis=0, return_inverse=True)
    table = np.empty((len(unique), len(theta)))
    for n, (n_t, n_c, conversions) in enumerate(unique.tolist()):
        key = (n_t, n_c, conversions)
        if key not in normalisers:
            normalisers[key] = log_mean_exp(n_t, n_c, conversions, theta)
        table[n] = normalisers[key]
    return np.asarray(theta * rows[:, 1:2] - table[inverse.reshape(-1)])


def merge_outcomes(parts: Sequence[Outcomes]) -> Outcomes:
    """Join the outcomes of chunks."""
    return Outcomes(
        stop=np.concatenate([part.stop for part in parts]),
        direction=np.concatenate([part.direction for part in parts]),
        units=parts[0].units,
    )


def naive_outcomes(paths: Paths, *, alpha: float) -> Outcomes:
    """Stop at the first p below alpha: what peeking at a fixed test does. For comparison only."""
    size = np.abs(paths.statistic)
    beyond = (size >= -ndtri(alpha / 2)) & paths.ready
    last = size.shape[1] - 1
    stop = np.where(beyond.any(axis=1), beyond.argmax(axis=1), last)
    crossed = beyond[np.arange(len(stop)), stop]
    direction = np.where(crossed, np.sign(paths.statistic[np.arange(len(stop)), stop]), 0)
    return Outcomes(stop, direction.astype(np.int64), paths.units)
