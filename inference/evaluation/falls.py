"""Whether one model falls behind another on the same rows: for checks beside the gate's rule.

The gate's rule wants evidence that a challenger is not worse. These checks want evidence that it is,
because they compare what cannot be compared quite fairly, or few rows.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

REPLICATES = 2000  # as the gate's
LABEL_MARGIN = 0.2  # of recall that one label may lose
LABEL_ALPHA = 0.01  # over all labels together


@dataclass(frozen=True, slots=True)
class Fall:
    """A paired comparison on the same units.

    Attributes:
        metric: that is compared.
        units: how many.
        challenger: its mean.
        other: the other's mean.
        interval: 95 % of the difference, by a bootstrap over units.
        on: which rows they are, in words.
        fell: whether the challenger is worse by more than the margin, with its interval below 0.
    """

    metric: str
    units: int
    challenger: float
    other: float
    interval: tuple[float, float]
    on: str
    fell: bool

    def as_json(self) -> dict[str, Any]:
        """Return every field."""
        return asdict(self)


def compare_fall(
    metric: str,
    challenger: NDArray[Any],
    other: NDArray[Any],
    *,
    margin: float,
    on: str,
    random_seed: int = 0,
) -> Fall:
    """Compare per-unit scores, (units,) each, higher is better.

    Args:
        metric: its name.
        challenger: its scores.
        other: the other's, on the same units in the same order.
        margin: loss that is still accepted, as a share of the other's mean.
        on: which rows they are.
        random_seed: of the bootstrap.
    """
    difference = np.asarray(challenger, dtype=float) - np.asarray(other, dtype=float)
    rng = np.random.default_rng(random_seed)
    draws = rng.integers(len(difference), size=(REPLICATES, len(difference)))
    low, high = np.quantile([difference[draw].mean() for draw in draws], [0.025, 0.975])
    value = float(np.mean(other))
    fell = float(difference.mean()) < -margin * abs(value) and high < 0
    return Fall(
        metric=metric,
        units=len(difference),
        challenger=float(np.mean(challenger)),
        other=value,
        interval=(float(low), float(high)),
        on=on,
        fell=bool(fell),
    )


def find_label_falls(
    challenger: NDArray[np.bool_], other: NDArray[np.bool_], truth: NDArray[np.int64]
) -> list[int]:
    """Return the labels whose recall falls by more than `LABEL_MARGIN`, beyond chance.

    Per label the exact sign test over the examples that one of both got right (McNemar), one-sided, at
    `LABEL_ALPHA` over the number of labels.

    Args:
        challenger: whether it was right, (examples,).
        other: whether the other was.
        truth: index of the true label, (examples,).
    """
    from scipy.stats import binomtest  # noqa: PLC0415  slow to import

    labels = np.unique(truth)
    fallen = []
    for label in labels:
        mine = truth == label
        lost = int((other & ~challenger & mine).sum())
        won = int((challenger & ~other & mine).sum())
        if (lost - won) / mine.sum() <= LABEL_MARGIN:
            continue
        test = binomtest(lost, lost + won, 0.5, alternative="greater")
        if test.pvalue < LABEL_ALPHA / len(labels):
            fallen.append(int(label))
    return fallen
