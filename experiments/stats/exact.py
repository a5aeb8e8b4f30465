"""An exact sequential test of two proportions: the non-central hypergeometric of each batch.

Given how many units of a batch are in each variant and how many conversions the batch has in all, the
number of conversions in the treatment depends on the odds ratio alone: not on the base rate, not on the
allocation. The likelihood ratio against "no difference" is therefore an exact e-process, however rare
the conversions are and whatever ramps or drifts between batches.

Guarantees: without an effect the chance that the e-value ever reaches 1 / α is at most α, for any
number of looks and any sizes of batches that do not depend on the batch's own outcomes.
Assumptions: units are independent; within a batch each variant has one rate.

References:
    Howard, Ramdas, McAuliffe, Sekhon (2021), Time-uniform confidence sequences (mixtures). Waudby-Smith
    & Ramdas (2020), Confidence sequences for sampling without replacement (prior-posterior ratio). The
    conditional likelihood: Breslow & Day (1980), volume 1, section 4.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from experiments.stats.special_functions import special
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

NODES = 41  # of the Gauss-Hermite rule over the log odds ratio
CHUNK = 20_000  # values of the hypergeometric at a time: bounds memory for huge batches
# Odds ratios at which the likelihood is kept, so that the confidence sequence can be read off.
REACH, STEP = 6.0, 0.05


class Batch(NamedTuple):
    """Units and conversions of one batch."""

    treatment_n: int
    treatment_x: int
    control_n: int
    control_x: int


@dataclass(frozen=True, slots=True)
class ExactState:
    """Log likelihood ratios against no difference, summed over the batches so far.

    Attributes:
        batches: how many were read.
        nodes: at the quadrature's log odds ratios, shape (41,).
        grid: at the log odds ratios of the confidence sequence, shape (241,).
        p_value: the smallest so far.
    """

    batches: int = 0
    nodes: tuple[float, ...] = (0.0,) * NODES
    grid: tuple[float, ...] = (0.0,) * (2 * round(REACH / STEP) + 1)
    p_value: float = 1.0

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "batches": self.batches,
            "nodes": list(self.nodes),
            "grid": list(self.grid),
            "p_value": self.p_value,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ExactState:
        """Read what `as_json` wrote; nothing is the state before the first batch."""
        if not data:
            return cls()
        return cls(data["batches"], tuple(data["nodes"]), tuple(data["grid"]), data["p_value"])


@lru_cache(maxsize=16)
def quadrature(spread: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return log odds ratios and log weights of N(0, spread²), each of shape (41,)."""
    x, weights = special.roots_hermitenorm(NODES)
    return x * spread, np.log(weights / weights.sum())


def _grid() -> NDArray[np.float64]:
    reach = round(REACH / STEP)
    return np.arange(-reach, reach + 1, dtype=np.float64) * STEP


def log_likelihood_ratios(batch: Batch, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ln p(treatment_x | margins, θ) / p(treatment_x | margins, 0) for each θ.

    Args:
        batch: its counts.
        log_odds: values of θ, shape (m,).

    Raises:
        StatisticsError: a count is negative or exceeds its units.
    """
    for n, x in ((batch.treatment_n, batch.treatment_x), (batch.control_n, batch.control_x)):
        if not 0 <= x <= n:
            raise StatisticsError(f"conversions == {x}, must be in [0, {n}].")
    return log_odds * batch.treatment_x - log_mean_exp(
        batch.treatment_n, batch.control_n, batch.treatment_x + batch.control_x, log_odds
    )


def log_mean_exp(
    treatment_n: int, control_n: int, conversions: int, log_odds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ln E[exp(θ X)], X hypergeometric: the normaliser of the non-central distribution."""
    low, high = max(0, conversions - control_n), min(treatment_n, conversions)
    parts, base = [], []
    # log-sum-exp in chunks: neither the ways (10^thousands) nor an array of millions fit otherwise.
    for start in range(low, high + 1, CHUNK):
        k = np.arange(start, min(start + CHUNK, high + 1), dtype=float)
        log_ways = -(
            special.gammaln(k + 1)
            + special.gammaln(treatment_n - k + 1)
            + special.gammaln(conversions - k + 1)
            + special.gammaln(control_n - conversions + k + 1)
        )
        base.append(special.logsumexp(log_ways))
        parts.append(special.logsumexp(log_ways[None, :] + log_odds[:, None] * k[None, :], axis=1))
    return np.asarray(special.logsumexp(np.array(parts), axis=0) - special.logsumexp(base))


def add_batches(state: ExactState, batches: Iterable[Batch], *, spread: float) -> ExactState:
    """Return the state after more batches.

    Args:
        state: before them.
        batches: in any order; one in which a variant has no unit says nothing.
        spread: standard deviation of the mixture over the log odds ratio.

    Raises:
        StatisticsError: the spread is not positive, or a count is impossible.
    """
    if spread <= 0:
        raise StatisticsError(f"spread of the log odds ratio == {spread:g}, must be positive.")
    theta, _ = quadrature(spread)
    both = np.concatenate([theta, _grid()])
    total = np.array([*state.nodes, *state.grid])
    count, p_value = state.batches, state.p_value
    for batch in batches:
        total = total + log_likelihood_ratios(batch, both)
        count += 1
        # 1 / e of an e-process is valid at its smallest too, and no p exceeds 1.
        p_value = min(p_value, math.exp(-max(_log_mixture(total[:NODES], spread), 0.0)))
    return ExactState(count, tuple(total[:NODES].tolist()), tuple(total[NODES:].tolist()), p_value)


def _log_mixture(nodes: NDArray[np.float64], spread: float) -> float:
    _, log_weights = quadrature(spread)
    return float(special.logsumexp(nodes + log_weights))


def log_e_value(state: ExactState, *, spread: float) -> float:
    """Return ln of the e-value against no difference: the mixture over N(0, spread²)."""
    return _log_mixture(np.array(state.nodes), spread)


def log_odds_interval(
    state: ExactState, *, alpha: float, spread: float
) -> tuple[float | None, float | None]:
    """Return the confidence sequence of the log odds ratio; None where it has no end in ±6.

    θ stays in it while the mixture has not beaten it by 1 / α: the ratio of a prior's mixture to the
    likelihood of the truth is an e-process, whatever the truth is.
    """
    outside = log_e_value(state, spread=spread) - np.array(state.grid) - math.log(1 / alpha)
    theta = _grid()
    inside = np.flatnonzero(outside < 0)
    if not len(inside):  # narrower than a step of the grid
        best = _lowest(theta, outside)
        return (None if best <= -REACH else best), (None if best >= REACH else best)
    return _end(theta, outside, inside[0], -1), _end(theta, outside, inside[-1], 1)


def _lowest(theta: NDArray[np.float64], outside: NDArray[np.float64]) -> float:
    """Return where a parabola through the lowest point and its neighbours is lowest: never quite 0."""
    at = int(np.argmin(outside))
    if at in {0, len(theta) - 1}:
        return float(theta[at])
    before, here, after = outside[at - 1 : at + 2]
    # Three equal points have no lowest one: half a step says "not 0" without saying much else.
    shift = 0.5 * (before - after) / (before - 2 * here + after)
    return float(theta[at] + (shift or 0.5) * STEP)


def _end(
    theta: NDArray[np.float64], outside: NDArray[np.float64], at: int, towards: int
) -> float | None:
    """Find where the function changes sign between a point of the grid and its neighbour."""
    other = at + towards
    if not 0 <= other < len(theta):
        return None
    share = -outside[at] / (outside[other] - outside[at])
    return float(theta[at] + share * (theta[other] - theta[at]))


def block_log_e_values(batches: Iterable[Batch]) -> list[float]:
    """Return ln of the growth-rate-optimal block e-value after each batch, with plug-in estimates.

    Each batch is bet on with the rates estimated from the batches before it, (x + ½) / (n + 1) of each
    side, against their mean weighted by the batch's units; the first batch estimates only. Simpler
    than the mixture above and as valid, but it pays for what the first batches guess wrong.

    Reference:
        Turner, Ly, Grünwald (2024), Generic e-variables for exact sequential k-sample tests,
        Statistics and Computing 34.
    """
    n_t = x_t = n_c = x_c = 0
    total, path = 0.0, []
    for batch in batches:
        p_t, p_c = (x_t + 0.5) / (n_t + 1), (x_c + 0.5) / (n_c + 1)
        p_0 = (batch.treatment_n * p_t + batch.control_n * p_c) / (batch.treatment_n + batch.control_n)
        for p, n, x in (
            (p_t, batch.treatment_n, batch.treatment_x),
            (p_c, batch.control_n, batch.control_x),
        ):
            total += x * math.log(p / p_0) + (n - x) * math.log((1 - p) / (1 - p_0))
        path.append(total)
        n_t, x_t = n_t + batch.treatment_n, x_t + batch.treatment_x
        n_c, x_c = n_c + batch.control_n, x_c + batch.control_x
    return path
