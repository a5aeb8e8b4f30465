"""The words of contexts that a model learns a vector for: those that were said often enough."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inference.serving.contextual import FEATURE_IS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inference.training.data import TrainingData

MIN_UNITS = 10  # that said a word: of fewer it says who they are, and not where they are
MAX_WORDS = 200  # of a feature: those that most units said


@dataclass(frozen=True, slots=True)
class ContextWords:
    """Words by number.

    Attributes:
        names: `feature=word`, the first has the number 1.
        rows: per unit, the numbers of the words of each like, (likes, features), 0 for a word that is
            not learnt; None without words.
    """

    names: Sequence[str] = ()
    rows: Sequence[NDArray[np.int64]] | None = None

    @classmethod
    def of(cls, data: TrainingData) -> ContextWords:
        """Number the words of the likes' contexts."""
        if data.words is None:
            return cls()
        names: list[str] = []
        for column, feature in enumerate(data.features):
            counts = Counter(
                word for unit in data.words for word in {*unit[:, column].tolist()} if word
            )
            often = [word for word, units in counts.most_common(MAX_WORDS) if units >= MIN_UNITS]
            names += [f"{feature}{FEATURE_IS}{word}" for word in sorted(often)]
        if not names:
            return cls()
        numbers = {name: number for number, name in enumerate(names, start=1)}

        def number(unit: NDArray[np.str_]) -> NDArray[np.int64]:
            lines = [
                [
                    numbers.get(f"{name}{FEATURE_IS}{word}", 0)
                    for name, word in zip(data.features, line, strict=True)
                ]
                for line in unit.tolist()
            ]
            return np.array(lines, dtype=np.int64).reshape(len(lines), len(data.features))

        return cls(names, [number(unit) for unit in data.words])
