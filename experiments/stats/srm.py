"""Sample ratio mismatch: do the units arrive in the shares that were asked for?

Reference:
    Lindon & Malek, arXiv 2011.03567: anytime-valid inference for multinomial counts. The Bayes
    factor of a Dirichlet mixture against the planned shares is an e-process, so it may be looked at
    after every unit.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.stats.special_functions import special
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
        p_value: anytime-valid, min over the looks so far; of one look, the chi-square test's.
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

    def as_json(self) -> dict[str, Any]:
        """Return every field."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SampleRatio:
        """Read what `as_json` wrote."""
        return cls(**data)


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
        special.gammaln(prior.sum())
        - special.gammaln(prior.sum() + n.sum())
        + (special.gammaln(prior + n) - special.gammaln(prior)).sum()
    )
    return float(marginal - (n * np.log(w / w.sum())).sum())


def chi_square(counts: Sequence[int], weights: Sequence[float]) -> tuple[float, float]:
    """Return Pearson's statistic and its p-value: for one look that was planned, never for many.

    A variant of weight zero leaves the test, and its degree of freedom with it.

    Args:
        counts: units per variant, shape (k,).
        weights: planned shares, not negative, shape (k,).

    Raises:
        StatisticsError: fewer than two variants have a weight, or none has a unit.
    """
    used = [(n, w) for n, w in zip(counts, weights, strict=True) if w > 0]
    total, mass = sum(n for n, _ in used), sum(w for _, w in used)
    if len(used) < 2 or not total:
        raise StatisticsError(
            f"variants with a weight == {len(used)}, units == {total}: must be 2 and 1."
        )
    statistic = sum((n - total * w / mass) ** 2 / (total * w / mass) for n, w in used)
    return float(statistic), float(special.chdtrc(len(used) - 1, statistic))


def check_sample_ratio(
    epochs: Sequence[tuple[Mapping[str, int], Mapping[str, float]]],
    *,
    alpha: float,
    min_p_before: float = 1.0,
    one_look: bool = False,
) -> SampleRatio:
    """Test the counts of all epochs against their weights.

    Epochs are independent, so their e-values multiply. A variant of weight zero leaves the test, and
    its units are reported as a leak.

    Args:
        epochs: (units per variant, weight per variant) of each epoch.
        alpha: level below which the experiment is unhealthy.
        min_p_before: the smallest p-value of earlier looks.
        one_look: the chi-square test of one look that was planned, in place of the sequential one.

    Raises:
        StatisticsError: a weight is negative, or they sum to nothing.
    """
    expected: dict[str, float] = {}
    observed: dict[str, float] = {}
    leaks: dict[str, int] = {}
    for counts, weights in epochs:
        used = _used(weights)
        total = sum(counts.get(key, 0) for key in used)
        for key, share in used.items():
            expected[key] = expected.get(key, 0.0) + total * share
            observed[key] = observed.get(key, 0.0) + counts.get(key, 0)
        # In the order of the weights, so that a look can be recomputed to the last letter.
        for key in weights:
            if key not in used and counts.get(key, 0):
                leaks[key] = leaks.get(key, 0) + counts[key]
    tables = _tables(epochs)
    p_value = _p_of_one_look(tables) if one_look else min(min_p_before, _p_of_any_look(tables))
    units = sum(observed.values()) or 1.0
    return SampleRatio(
        p_value=p_value,
        expected={key: value / units for key, value in expected.items()}
        if any(expected.values())
        else _planned(epochs),
        observed={key: value / units for key, value in observed.items()},
        leaks=leaks,
        healthy=p_value >= alpha and not leaks,
    )


def _tables(
    epochs: Sequence[tuple[Mapping[str, int], Mapping[str, float]]],
) -> list[tuple[list[int], list[float]]]:
    """Return counts and shares of each epoch that a ratio can be tested in, each of shape (k,)."""
    tables = []
    for counts, weights in epochs:
        used = _used(weights)
        row = [counts.get(key, 0) for key in used]
        if len(used) > 1 and any(row):
            tables.append((row, list(used.values())))
    return tables


def _p_of_one_look(tables: Sequence[tuple[list[int], list[float]]]) -> float:
    """Return the p-value of the chi-square statistics' sum: independent epochs add up."""
    statistic = sum(chi_square(row, shares)[0] for row, shares in tables)
    freedom = sum(len(row) - 1 for row, _ in tables)
    return float(special.chdtrc(freedom, statistic)) if freedom else 1.0


def _p_of_any_look(tables: Sequence[tuple[list[int], list[float]]]) -> float:
    """Return 1 / e of the mean of the e-values of both concentrations, at most 1."""
    log_e = [
        sum(log_bayes_factor(row, shares, concentration=concentration) for row, shares in tables)
        for concentration in CONCENTRATIONS
    ]
    # On the log scale: an e-value of a large mismatch passes the floats.
    mean_log_e = float(np.logaddexp.reduce(log_e)) - math.log(len(log_e))
    return math.exp(-max(mean_log_e, 0.0))


def _planned(
    epochs: Sequence[tuple[Mapping[str, int], Mapping[str, float]]],
) -> dict[str, float]:
    """Return what is expected before anybody came: the shares of the last epoch."""
    return _used(epochs[-1][1]) if epochs else {}


def _used(weights: Mapping[str, float]) -> dict[str, float]:
    """Return the shares of the variants that have a weight."""
    mass = sum(weights.values())
    if min(weights.values()) < 0 or mass <= 0:
        raise StatisticsError(f"weights == {dict(weights)}, must not be negative and not all be zero.")
    return {key: weight / mass for key, weight in weights.items() if weight > 0}


@dataclass(frozen=True, slots=True)
class SegmentRatio:
    """How far a segment's split is off: where to look for the cause of a mismatch.

    Attributes:
        segment: such as `country=DE`.
        counts: units per variant.
        p_value: of the chi-square test within the segment, times the number of segments.
        rest_p_value: of the same test over the attribute's other segments; None without any.
    """

    segment: str
    counts: dict[str, int]
    p_value: float
    rest_p_value: float | None

    def as_json(self) -> dict[str, Any]:
        """Return every field."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SegmentRatio:
        """Read what `as_json` wrote."""
        return cls(**data)


def explain_mismatch(
    segments: Mapping[str, Mapping[str, int]], weights: Mapping[str, float], *, alpha: float = 0.001
) -> list[SegmentRatio]:
    """Name the segments whose own split is off, the worst first.

    A cause that sits in one segment (a browser whose redirect fails, a bot) leaves the others in
    order: then its p-value is small and that of the rest is not.

    Args:
        segments: units per variant of each segment, named `attribute=value`.
        weights: planned shares per variant.
        alpha: level, after multiplying by the number of segments.

    Reference:
        Fabijan et al. (2019), Diagnosing sample ratio mismatch, KDD.
    """
    used = [key for key, weight in weights.items() if weight > 0]
    shares = [weights[key] for key in used]
    tested = {
        name: [counts.get(key, 0) for key in used]
        for name, counts in segments.items()
        if any(counts.get(key, 0) for key in used)
    }
    unbalanced = []
    for name, counts in tested.items():
        p_value = min(1.0, chi_square(counts, shares)[1] * len(tested))
        if p_value >= alpha:
            continue
        attribute = _of(name)
        others = [row for other, row in tested.items() if other != name and _of(other) == attribute]
        rest = [sum(column) for column in zip(*others, strict=True)] if others else []
        unbalanced.append(
            SegmentRatio(
                segment=name,
                counts=dict(zip(used, counts, strict=True)),
                p_value=p_value,
                rest_p_value=chi_square(rest, shares)[1] if rest else None,
            )
        )
    return sorted(unbalanced, key=lambda row: (row.p_value, -(row.rest_p_value or 0.0)))


def _of(segment: str) -> str:
    return segment.partition("=")[0]
