"""Ranking metrics per unit, over the full catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from inference.evaluation.scores import Scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

METRICS = ("recall", "precision", "f1", "ndcg", "hit_rate")
WEIGHTED = ("weighted_ndcg", "weighted_recall")  # where events have weights


def score_rankings(
    ranked: Sequence[NDArray[np.int32]],
    wanted: Sequence[NDArray[np.int64]],
    *,
    k: int,
    items: int,
    weights: Sequence[NDArray[np.float64]] | None = None,
) -> Scores:
    """Judge top-k lists against what units went on to like.

    precision = hits / k; recall = hits / wanted; F1 their harmonic mean; NDCG with binary gain and
    the ideal of min(k, wanted) hits; hit rate = any hit. Of the whole: coverage, the share of the
    catalogue that was recommended to anybody. With weights also NDCG with these as gain, and recall as
    the share of what the wanted items weigh.

    Args:
        ranked: per unit, item indices, best first.
        wanted: per unit, the held-out liked items, at least one.
        k: length of the list that is judged.
        items: size of the catalogue.
        weights: per unit, what each of the wanted items counts; None for no weighted metrics.

    Returns:
        The scores.
    """
    discount = 1 / np.log2(np.arange(2, k + 2))
    rows = np.zeros((len(ranked), len(METRICS)))
    shown: set[int] = set()
    for row, (best, liked) in enumerate(zip(ranked, wanted, strict=True)):
        top = best[:k]
        shown.update(top.tolist())
        hits = np.isin(top, liked)
        count = int(hits.sum())
        recall, precision = count / len(liked), count / k
        ideal = discount[: min(k, len(liked))].sum()
        rows[row] = (
            recall,
            precision,
            2 * recall * precision / (recall + precision) if count else 0.0,
            (discount[: len(top)] * hits).sum() / ideal,
            float(count > 0),
        )
    per_unit = {name: rows[:, i] for i, name in enumerate(METRICS)}
    if weights is not None:
        lists = zip(ranked, wanted, weights, strict=True)
        weighted = np.array([_weighted(best[:k], liked, gain, discount) for best, liked, gain in lists])
        per_unit |= {name: weighted[:, i] for i, name in enumerate(WEIGHTED)}
    return Scores(per_unit=per_unit, whole={"coverage": len(shown) / items})


def _weighted(
    top: NDArray[np.int32],
    liked: NDArray[np.int64],
    gain: NDArray[np.float64],
    discount: NDArray[np.float64],
) -> tuple[float, float]:
    """Return NDCG and recall of one list, where each wanted item has a gain of its own."""
    gains = dict(zip(liked.tolist(), gain.tolist(), strict=True))
    earned = np.array([gains.get(item, 0.0) for item in top.tolist()])
    best = np.sort(gain)[::-1][: len(discount)]
    ideal = float((best * discount[: len(best)]).sum())
    return float((earned * discount[: len(earned)]).sum()) / ideal, float(earned.sum() / gain.sum())


def ndcg_of(best: NDArray[Any], liked: NDArray[np.int64], k: int) -> float:
    """Return the NDCG of one list, with binary gain and the ideal of min(k, liked) hits."""
    discount = 1 / np.log2(np.arange(2, k + 2))
    hits = np.isin(best[:k], liked)
    return float((discount[: len(hits)] * hits).sum() / discount[: min(k, len(liked))].sum())


def recall_of_items(
    ranked: Sequence[NDArray[np.int32]],
    wanted: Sequence[NDArray[np.int64]],
    *,
    k: int,
    of: NDArray[np.bool_],
) -> tuple[float, int]:
    """Return the recall of held-out likes of some items alone, and how many such likes there are.

    Args:
        ranked: per unit, item indices, best first.
        wanted: per unit, the held-out liked items.
        k: length of the list that is judged.
        of: which items count, (items,).
    """
    hits = total = 0
    for best, liked in zip(ranked, wanted, strict=True):
        some = liked[of[liked]]
        hits += int(np.isin(best[:k], some).sum())
        total += len(some)
    return (hits / total if total else 0.0), total
