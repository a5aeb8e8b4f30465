"""Numbers, words and booleans beside a text, as one vector per row.

A number becomes its standard score, the tenth of the learnt rows in which it lies, and whether it is
missing, so that a linear model can follow what rises and falls; a word or a boolean becomes one of
the values that were learnt, or none.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.serving.example_images import IMAGE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference.serving.artifact import Floats

BINS = 10
MAX_VALUES = 50  # of a word: rarer values are read as none, and weigh nothing


@dataclass(frozen=True, slots=True)
class NumberColumn:
    """A number by name: its mean and spread, and the edges of its tenths."""

    name: str
    mean: float
    spread: float
    edges: list[float] = field(default_factory=list)

    @property
    def width(self) -> int:
        """How many places it takes: score, missing, tenths."""
        return 2 + len(self.edges) + 1

    def fill(self, value: Any, place: Floats) -> None:
        """Write a value into its places, which are 0."""
        number = as_number(value)
        if number is None:
            place[1] = 1.0
            return
        # Cut at five standard deviations: one wild number must not outweigh the text.
        place[0] = min(max((number - self.mean) / self.spread, -5.0), 5.0)
        place[2 + int(np.searchsorted(self.edges, number, side="right"))] = 1.0


@dataclass(frozen=True, slots=True)
class WordColumn:
    """A word or a boolean by name: the values that were learnt, most frequent first."""

    name: str
    values: list[str]

    @property
    def width(self) -> int:
        """How many places it takes."""
        return len(self.values)

    def fill(self, value: Any, place: Floats) -> None:
        """Write a value into its places, which are 0."""
        if value is not None and str(value) in self.values:
            place[self.values.index(str(value))] = 1.0


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """Which features a model reads, and how."""

    numbers: list[NumberColumn] = field(default_factory=list)
    words: list[WordColumn] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Length of a row's vector."""
        return sum(column.width for column in self.columns)

    @property
    def columns(self) -> list[NumberColumn | WordColumn]:
        """All of them, in their order."""
        return [*self.numbers, *self.words]

    def transform(self, rows: Sequence[Mapping[str, Any]]) -> Floats:
        """Return vectors, float32 (rows, width); a feature that was not learnt is not read."""
        vectors = np.zeros((len(rows), self.width), dtype=np.float32)
        for vector, row in zip(vectors, rows, strict=True):
            start = 0
            for column in self.columns:
                column.fill(row.get(column.name), vector[start : start + column.width])
                start += column.width
        return vectors

    def as_json(self) -> dict[str, Any]:
        """Return every field."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FeatureTable:
        """Read it back."""
        return cls(
            numbers=[NumberColumn(**column) for column in data["numbers"]],
            words=[WordColumn(**column) for column in data["words"]],
        )

    @classmethod
    def learn(cls, rows: Sequence[Mapping[str, Any]]) -> FeatureTable:
        """Return the table of some rows: a feature whose every value is a number is one."""
        # An image's vector is the platform's, and no feature that somebody named.
        names = sorted({name for row in rows for name in row if name != IMAGE})
        numbers, words = [], []
        for name in names:
            values = [row[name] for row in rows if row.get(name) is not None]
            parsed = [as_number(value) for value in values]
            if values and all(number is not None for number in parsed):
                numbers.append(_learn_number(name, np.array(parsed, dtype=np.float64)))
            elif values:
                counts: dict[str, int] = {}
                for value in values:
                    counts[str(value)] = counts.get(str(value), 0) + 1
                ordered = sorted(counts, key=lambda value: (-counts[value], value))
                words.append(WordColumn(name, ordered[:MAX_VALUES]))
        return cls(numbers, words)


def _learn_number(name: str, values: np.ndarray) -> NumberColumn:
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1]))
    return NumberColumn(
        name=name,
        mean=float(values.mean()),
        spread=float(values.std()) or 1.0,  # a constant is no division by 0
        edges=[float(edge) for edge in edges],
    )


def as_number(value: Any) -> float | None:
    """Return a finite number that a value is, or None; a boolean is a word."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
