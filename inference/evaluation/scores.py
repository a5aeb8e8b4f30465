"""How one model did on what was held out, unit by unit, so that two can be paired."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one model on the same units (or examples) in the same order; higher is better.

    Attributes:
        per_unit: metric name to array (units,).
        whole: metrics that are no mean over units.
        curves: what pages draw: the calibration of a classifier.
    """

    per_unit: Mapping[str, NDArray[Any]]
    whole: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Any] = field(default_factory=dict)

    def mean(self, metric: str) -> float:
        """Return the mean over units."""
        return float(self.per_unit[metric].mean())
