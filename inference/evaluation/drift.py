"""Whether recent values come from where earlier ones came: PSI and Kolmogorov-Smirnov.

PSI = Σ (p − q) ln(p / q) over the tenths of the earlier values (or over words); below .1 nothing has
moved, above .25 much has (Siddiqi 2006). It grows with noise when there are few values, so both it and
the test must speak, on enough values, before anything is called drift.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

BINS = 10
MAX_WORDS = 20  # rarer ones together: each has too few values to compare
MIN_VALUES = 200  # PSI of fewer reaches .1 by noise alone
MAX_PSI = 0.25
MIN_P = 0.001
SMALL = 0.5  # added to each count: an empty bin has no logarithm


@dataclass(frozen=True, slots=True)
class Shift:
    """How far one quantity is from where it was.

    Attributes:
        name: of the quantity.
        psi: population stability index.
        ks: largest distance of the distribution functions; None of words.
        p_value: of that distance, or of a chi-squared test of words.
        earlier: how many values there were before.
        recent: how many there are now.
        shares: of each bin, before and now, for the chart.
        drifted: whether both measures say so, on enough values.
    """

    name: str
    psi: float
    ks: float | None
    p_value: float
    earlier: int
    recent: int
    shares: list[tuple[float, float]]
    drifted: bool

    def as_json(self) -> dict[str, Any]:
        """Return every field."""
        return asdict(self)


def compare_numbers(name: str, earlier: Sequence[float], recent: Sequence[float]) -> Shift | None:
    """Compare numbers; None when there are too few on either side."""
    from scipy.stats import ks_2samp  # noqa: PLC0415  web processes do without it

    if min(len(earlier), len(recent)) < MIN_VALUES:
        return None
    edges = np.unique(np.quantile(earlier, np.linspace(0, 1, BINS + 1)[1:-1]))
    counts = [
        np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
        for values in (earlier, recent)
    ]
    test = ks_2samp(earlier, recent, method="asymp")
    return _measure_shift(name, counts[0], counts[1], float(test.statistic), float(test.pvalue))


def compare_words(name: str, earlier: Sequence[str], recent: Sequence[str]) -> Shift | None:
    """Compare words by their shares, the rarer ones together; None when there are too few."""
    from scipy.stats import chi2_contingency  # noqa: PLC0415  web processes do without it

    if min(len(earlier), len(recent)) < MIN_VALUES:
        return None
    names, sizes = np.unique([*earlier, *recent], return_counts=True)
    frequent = {word: i for i, word in enumerate(names[np.argsort(-sizes)][:MAX_WORDS])}
    counts = [
        np.bincount([frequent.get(word, MAX_WORDS) for word in words], minlength=MAX_WORDS + 1)
        for words in (earlier, recent)
    ]
    occurs = (counts[0] + counts[1]) > 0
    both = [count[occurs] for count in counts]
    p_value = float(chi2_contingency(np.array(both)).pvalue) if occurs.sum() > 1 else 1.0
    return _measure_shift(name, both[0], both[1], None, p_value)


def _measure_shift(
    name: str, before: np.ndarray, now: np.ndarray, ks: float | None, p_value: float
) -> Shift:
    p = (now + SMALL) / (now + SMALL).sum()
    q = (before + SMALL) / (before + SMALL).sum()
    psi = float(((p - q) * np.log(p / q)).sum())
    return Shift(
        name=name,
        psi=psi,
        ks=ks,
        p_value=p_value,
        earlier=int(before.sum()),
        recent=int(now.sum()),
        shares=[(float(b), float(n)) for b, n in zip(q, p, strict=True)],
        drifted=psi >= MAX_PSI and p_value < MIN_P,
    )
