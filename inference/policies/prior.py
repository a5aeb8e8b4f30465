"""How strongly a linear policy's weights are drawn to 0, learnt from the decisions themselves.

Weights of one group (of the decision, of the action, of their products) have one prior variance σ² / d.
d maximises the evidence p(y | X, d), the probability of the rewards with the weights integrated out, by
the fixed point of MacKay (1992, Bayesian interpolation, Neural Computation 4):

    d = σ² γ / |θ|², γ = Σ (1 − d A⁻¹ᵢᵢ), the number of weights that the decisions determine

Assumptions: rewards are linear in the features, with equal noise. Rewards of 0 or 1 have more noise in
the middle of the range: d is then that of the best linear fit. No decision is held out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MIN_NOISE = 1e-3  # of rewards that do not differ: no policy is ever certain
# In rows. A group that says nothing would be drawn to 0 without end.
MIN_RIDGE, MAX_RIDGE = 1e-2, 1e6
INTERCEPT_RIDGE = 1.0  # rewards are centred: the mean's own prior is that of one row
MAX_STEPS = 30
_TOLERANCE = 0.02  # of a step's logarithm: the value is nearly as good at both ends
_DIGITS = 1  # of the exponent: sums in another order must not give another policy


class Sums(NamedTuple):
    """Sufficient statistics of n rows.

    Attributes:
        gram: Xᵀ X, (p, p).
        moment: Xᵀ y of the centred rewards, (p,).
        squares: Σ y² of the centred rewards.
        rows: n.
    """

    gram: NDArray[np.float64]
    moment: NDArray[np.float64]
    squares: float
    rows: int


class Posterior(NamedTuple):
    """Of the weights.

    Attributes:
        mean: (p,).
        root: R with R Rᵀ = A⁻¹, (p, p).
        noise: σ², with what the prior says of the weights.
    """

    mean: NDArray[np.float64]
    root: NDArray[np.float64]
    noise: float


def solve(sums: Sums, ridge: NDArray[np.float64]) -> Posterior:
    """Return the posterior for a prior of `ridge` rows per weight, (p,)."""
    # A = L Lᵀ, so that L⁻ᵀ is a root of its inverse.
    lower = np.linalg.cholesky(sums.gram + np.diag(ridge))
    inverse = np.linalg.solve(lower, np.eye(len(ridge)))
    mean = inverse.T @ (inverse @ sums.moment)
    # Σ (y − X θ)² + Σ d θ²: σ² at the evidence's maximum.
    noise = max((sums.squares - float(sums.moment @ mean)) / sums.rows, MIN_NOISE**2)
    return Posterior(mean, inverse.T, noise)


def learn_ridge(sums: Sums, groups: Sequence[slice]) -> NDArray[np.float64]:
    """Return the prior of each weight in rows, (p,): one value per group.

    Args:
        sums: of the rows.
        groups: columns whose weights have one prior; what is in none is the intercept.
    """
    ridge = np.full(len(sums.moment), INTERCEPT_RIDGE)
    for _ in range(MAX_STEPS):
        posterior = solve(sums, ridge)
        variances = np.square(posterior.root).sum(axis=1)
        before = ridge.copy()
        for group in groups:
            determined = float((1 - before[group] * variances[group]).sum())
            size = max(float(np.square(posterior.mean[group]).sum()), 1e-300)
            ridge[group] = np.clip(posterior.noise * determined / size, MIN_RIDGE, MAX_RIDGE)
        if np.abs(np.log(ridge / before)).max() < _TOLERANCE:
            break
    return np.asarray(10.0 ** np.round(np.log10(ridge), _DIGITS))
