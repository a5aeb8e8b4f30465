"""The best items of many units: among what is near, or among all, some units at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference.serving.scorers import find_near

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.serving.artifact import Floats, Indices
    from inference.serving.scorers import Scorer

BLOCK_SCORES = 8_000_000  # that lie in memory at once: 32 MB
SAMPLED_EVERY = 64  # score of a long line, from which its best part is estimated


def best_items(scores: Floats, limit: int) -> Indices:
    """Return the indices of the highest scores, best first."""
    few = _upper_part(scores, limit)
    if few is None:
        return _sorted_best(scores, limit)
    best: Indices = few[_sorted_best(scores[few], limit)]
    return best


def _sorted_best(scores: Floats, limit: int) -> Indices:
    if limit < len(scores):
        top = np.argpartition(-scores, limit)[:limit]
        return top[np.argsort(-scores[top], kind="stable")].astype(np.int32)
    return np.argsort(-scores, kind="stable").astype(np.int32)


def _upper_part(scores: Floats, limit: int) -> Indices | None:
    """Return the items above a score that a few more than `limit` have; None for a short line.

    One comparison of a million scores costs a tenth of what partitioning them does.
    """
    sample = scores[::SAMPLED_EVERY]
    rank = 4 * limit // SAMPLED_EVERY + 16
    if rank * 4 >= len(sample):
        return None
    bound = np.partition(sample, len(sample) - rank)[len(sample) - rank]
    few = np.flatnonzero(scores >= bound).astype(np.int32)
    return few if len(few) >= limit else None


def best_of_all(
    scorer: Scorer,
    histories: Sequence[Sequence[int]],
    seen: Sequence[Sequence[int]],
    limit: int,
    *,
    items: int,
) -> list[Indices]:
    """Return the best unseen items of units, by the scores of all items.

    Args:
        scorer: of the version.
        histories: per unit, indices of liked items, newest first, at least one.
        seen: per unit, indices that may not be recommended.
        limit: items a unit.
        items: how many the version has.

    Returns:
        Per unit, at most `limit` indices, best first.
    """
    result: list[Indices] = []
    step = max(1, BLOCK_SCORES // max(items, 1))  # units whose lines lie in memory at once
    for start in range(0, len(histories), step):
        lines = scorer.score_all(histories[start : start + step])
        for line, excluded in zip(lines, seen[start : start + step], strict=True):
            line[
                np.asarray(excluded, dtype=np.int64)
            ] = -np.inf  # stays in the ranking's arrays, and is cut below
            best = best_items(line, limit)
            result.append(best[np.isfinite(line[best])])
    return result


def best_of_near(
    scorer: Scorer,
    histories: Sequence[Sequence[int]],
    seen: Sequence[Sequence[int]],
    limit: int,
    *,
    default_order: Indices,
) -> list[Indices] | None:
    """Return the same among what is near; None where the form has no way to find that.

    The first items of the default order are candidates of every unit: what is near no recent item is
    ranked by its bias alone.
    """
    wanted = limit + max(map(len, seen), default=0)
    lists = find_near(scorer, histories, wanted)
    if lists is None:
        return None
    result = []
    for history, near, excluded in zip(histories, lists, seen, strict=True):
        items = np.union1d(near, default_order[:wanted]).astype(np.int32)
        if len(excluded):
            items = items[~np.isin(items, np.asarray(excluded))]
        result.append(items[best_items(scorer.score(items, history), limit)])
    return result
