"""Many questions at once: p-values adjusted so that a threshold keeps its meaning.

Each function takes p-values of shape (m,) and returns adjusted ones in the same order: compare them
with alpha. None stays None: what could not be tested does not count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence


def _ranked(p_values: Sequence[float | None]) -> list[tuple[float, int]]:
    for p in p_values:
        if p is not None and not 0 <= p <= 1:
            raise StatisticsError(f"p-value == {p:g}, must be in [0, 1].")
    return sorted((p, n) for n, p in enumerate(p_values) if p is not None)


def bonferroni(p_values: Sequence[float | None]) -> list[float | None]:
    """Multiply by their number: the chance of any false positive is at most alpha, always."""
    m = len(_ranked(p_values))
    return [None if p is None else min(1.0, m * p) for p in p_values]


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust step-down: as safe as Bonferroni's and never larger.

    Reference: Holm (1979), A simple sequentially rejective multiple test procedure, SJS 6.
    """
    ranked = _ranked(p_values)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, n) in enumerate(ranked):
        largest = max(largest, min(1.0, (len(ranked) - rank) * p))
        adjusted[n] = largest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust step-up: of what is called significant at alpha, at most alpha is expected to be false.

    Assumptions: the tests are independent or positively dependent. For exploration, not for verdicts.

    Reference: Benjamini & Hochberg (1995), Controlling the false discovery rate, JRSS B 57.
    """
    ranked = _ranked(p_values)
    adjusted: list[float | None] = [None] * len(p_values)
    smallest = 1.0
    for rank in range(len(ranked), 0, -1):
        p, n = ranked[rank - 1]
        smallest = min(smallest, p * len(ranked) / rank)
        adjusted[n] = smallest
    return adjusted
