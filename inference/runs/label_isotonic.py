"""Fit isotonic maps to a validation part, and say whether they are better than a temperature alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inference.evaluation.labelling import MIN_PROBABILITY
from inference.serving.isotonic import IsotonicMaps, Line

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from inference.serving.artifact import Floats

MIN_ROWS = 200  # two halves of a hundred: of fewer, the lines follow chance
MIN_OF_LABEL = 10  # rows of a label; of fewer, it keeps what the model states
IDENTITY: Line = ((0.0, 1.0), (0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Mean Brier scores on rows that were not fitted on: by a temperature alone, and with the maps."""

    temperature: float
    isotonic: float


def fit_maps(probabilities: Floats, truth: NDArray[np.int64]) -> IsotonicMaps:
    """Fit a line per label, each against all others.

    Args:
        probabilities: of a model that has not learnt from these rows, (rows, labels).
        truth: index of the true label, (rows,).
    """
    columns = range(probabilities.shape[1])
    return IsotonicMaps(tuple(_line(probabilities[:, one], truth == one) for one in columns))


def _line(stated: Floats, is_label: NDArray[np.bool_]) -> Line:
    """Return the corners of a label's line: each level's mean, by pooling adjacent violators."""
    from scipy.optimize import isotonic_regression  # noqa: PLC0415  web processes import runs' types

    if is_label.sum() < MIN_OF_LABEL:
        return IDENTITY
    values, place, counts = np.unique(
        stated.astype(np.float64), return_inverse=True, return_counts=True
    )
    shares = np.bincount(place, weights=is_label) / counts
    levels = isotonic_regression(shares, weights=counts).x
    first = np.flatnonzero(np.diff(levels, prepend=-1.0) > 0)
    total = np.add.reduceat(values * counts, first)
    means = total / np.add.reduceat(counts, first)
    return tuple(means.tolist()), tuple(levels[first].tolist())


def compare_maps(
    probabilities: Floats,
    truth: NDArray[np.int64],
    by_temperature: Callable[[Floats, NDArray[np.int64]], Callable[[Floats], Floats]],
) -> Comparison | None:
    """Fit both ways on one half and score them on the other, and the other way round.

    Args:
        probabilities: of a model that has not learnt from these rows, (rows, labels).
        truth: index of the true label, (rows,).
        by_temperature: fits a temperature, and returns what applies it.

    Returns:
        The scores if isotonic maps are better beyond one standard error and lose no log score; else
        None, and the simpler way is taken.
    """
    if len(truth) < MIN_ROWS:
        return None
    halves = half_of_each_label(truth)
    simple, mapped = np.empty_like(probabilities), np.empty_like(probabilities)
    for fitted in (halves, ~halves):
        scale = by_temperature(probabilities[fitted], truth[fitted])
        maps = fit_maps(scale(probabilities[fitted]), truth[fitted])
        simple[~fitted] = scale(probabilities[~fitted])
        mapped[~fitted] = maps.apply(simple[~fitted])
    gain = _brier(simple, truth) - _brier(mapped, truth)
    error = gain.std() / np.sqrt(len(gain))
    if gain.mean() <= error or log_scores(mapped, truth).mean() < log_scores(simple, truth).mean():
        return None
    return Comparison(float(_brier(simple, truth).mean()), float(_brier(mapped, truth).mean()))


def half_of_each_label(truth: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return every second row of each label, (rows,)."""
    halves = np.empty(len(truth), bool)
    halves[np.argsort(truth, kind="stable")] = np.arange(len(truth)) % 2 == 0
    return halves


def _brier(probabilities: Floats, truth: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the squared distance of each row from the truth, in [0, 2]."""
    squares = (probabilities.astype(np.float64) ** 2).sum(1)
    scores: NDArray[np.float64] = squares - 2 * probabilities[np.arange(len(truth)), truth] + 1
    return scores


def log_scores(probabilities: Floats, truth: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the log of what each row's true label was given."""
    of_truth = probabilities[np.arange(len(truth)), truth]
    scores: NDArray[np.float64] = np.log(np.maximum(of_truth, MIN_PROBABILITY, dtype=np.float64))
    return scores
