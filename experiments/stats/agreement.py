"""Agreement of two raters on categories: observed agreement and Cohen's kappa.

κ = (p_o - p_e) / (1 - p_e), where p_o is the share of pairs in which both chose the same category and
p_e the share expected if each chose independently with their own frequencies: p_e = Σ_c p_1c p_2c.

Assumptions: pairs are independent, each pair has a first and a second rater, categories have no order.
κ is 1 for perfect agreement, 0 for what chance alone gives, and may be negative.

Reference: J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological
Measurement 20 (1960).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


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
