"""Agreement of two raters on categories: observed agreement and Cohen's kappa, also of ordered ones.

κ = (p_o - p_e) / (1 - p_e), where p_o is the share of pairs in which both chose the same category and
p_e the share expected if each chose independently with their own frequencies: p_e = Σ_c p_1c p_2c.

Assumptions: pairs are independent, each pair has a first and a second rater, categories have no order.
κ is 1 for perfect agreement, 0 for what chance alone gives, and may be negative.

Points of a scale do have an order: there a disagreement weighs as the square of its distance, and the
interval is a jackknife's that leaves out a unit with all of its answers.

References: J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological
Measurement 20 (1960); "Weighted kappa", Psychological Bulletin 70 (1968). B. Efron, C. Stein, "The
jackknife estimate of variance", Annals of Statistics 9 (1981).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from experiments.stats.special_functions import special
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of two raters.

    Attributes:
        pairs: how many pairs were rated.
        same: the share in which both chose the same category, in [0, 1]; None without pairs.
        kappa: Cohen's kappa, at most 1; None without pairs, and where both raters only ever chose one
            and the same category, so that chance alone explains everything.
    """

    pairs: int
    same: float | None
    kappa: float | None


def measure_agreement(pairs: Sequence[tuple[str, str]]) -> Agreement:
    """Measure how far the first and the second rater of each pair agree."""
    count = len(pairs)
    if not count:
        return Agreement(0, None, None)
    same = sum(first == second for first, second in pairs) / count
    first_counts = Counter(first for first, _ in pairs)
    second_counts = Counter(second for _, second in pairs)
    by_chance = sum(first_counts[c] * second_counts[c] for c in first_counts) / count**2
    # In whole numbers the sum is count² exactly when both chose one category: no 0 / 0 by rounding.
    kappa = (same - by_chance) / (1 - by_chance) if by_chance < 1 else None
    return Agreement(count, same, kappa)


@dataclass(frozen=True, slots=True)
class ScaleAgreement:
    """Agreement of two raters on a scale.

    Attributes:
        pairs: how many answers both rated.
        same: the share in which both chose the same point; None without pairs.
        kappa: Cohen's kappa with squared distances; of two points it is the plain one. None without
            pairs, and where both raters only ever chose one and the same point.
        interval: of kappa; None where it is None, or of fewer than two units.
    """

    pairs: int
    same: float | None
    kappa: float | None
    interval: tuple[float, float] | None


def measure_scale_agreement(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    *,
    unit: NDArray[np.int64],
    points: int,
    alpha: float = 0.05,
) -> ScaleAgreement:
    """Measure how far two raters agree on points of a scale.

    Args:
        first: one rater's points in [0, points), shape (pairs,); second likewise.
        second: the other rater's.
        unit: whose answer each pair is, as a number; answers of one unit are not independent.
        points: of the scale, at least 2.
        alpha: 1 − confidence.

    Raises:
        StatisticsError: the scale has fewer than two points, or a rating is not on it.
    """
    if points < 2:
        raise StatisticsError(f"points == {points}, must be at least 2.")
    if not first.size:
        return ScaleAgreement(0, None, None, None)
    for rating in (first, second):
        if rating.min() < 0 or rating.max() >= points:
            raise StatisticsError(
                f"ratings == {rating.min()} to {rating.max()}, must be in [0, {points - 1}]."
            )
    labels, place = np.unique(unit, return_inverse=True)
    tables = np.zeros((labels.size, points, points))
    np.add.at(tables, (place, first, second), 1)
    whole = tables.sum(axis=0)
    kappa = float(_weighted_kappa(whole))
    same = float(np.trace(whole) / first.size)
    if np.isnan(kappa):
        return ScaleAgreement(first.size, same, None, None)
    return ScaleAgreement(first.size, same, kappa, _jackknife(kappa, whole - tables, alpha))


def _weighted_kappa(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return κ = 1 − Σ d p / Σ d e of tables of counts (…, points, points); NaN where chance is all."""
    points = np.arange(tables.shape[-1])
    distance = (points[:, None] - points) ** 2
    rows, columns = tables.sum(axis=-1), tables.sum(axis=-2)
    total = tables.sum(axis=(-2, -1))
    observed = (tables * distance).sum(axis=(-2, -1)) * total
    expected = np.einsum("...i,ij,...j->...", rows, distance, columns)
    # Both are whole numbers, so that 0 is exact.
    ratio = np.divide(observed, expected, out=np.full_like(expected, np.nan), where=expected > 0)
    return np.asarray(1 - ratio)


def _jackknife(
    kappa: float, without_one: NDArray[np.float64], alpha: float
) -> tuple[float, float] | None:
    values = _weighted_kappa(without_one)
    count = len(values)
    if count < 2 or np.isnan(values).any():
        return None
    spread = (count - 1) / count * float(((values - values.mean()) ** 2).sum())
    half = float(special.ndtri(1 - alpha / 2)) * spread**0.5
    return max(kappa - half, -1.0), min(kappa + half, 1.0)
