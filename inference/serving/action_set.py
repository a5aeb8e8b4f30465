"""The actions of one decision as columns: numbers in a matrix, texts beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

DIGITS = 5  # that are stored of a feature: more says nothing that a linear policy could use


@dataclass(frozen=True, slots=True)
class ActionSet:
    """What may be chosen from, and where.

    Attributes:
        ids: of the n actions.
        names: of the features that are numbers.
        numbers: (n, names); NaN where an action has none.
        texts: of the features that are texts, by name: one of each action, None where it has none.
        context: features of the decision itself.
    """

    ids: Sequence[str]
    names: tuple[str, ...]
    numbers: NDArray[np.float64]
    texts: Mapping[str, Sequence[str | None]]
    context: Mapping[str, Any]

    @property
    def known_numbers(self) -> set[str]:
        """Names of the numbers that at least one action has: one that is null for all has no type."""
        gaps = np.isnan(self.numbers)
        if not gaps.any():
            return set(self.names)  # nearly always
        gone: list[bool] = np.atleast_1d(gaps.all(axis=0)).tolist()
        return {name for name, is_gone in zip(self.names, gone, strict=True) if not is_gone}

    def features_of(self, index: int) -> dict[str, float | str | None]:
        """Return the features of one action, as they are stored."""
        row = shortened(self.numbers[index : index + 1])[0]
        return {
            **dict(zip(self.names, row, strict=True)),
            **{name: column[index] for name, column in self.texts.items()},
        }

    def as_json(self) -> dict[str, Any]:
        """Return all actions, as they are stored of a sample."""
        return {
            "ids": list(self.ids),
            "names": list(self.names),
            "numbers": shortened(self.numbers),
            "texts": {name: list(column) for name, column in self.texts.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], context: Mapping[str, Any]) -> ActionSet:
        """Read what `as_json` wrote."""
        numbers = np.array(data["numbers"], dtype=float).reshape(len(data["ids"]), len(data["names"]))
        return cls(data["ids"], tuple(data["names"]), numbers, data["texts"], context)

    @classmethod
    def of_one(cls, features: Mapping[str, Any], context: Mapping[str, Any]) -> ActionSet:
        """Return the set of one stored action, whose id says nothing."""
        texts = {name: [value] for name, value in features.items() if isinstance(value, str)}
        names = tuple(name for name in features if name not in texts)
        numbers = np.array([[features[name] for name in names]], dtype=float)
        return cls([""], names, numbers, texts, context)


def shortened(numbers: NDArray[np.float64]) -> list[list[float | None]]:
    """Return numbers of `DIGITS` significant digits as JSON has them; None where there is none."""
    size = np.floor(np.log10(np.abs(numbers), where=numbers != 0, out=np.zeros_like(numbers)))
    # The exponents that a double's square still has: beyond them a number is 0 or refused anyway.
    scale = 10.0 ** (DIGITS - 1 - size).clip(-120, 120)
    rounded = (numbers * scale).round() / scale  # a missing number stays missing
    rows: list[list[float | None]] = rounded.tolist()
    if np.isnan(rounded).any():
        return [[None if value != value else value for value in row] for row in rows]  # noqa: PLR0124
    return rows
