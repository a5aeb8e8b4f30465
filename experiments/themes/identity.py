"""Which new group is which earlier theme: the one whose centre is nearest, each at most once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference.serving.centred import unit_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_COSINE = 0.6  # of two centres of one theme, from the origin


def origin_of(centres: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the point from which centres are compared: what all texts share, float32 (width,).

    It is a large part of each vector: of some encoders any two have a cosine of .8. The earlier themes
    count once each, however many texts they have now: the mean of all texts moves to a theme that
    becomes most of them, and from there its parts lie in different directions.

    Args:
        centres: of the earlier themes, float32 (m, width); of fewer than two, texts are averaged.
        vectors: of all texts, float32 (n, width).
    """
    mean: NDArray[np.float32] = (centres if len(centres) > 1 else vectors).mean(0)
    return mean


def centred(centres: NDArray[np.float32], origin: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return directions of length 1 from an origin (`origin_of`) to centres, float32 (n, width)."""
    return unit_length((centres - origin).astype(np.float32))


def match_centres(
    new: NDArray[np.float32], old: NDArray[np.float32], *, min_cosine: float = MIN_COSINE
) -> list[int | None]:
    """Return for each new centre the row of the old one that it continues, or None.

    The assignment has the largest sum of cosines (Kuhn and Munkres), so that of two groups into which
    a theme falls apart the nearer one keeps its name.

    Args:
        new: directions of centres (`centred`), float32 (n, width).
        old: likewise, from the same origin, float32 (m, width).
        min_cosine: below it a centre continues nothing.
    """
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415  slow to import

    if not len(new) or not len(old):
        return [None] * len(new)
    cosines = new @ old.T
    # Pairs that are too far apart count nothing, so that they take no partner from a nearer one.
    rows, columns = linear_sum_assignment(np.where(cosines >= min_cosine, cosines, 0.0), maximize=True)
    matched: list[int | None] = [None] * len(new)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if cosines[row, column] >= min_cosine:
            matched[row] = column
    return matched
