"""For whom it works: effects within segments drawn towards what they have in common.

The segment with the largest effect of many is nearly always too large: it was chosen for its noise. If
the true effects of an attribute's k segments scatter about a mean with spread τ, the best guess of each
is its estimate, drawn towards that mean by the share of its variance that is noise, averaged over what
τ may be (hierarchical Bayes). Cochran's Q says whether there is more scatter than noise makes.

References:
    Rubin (1981), Journal of Educational Statistics 6; Gelman (2006), Bayesian Analysis 1 (the flat
    prior of τ). Paule & Mandel (1982), Journal of Research of the NBS 87 (τ). Viechtbauer (2007),
    Statistics in Medicine 26 (its bound, by inverting Q). Cochran (1954), Biometrics 10.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from experiments.stats.effects import critical_value
from experiments.stats.multiplicity import holm
from experiments.stats.roots import find_root
from experiments.stats.special_functions import special

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.stats.segments import SegmentEffect

MIN_SEGMENTS = 2  # one has nobody to differ from
GRID = 60  # values of τ that are averaged over


@dataclass(frozen=True, slots=True)
class SegmentDifference:
    """Whether one treatment's effect differs between the segments of one attribute.

    Attributes:
        attribute: such as `country`.
        variant: the treatment.
        segments: that have an effect.
        common: mean of the effects, in the metric's unit.
        spread: τ, standard deviation of the true effects; 0 where noise alone explains the scatter.
        spread_bound: what τ does not exceed, at the level 1 − alpha; None where Q cannot be inverted.
        statistic: Cochran's Q, of segments − 1 degrees of freedom.
        p_value: of no difference, of a single look.
        adjusted_p_value: by Holm over all attributes and treatments.
        differs: whether adjusted_p_value is at most alpha.
    """

    attribute: str
    variant: str
    segments: int
    common: float
    spread: float
    spread_bound: float | None
    statistic: float
    p_value: float
    adjusted_p_value: float
    differs: bool

    def as_json(self) -> dict[str, Any]:
        """Return every field."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SegmentDifference:
        """Read what `as_json` wrote."""
        return cls(**data)


def shrink_segments(
    rows: Sequence[SegmentEffect], *, alpha: float
) -> tuple[list[SegmentEffect], list[SegmentDifference]]:
    """Return the effects with their shrunken estimates, and whether they differ, by attribute.

    Effects that have no standard error, and attributes with one segment, stay as they are.

    Args:
        rows: of one metric; the segments of an attribute share no unit.
        alpha: level of intervals, of the test and of the spread's bound.
    """
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        if row.estimate is not None and row.se:
            groups[row.segment.partition("=")[0], row.variant].append(place)
    shrunk, differences = list(rows), []
    for (attribute, variant), places in groups.items():
        if len(places) < MIN_SEGMENTS:
            continue
        scatter = _Scatter([(rows[n].estimate or 0.0, rows[n].se or 0.0) for n in places])
        for n, (estimate, error) in zip(places, scatter.shrink(), strict=True):
            half = critical_value(alpha) * error
            shrunk[n] = replace(
                rows[n], shrunken=estimate, shrunken_interval=(estimate - half, estimate + half)
            )
        differences.append(scatter.describe(attribute, variant, alpha))
    # None stays None, and no p-value here is None.
    adjusted = cast("list[float]", holm([one.p_value for one in differences]))
    return shrunk, [
        replace(one, adjusted_p_value=p, differs=p <= alpha)
        for one, p in zip(differences, adjusted, strict=True)
    ]


class _Scatter:
    """Estimates of one attribute's segments with their standard errors."""

    def __init__(self, estimates: Sequence[tuple[float, float]]) -> None:
        self._estimates = estimates
        self._df = len(estimates) - 1
        self.statistic = self._q(0.0)
        # Paule and Mandel: the spread at which the scatter is what is expected of it.
        self._variance = self._invert(self._df) or 0.0

    def _mean(self, variance: float) -> tuple[float, float]:
        """Return the weighted mean and its variance, of a spread of the given variance."""
        weights = [1 / (se * se + variance) for _, se in self._estimates]
        total = sum(weights)
        products = (w * estimate for w, (estimate, _) in zip(weights, self._estimates, strict=True))
        return sum(products) / total, 1 / total

    def _q(self, variance: float) -> float:
        mean, _ = self._mean(variance)
        return sum((one - mean) ** 2 / (se * se + variance) for one, se in self._estimates)

    def _invert(self, q: float) -> float | None:
        """Return the variance of the spread at which Q, which falls with it, is q; None at none."""
        if self.statistic <= q:
            return None
        high = max((one - self._estimates[0][0]) ** 2 for one, _ in self._estimates) or 1.0
        while self._q(high) > q:
            high *= 2
        return find_root(lambda variance: self._q(variance) - q, 0.0, high, xtol=1e-12 * high)

    def shrink(self) -> list[tuple[float, float]]:
        """Return each segment's estimate and its standard error, averaged over what τ may be.

        At the one best τ intervals are too short: with few segments it is often 0 by chance.
        """
        mean, _ = self._mean(0.0)
        top = 2 * max(abs(one - mean) + se for one, se in self._estimates)
        variances = [((n + 0.5) / GRID * top) ** 2 for n in range(GRID)]
        weights = self._posterior(variances)
        drawn = [self._shrink_by(variance) for variance in variances]
        rows = []
        for place in range(len(self._estimates)):
            pairs = [(w, *one[place]) for w, one in zip(weights, drawn, strict=True)]
            centre = sum(w * estimate for w, estimate, _ in pairs)
            spread = sum(w * (error + (estimate - centre) ** 2) for w, estimate, error in pairs)
            rows.append((centre, math.sqrt(spread)))
        return rows

    def _posterior(self, variances: Sequence[float]) -> list[float]:
        """Return the weights of τ's values, of a flat prior over τ and over the mean; they sum to 1."""
        logs = []
        for variance in variances:
            _, of_mean = self._mean(variance)
            widths = sum(math.log(se * se + variance) for _, se in self._estimates)
            logs.append((math.log(of_mean) - widths - self._q(variance)) / 2)
        largest = max(logs)
        weights = [math.exp(one - largest) for one in logs]
        return [one / sum(weights) for one in weights]

    def _shrink_by(self, variance: float) -> list[tuple[float, float]]:
        """Return each segment's estimate and its variance, of a spread of the given variance."""
        mean, of_mean = self._mean(variance)
        rows = []
        for estimate, se in self._estimates:
            noise = se * se / (se * se + variance)  # the share that is drawn to the mean
            error = (1 - noise) * se * se + noise * noise * of_mean
            rows.append((estimate - noise * (estimate - mean), error))
        return rows

    def describe(self, attribute: str, variant: str, alpha: float) -> SegmentDifference:
        """Return the test, before it is adjusted."""
        bound = self._invert(float(special.chdtri(self._df, 1 - alpha / 2)))
        p_value = float(special.chdtrc(self._df, self.statistic))
        return SegmentDifference(
            attribute=attribute,
            variant=variant,
            segments=len(self._estimates),
            common=self._mean(self._variance)[0],
            spread=math.sqrt(self._variance),
            spread_bound=None if bound is None else math.sqrt(bound),
            statistic=self.statistic,
            p_value=p_value,
            adjusted_p_value=p_value,
            differs=False,
        )
