"""Which items are nearest to each by their texts and images, found once, when a version is made.

Up to `MAX_EXACT` items all pairs are compared. Of more, the vectors are cut to their leading
directions and grouped around centres that are drawn from them (an inverted file, Jégou, Douze & Schmid
2011): an item is compared with those of the groups nearest to it, and the best of these again in full;
then twice with what is near to those near it (Dong, Moses & Li 2011). The cost grows with n √n, and
the same vectors give the same lists. Memory is bounded whatever the texts are: what has no vector is
left out, of a large group (equal texts are one) its first items stand for it in the others' lists, and
few rows are compared at once with many.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from inference.serving.near_items import MAX_NEAR, NEAR_ITEMS, NEAR_WEIGHTS, weight_of
from inference.serving.scorers import scorer_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from inference.serving.artifact import ArtifactDraft, Floats, Indices
    from inference.training.data import TrainingData

    Indices64 = NDArray[np.int64]

MIN_COSINE = 0.3  # below it, texts have as much in common as any two
MAX_EXACT = 30_000  # items whose pairs are all compared: a minute of a core
BLOCK = 1000  # items that are compared at once, at most
BLOCK_ELEMENTS = 16_000_000  # numbers of a matrix that compares a block: 64 MB in float32
MAX_OWN = 30_000  # items of its own group that an item is compared with
MAX_OF_GROUP = 4  # times the mean size of groups: how many of another group
WIDTH = 128  # directions that choose whom to compare in full
GROUPS_READ = 24  # nearest groups of an item that are looked through
DIGITS = 6  # of a cosine, by which two are equal
COMPARED = 100  # items that are compared in full: five times as many as are listed
REFINED = 2  # times: of 60,000 drawn texts, .81 of the true 20 are found before, .92 after


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
        for vectors in (_of_texts(data), data.custom_vectors, data.image_vectors)
        if vectors is not None and vectors.size
    ]
    if not sides or not scorer_of(draft.form, draft.arrays.__getitem__).reads_history:
        return draft
    likes = np.bincount(data.pairs[1], minlength=len(data.item_ids))
    weights = np.array([weight_of(float(count)) for count in likes], dtype=np.float32)
    arrays = {NEAR_ITEMS: near_items(sides), NEAR_WEIGHTS: weights}
    return replace(draft, arrays={**draft.arrays, **arrays})


def _of_texts(data: TrainingData) -> Floats | None:
    """Return the vectors of texts; zeros of an item that says nothing: its vector is of its id."""
    if data.item_vectors is None or data.without_text is None:
        return data.item_vectors
    return np.where(data.without_text[:, None], np.float32(0), data.item_vectors)


def near_items(sides: Sequence[Floats]) -> Indices:
    """Return the nearest items of each, int32 (n, `MAX_NEAR`), nearest first, -1 for none.

    Args:
        sides: vectors of length 1, or 0 for none, (n, d), a matrix for each kind.
    """
    lists = np.full((len(sides[0]), MAX_NEAR), -1, dtype=np.int32)
    some = np.flatnonzero(np.any([side.any(axis=1) for side in sides], axis=0))
    if len(some) <= MAX_EXACT:
        for block in _blocks(some, len(some)):
            _keep_nearest(lists, block, some, sides)
        return lists
    small = _leading(np.concatenate([side[some] for side in sides], axis=1))
    width = COMPARED * max(side.shape[1] for side in sides)
    for rows, others in _compared(small):
        for block in _blocks(rows, max(len(others), width)):
            best = _highest(small[block] @ small[others].T, COMPARED)
            _keep_nearest_of(lists, some[block], some[others[best]], sides)
    for _ in range(REFINED):
        lists = _refined(lists, some, sides)
    return lists


def _refined(lists: Indices, rows: Indices64, sides: Sequence[Floats]) -> Indices:
    """Return lists, each made anew of its own items and of theirs."""
    refined = lists.copy()
    width = MAX_NEAR * (MAX_NEAR + 1) * max(side.shape[1] for side in sides)
    for block in _blocks(rows, width):
        itself = block[:, None].astype(lists.dtype)
        own = np.where(lists[block] < 0, itself, lists[block])
        far = lists[own].reshape(len(block), -1)
        others = np.sort(np.concatenate([own, np.where(far < 0, itself, far)], axis=1), axis=1)
        # One that several name counts once: an item itself is never listed.
        others[:, 1:] = np.where(others[:, 1:] == others[:, :-1], itself, others[:, 1:])
        _keep_nearest_of(refined, block, np.sort(others, axis=1), sides)
    return refined


def _blocks(rows: Indices64, elements: int) -> Iterator[Indices64]:
    """Yield rows in blocks of `BLOCK_ELEMENTS` at most, where each row takes so many elements."""
    size = max(1, min(BLOCK, BLOCK_ELEMENTS // max(elements, 1)))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _compared(vectors: Floats) -> Iterator[tuple[Indices64, Indices64]]:
    """Yield rows, and whom each of them is compared with, in the order of the catalogue."""
    centres, group = _grouped(vectors)
    members = [np.flatnonzero(group == one) for one in range(len(centres))]
    first = MAX_OF_GROUP * len(vectors) // len(centres)
    for one, own in enumerate(members):
        closest = np.argsort(-(centres @ centres[one]), kind="stable")[:GROUPS_READ]
        near = [members[other][:first] for other in closest]
        for start in range(0, len(own), MAX_OWN):
            rows = own[start : start + MAX_OWN]
            yield rows, np.unique(np.concatenate([rows, own[:first], *near]))


def _keep_nearest(lists: Indices, rows: Indices64, others: Indices64, sides: Sequence[Floats]) -> None:
    """Write the nearest of some items, which all are compared with."""
    cosines = np.zeros((len(rows), len(others)), dtype=np.float32)
    count = np.zeros_like(cosines)
    for side in sides:
        cosines += side[rows] @ side[others].T
        count += np.outer(side[rows].any(axis=1), side[others].any(axis=1))
    cosines /= np.maximum(count, 1)
    _write(lists, rows, np.broadcast_to(others, cosines.shape), cosines)


def _keep_nearest_of(
    lists: Indices, rows: Indices64, others: Indices64, sides: Sequence[Floats]
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


def _write(lists: Indices, rows: Indices64, others: Indices64, cosines: Floats) -> None:
    cosines = np.where(others == rows[:, None], -np.inf, cosines)
    best = _highest(cosines, MAX_NEAR)
    near = np.take_along_axis(cosines, best, axis=1) >= MIN_COSINE
    lists[rows, : best.shape[1]] = np.where(near, np.take_along_axis(others, best, axis=1), -1)


def _highest(cosines: Floats, size: int) -> Indices64:
    """Return the places of the highest, highest first, of equal ones the first, (rows, size) at most.

    Equal texts are common: which of them are listed must not depend on the machine.
    """
    # What is equal differs in the last digits, by the order in which a machine adds.
    cosines = np.round(cosines, DIGITS)
    size = min(size, cosines.shape[1])
    top = np.sort(np.argpartition(-cosines, size - 1, axis=1)[:, :size], axis=1)
    least = np.take_along_axis(cosines, top, axis=1).min(axis=1)
    # Of more that are equal to the last, argpartition takes any.
    for row in np.flatnonzero((cosines >= least[:, None]).sum(axis=1) > size):
        above = np.flatnonzero(cosines[row] > least[row])
        equal = np.flatnonzero(cosines[row] == least[row])[: size - len(above)]
        top[row] = np.sort(np.concatenate([above, equal]))
    order = np.argsort(-np.take_along_axis(cosines, top, axis=1), axis=1, kind="stable")
    return np.take_along_axis(top, order, axis=1)


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


def _grouped(vectors: Floats) -> tuple[Floats, Indices64]:
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


def _nearest_centre(vectors: Floats, centres: Floats) -> Indices64:
    blocks = _blocks(np.arange(len(vectors)), len(centres))
    return np.concatenate([np.argmax(vectors[block] @ centres.T, axis=1) for block in blocks])
