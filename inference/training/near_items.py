"""Which items are nearest to each by their texts and images, found once, when a version is made.

Up to `MAX_EXACT` items all pairs are compared. Of more, the vectors are cut to their leading directions
and grouped around centres that are drawn from them (an inverted file, Jégou, Douze & Schmid 2011): an
item is compared with those of the groups nearest to it, and the best of these again in full. What that
costs grows with n √n, and the same vectors give the same lists.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from inference.serving.near_items import MAX_NEAR, NEAR_ITEMS, NEAR_WEIGHTS, weight_of
from inference.serving.scorers import scorer_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inference.serving.artifact import ArtifactDraft, Floats, Indices
    from inference.training.data import TrainingData

MIN_COSINE = 0.3  # below it, texts have as much in common as any two
MAX_EXACT = 30_000  # items whose pairs are all compared: a minute of a core
BLOCK = 1000  # items that are compared at once
WIDTH = 128  # directions that choose whom to compare in full
GROUPS_READ = 24  # nearest groups of an item that are looked through
COMPARED = 100  # items that are compared in full: five times as many as are listed


def with_near_items(draft: ArtifactDraft, data: TrainingData) -> ArtifactDraft:
    """Return a draft that holds its nearest items too.

    The same where items have no vectors, and of a form that ranks alike for every history: beside an
    item, its own list is asked for last.

    Args:
        draft: of a recommender that was fitted on the data.
        data: the items' vectors, and how often each is liked.
    """
    sides = [
        _units(vectors)
        for vectors in (data.item_vectors, data.custom_vectors, data.image_vectors)
        if vectors is not None and vectors.size
    ]
    if not sides or not scorer_of(draft.form, draft.arrays.__getitem__).reads_history:
        return draft
    likes = np.bincount(data.pairs[1], minlength=len(data.item_ids))
    weights = np.array([weight_of(float(count)) for count in likes], dtype=np.float32)
    arrays = {NEAR_ITEMS: near_items(sides), NEAR_WEIGHTS: weights}
    return replace(draft, arrays={**draft.arrays, **arrays})


def near_items(sides: Sequence[Floats]) -> Indices:
    """Return the nearest items of each, int32 (n, `MAX_NEAR`), nearest first, -1 for none.

    Args:
        sides: vectors of length 1, or 0 for none, (n, d), a matrix for each kind.
    """
    count = len(sides[0])
    lists = np.full((count, MAX_NEAR), -1, dtype=np.int32)
    if count <= MAX_EXACT:
        every = np.arange(count)
        for start in range(0, count, BLOCK):
            rows = every[start : start + BLOCK]
            _keep_nearest(lists, rows, every, sides)
        return lists
    small = _leading(np.concatenate(sides, axis=1))
    centres, group = _grouped(small)
    members = [np.flatnonzero(group == one) for one in range(len(centres))]
    closest = np.argsort(-(centres @ centres.T), axis=1, kind="stable")[:, :GROUPS_READ]
    for one, rows in enumerate(members):
        others = np.concatenate([members[near] for near in closest[one]])
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            size = min(COMPARED, len(others))
            cosines = small[block] @ small[others].T
            best = np.argpartition(-cosines, size - 1, axis=1)[:, :size]
            _keep_nearest_of(lists, block, others[best], sides)
    return lists


def _keep_nearest(
    lists: Indices, rows: NDArray[np.int64], others: NDArray[np.int64], sides: Sequence[Floats]
) -> None:
    """Write the nearest of some items, which all are compared with."""
    cosines = np.zeros((len(rows), len(others)), dtype=np.float32)
    count = np.zeros_like(cosines)
    for side in sides:
        cosines += side[rows] @ side[others].T
        count += np.outer(side[rows].any(axis=1), side[others].any(axis=1))
    cosines /= np.maximum(count, 1)
    _write(lists, rows, np.broadcast_to(others, cosines.shape), cosines)


def _keep_nearest_of(
    lists: Indices, rows: NDArray[np.int64], others: NDArray[np.int64], sides: Sequence[Floats]
) -> None:
    """Write the nearest of some items, each compared with its own line of `others`, (rows, m)."""
    cosines = np.zeros(others.shape, dtype=np.float32)
    count = np.zeros_like(cosines)
    for side in sides:
        near, has = side[others], np.asarray(side.any(axis=1))
        cosines += np.einsum("rd,rmd->rm", side[rows], near)
        count += has[rows][:, None] & has[others]
    cosines /= np.maximum(count, 1)
    _write(lists, rows, others, cosines)


def _write(lists: Indices, rows: NDArray[np.int64], others: NDArray[np.int64], cosines: Floats) -> None:
    cosines = np.where(others == rows[:, None], -np.inf, cosines)
    # Equal texts are common: of these the first of the catalogue come first, on every machine.
    size = min(2 * MAX_NEAR, cosines.shape[1])
    top = np.sort(np.argpartition(-cosines, size - 1, axis=1)[:, :size], axis=1)
    of_top = np.take_along_axis(cosines, top, axis=1)
    order = np.argsort(-of_top, axis=1, kind="stable")[:, :MAX_NEAR]
    best = np.take_along_axis(others, np.take_along_axis(top, order, axis=1), axis=1)
    near = np.take_along_axis(of_top, order, axis=1) >= MIN_COSINE
    lists[rows, : best.shape[1]] = np.where(near, best, -1)


def _units(vectors: Floats) -> Floats:
    rows = np.asarray(vectors, dtype=np.float32)
    units: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return units


def _leading(vectors: Floats) -> Floats:
    """Return vectors along their leading directions, of length 1, (n, `WIDTH`) at most."""
    rng = np.random.default_rng(0)
    sample = vectors[np.sort(rng.choice(len(vectors), min(len(vectors), 20_000), replace=False))]
    _, directions = np.linalg.eigh(sample.T @ sample)
    return _units(vectors @ directions[:, ::-1][:, :WIDTH].astype(np.float32))


def _grouped(vectors: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Return centres, (√n, d), and the nearest centre of each vector, (n,): k-means, three rounds."""
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.choice(len(vectors), int(np.sqrt(len(vectors))), replace=False))
    centres = vectors[chosen]
    for _ in range(3):
        group = _nearest_centre(vectors, centres)
        sums = np.zeros_like(centres)
        np.add.at(sums, group, vectors)
        # A centre that nothing is near stays where it was.
        centres = np.where(sums.any(axis=1, keepdims=True), _units(sums), centres)
    return centres, _nearest_centre(vectors, centres)


def _nearest_centre(vectors: Floats, centres: Floats) -> NDArray[np.int64]:
    blocks = range(0, len(vectors), 10 * BLOCK)
    return np.concatenate(
        [np.argmax(vectors[start : start + 10 * BLOCK] @ centres.T, axis=1) for start in blocks]
    )
