"""From where hyper-parameters are drawn when a run searches; what is not here keeps its default."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers between two ends, drawn evenly on a logarithmic scale.

    Attributes:
        low: least, above 0.
        high: largest.
        whole: whether they are whole numbers.
    """

    low: float
    high: float
    whole: bool = False

    def draw(self, rng: np.random.Generator) -> float | int:
        """Return one of them."""
        drawn = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        return round(drawn) if self.whole else float(f"{drawn:.3g}")


SPACES: Mapping[str, Mapping[str, Span]] = {
    "popularity": {"half_life_days": Span(3, 730)},
    "item-knn": {"neighbours": Span(20, 1000, whole=True), "shrink": Span(1, 300)},
    "ease": {"l2": Span(10, 3000)},
    "als": {"factors": Span(16, 128, whole=True), "l2": Span(1, 300), "alpha": Span(0.5, 40)},
    "two-tower": {"rate": Span(1e-3, 2e-2), "decay": Span(1e-3, 1e-1), "dropout": Span(0.05, 0.5)},
    "sasrec": {"rate": Span(1e-3, 1e-2), "decay": Span(1e-3, 1e-1), "dropout": Span(0.1, 0.6)},
}


def draw_params(algorithm: str, rng: np.random.Generator) -> dict[str, Any]:
    """Return hyper-parameters of an algorithm; nothing where it has no space."""
    return {name: span.draw(rng) for name, span in SPACES.get(algorithm, {}).items()}
