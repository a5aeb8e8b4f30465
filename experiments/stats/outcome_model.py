"""A prediction of a unit's outcome from what was known before, as plain numbers: CUPAC's covariate.

A line through all features, and boosted trees on what it leaves over: where the history of a unit
enters as a sum, the line has it already, and the trees find the rest. Plain numbers are stored, hashed,
and evaluated by PostgreSQL (`experiments/metrics/sql.py`); `cross_fit` beside this fits them.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Mapping

# A leaf is its value; a branch is (feature, threshold, tree at most, tree above).
Tree = float | tuple[int, float, "Tree", "Tree"]


@dataclass(frozen=True, slots=True)
class OutcomeModel:
    """intercept + Σ slope · feature + Σ trees.

    Attributes:
        intercept: the outcome where every feature is 0, before the trees.
        slopes: one per feature.
        trees: each a leaf's value or (feature, threshold, tree at most, tree above).
        units: that it was fitted on.
        segments: what the last features are of, as `attribute=value`: 1 for a unit in it, else 0.

    Raises:
        StatisticsError: a number is not finite, or a tree names a feature that is not there.
    """

    intercept: float
    slopes: tuple[float, ...]
    trees: tuple[Tree, ...] = ()
    units: int = 0
    segments: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for number in (self.intercept, *self.slopes):
            _require_finite(number)
        for tree in self.trees:
            _check(tree, len(self.slopes))
        if len(self.segments) > len(self.slopes):
            raise StatisticsError(
                f"segments of an outcome's model == {len(self.segments)}, must be at most its "
                f"{len(self.slopes)} features."
            )

    def as_json(self) -> dict[str, Any]:
        """Return every field as plain values."""
        data = asdict(self)
        if not self.segments:  # models from before there were any hash as they did
            del data["segments"]
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> OutcomeModel:
        """Read what `as_json` wrote.

        Raises:
            StatisticsError: it is none.
        """
        try:
            return cls(
                float(data["intercept"]),
                tuple(float(slope) for slope in data["slopes"]),
                tuple(_read(tree) for tree in data["trees"]),
                int(data["units"]),
                tuple(str(segment) for segment in data.get("segments", ())),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StatisticsError(f"model of an outcome cannot be read: {error}.") from error


def _read(tree: Any) -> Tree:
    if isinstance(tree, int | float):
        return float(tree)
    feature, threshold, low, high = tree
    return int(feature), float(threshold), _read(low), _read(high)


def _check(tree: Tree, features: int) -> None:
    if isinstance(tree, float):
        _require_finite(tree)
        return
    feature, threshold, low, high = tree
    if not 0 <= feature < features:
        raise StatisticsError(f"feature of a tree == {feature}, must be in [0, {features}).")
    _require_finite(threshold)
    _check(low, features)
    _check(high, features)


def _require_finite(number: float) -> None:
    if not math.isfinite(number):
        raise StatisticsError(f"number of an outcome's model == {number:g}, must be finite.")
