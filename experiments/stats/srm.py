"""Sample ratio mismatch: do the units arrive in the shares that were asked for?

Reference:
    Lindon & Malek, arXiv 2011.03567: anytime-valid inference for multinomial counts. The Bayes
    factor of a Dirichlet mixture against the planned shares is an e-process, so it may be looked at
    after every unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln

from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# A large concentration expects small deviations in large samples, a small one gross deviations in
# small samples; the mean of their e-values is an e-value that sees both.
CONCENTRATIONS = (100.0, 10_000.0)


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """What the test says now.

    Attributes:
        p_value: anytime-valid, min over the looks so far.
        expected: share that each variant should have, over all epochs.
        observed: share that it has.
        leaks: units in variants of weight zero.
        healthy: whether neither a mismatch nor a leak was found.
    """

    p_value: float
    expected: dict[str, float]
    observed: dict[str, float]
    leaks: dict[str, int]
    healthy: bool


def log_bayes_factor(counts: Sequence[int], weights: Sequence[float], *, concentration: float) -> float:
    """Return ln of the Dirichlet-multinomial against the multinomial of the planned shares.

    Depends on the cumulative counts alone: the product over batches telescopes.

    Args:
        counts: units per variant, shape (k,).
        weights: planned shares per variant, positive, summing to 1, shape (k,).
        concentration: of the Dirichlet prior around the planned shares.

    Raises:
        StatisticsError: a weight is not positive.
    """
    n, w = np.asarray(counts, dtype=float), np.asarray(weights, dtype=float)
    if (w <= 0).any():
        raise StatisticsError(f"weight == {w.min():g}, must be positive.")
    prior = concentration * w / w.sum()
    marginal = (
        gammaln(prior.sum())
        - gammaln(prior.sum() + n.sum())
        + (gammaln(prior + n) - gammaln(prior)).sum()
    )
    return float(marginal - (n * np.log(w / w.sum())).sum())


def check_sample_ratio(
    epochs: Sequence[tuple[Mapping[str, int], Mapping[str, float]]],
    *,
    alpha: float,
    smallest_before: float = 1.0,
) -> SampleRatio:
    """Test the counts of all epochs against their weights.

    Epochs are independent, so their e-values multiply. A variant of weight zero leaves the test, and
    its units are reported as a leak.

    Args:
        epochs: (units per variant, weight per variant) of each epoch.
        alpha: level below which the experiment is unhealthy.
        smallest_before: the smallest p-value of earlier looks.
    """
    log_e = dict.fromkeys(CONCENTRATIONS, 0.0)
    leaks: dict[str, int] = {}
    expected: dict[str, float] = {}
    observed: dict[str, float] = {}
    for counts, weights in epochs:
        used = [key for key, weight in weights.items() if weight > 0]
        total = sum(counts.get(key, 0) for key in used)
        for key, weight in weights.items():
            if weight <= 0 and counts.get(key, 0):
                leaks[key] = leaks.get(key, 0) + counts[key]
        for key in used:
            expected[key] = expected.get(key, 0.0) + total * weights[key]
            observed[key] = observed.get(key, 0.0) + counts.get(key, 0)
        if len(used) > 1 and total:
            for concentration in CONCENTRATIONS:
                log_e[concentration] += log_bayes_factor(
                    [counts.get(k, 0) for k in used],
                    [weights[k] for k in used],
                    concentration=concentration,
                )
    units = sum(observed.values()) or 1.0
    mean_log_e = float(np.logaddexp.reduce(list(log_e.values()))) - math.log(len(log_e))
    p_value = min(smallest_before, math.exp(-max(mean_log_e, 0.0)))
    return SampleRatio(
        p_value=p_value,
        expected={key: value / units for key, value in expected.items()},
        observed={key: value / units for key, value in observed.items()},
        leaks=leaks,
        healthy=p_value >= alpha and not leaks,
    )
