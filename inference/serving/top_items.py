"""The best items of many units: among what is near, or among all, some units at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference.serving.scorers import find_near

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from inference.serving.artifact import Floats, Indices
    from inference.serving.scorers import Scorer

    Mask = NDArray[np.bool_]
    # Returns of a unit, by its place, which items nobody was to be shown, (n,); None for none of them.
    Hidden = Callable[[int], Mask | None]

BLOCK_SCORES = 8_000_000  # that lie in memory at once: 32 MB
NEAR_FACTOR = 4  # times as many are looked for among what is near where some are hidden
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
    hidden: Hidden | None = None,
) -> list[Indices]:
    """Return the best unseen items of units, by the scores of all items.

    Args:
        scorer: of the version.
        histories: per unit, indices of liked items, newest first, at least one.
        seen: per unit, indices that may not be recommended.
        limit: items a unit.
        items: how many the version has.
        hidden: which of them may not be recommended to a unit beside what it has seen.

    Returns:
        Per unit, at most `limit` indices, best first.
    """
    result: list[Indices] = []
    step = max(1, BLOCK_SCORES // max(items, 1))  # units whose lines lie in memory at once
    for start in range(0, len(histories), step):
        lines = scorer.score_all(histories[start : start + step])
        for row, line in enumerate(lines, start):
            # What is excluded stays in the ranking's arrays, and is cut below.
            line[np.asarray(seen[row], dtype=np.int64)] = -np.inf
            if hidden is not None and (mask := hidden(row)) is not None:
                line[mask] = -np.inf
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
    hidden: Hidden | None = None,
) -> list[Indices] | None:
    """Return the same among what is near; None where the form has no way to find that.

    The first items of the default order are candidates of every unit: what is near no recent item is
    ranked by its bias alone. Where hiding leaves too few of what is near, all items are scored: to look
    for as many more as are hidden would cost more than that.
    """
    wanted = (1 if hidden is None else NEAR_FACTOR) * limit + max(map(len, seen), default=0)
    lists = find_near(scorer, histories, wanted)
    if lists is None:
        return None
    result = []
    for row, (history, near, excluded) in enumerate(zip(histories, lists, seen, strict=True)):
        mask = hidden(row) if hidden is not None else None
        items = np.union1d(near, default_order[:wanted]).astype(np.int32)
        if mask is not None:
            items = items[~mask[items]]
            if mask[near].any() and np.count_nonzero(~mask[near]) < limit + len(excluded):
                rows = ([history], [excluded], limit)
                result += best_of_all(scorer, *rows, items=len(mask), hidden=[mask].__getitem__)
                continue
        if len(excluded):
            items = items[~np.isin(items, np.asarray(excluded))]
        result.append(items[best_items(scorer.score(items, history), limit)])
    return result
