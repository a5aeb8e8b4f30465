"""Items whose texts and images are nearest to an item's, fused with what behaviour says of it.

An artifact may hold per item its nearest ones, found when it was made, and how much they count beside
the version's own list: more for an item that few have liked. A request reads one line of them. The two
lists are joined by reciprocal rank fusion (Cormack, Clarke & Buettcher 2009): the score of an item is
the sum of weight / (`RANK_OFFSET` + rank) over the lists that have it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference.serving.artifact import load_array

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from inference.serving.artifact import Floats, Indices
    from inference.serving.ranker import ItemRanker

NEAR_ITEMS, NEAR_WEIGHTS = "near_items", "near_weights"  # arrays of an artifact
MAX_NEAR = 20  # of an item: more than a list of similar items shows
RANK_OFFSET = 60.0  # of the paper: how much more a first place counts than a later one
# Beside the version's own list, of an item with n likes: COLD_WEIGHT / (1 + n / HALF_LIKES).
COLD_WEIGHT, HALF_LIKES = 0.5, 2.0


def weight_of(likes: float) -> float:
    """Return how much the nearest items of one count beside the version's own list.

    Args:
        likes: of the item that the version has learnt from.
    """
    return COLD_WEIGHT / (1 + likes / HALF_LIKES)


class NearItems:
    """The nearest items of each of a version's.

    Attributes:
        items: int32 (n, `MAX_NEAR`), nearest first, -1 for none.
        weights: of these beside the version's own list, float32 (n,).
    """

    def __init__(self, folder: Path) -> None:
        """Map the arrays of an artifact.

        Raises:
            ArtifactError: they cannot be read.
        """
        self.items: Indices = load_array(folder, NEAR_ITEMS)
        self.weights: Floats = load_array(folder, NEAR_WEIGHTS)

    def of(self, item: int) -> Indices:
        """Return the nearest items of one, nearest first."""
        line = self.items[item]
        return np.asarray(line[line >= 0], dtype=np.int32)


class FusedRanker:
    """Ranks what is like an item as a version does, and the items with the nearest texts beside it.

    Attributes:
        base: the version's.
        near: items, nearest first.
        weight: of these beside the version's list.
    """

    is_remote = False
    catalogue_rows: Indices | None = None

    def __init__(self, base: ItemRanker, near: Indices, weight: float) -> None:
        """Bind the nearest items of the one that is asked for."""
        self.base, self.near, self.weight = base, near, weight
        self.digest, self.item_ids, self.index = base.digest, base.item_ids, base.index
        self.reads_history = base.reads_history

    @property
    def default_order(self) -> Indices:
        """The version's."""
        return self.base.default_order

    def score(self, items: Indices, recent: Sequence[int]) -> Floats:
        """Return the scores (m,) of items, by their ranks among these in both lists."""
        order = np.argsort(-self.base.score(items, recent), kind="stable")
        scores = np.empty(len(items), dtype=np.float64)
        scores[order] = 1 / (RANK_OFFSET + np.arange(1, len(items) + 1))
        among = np.flatnonzero(np.isin(items, self.near))
        place = {item: rank for rank, item in enumerate(self.near.tolist())}
        nearest = among[np.argsort([place[item] for item in items[among].tolist()], kind="stable")]
        scores[nearest] += self.weight / (RANK_OFFSET + np.arange(1, len(nearest) + 1))
        return scores.astype(np.float32)

    def indices_of(self, item_ids: Iterable[str]) -> list[int]:
        """Return the indices of the items that the version knows, in order."""
        return self.base.indices_of(item_ids)

    def vectors_of(self, items: Indices) -> Floats:
        """Return vectors of items, (m, d)."""
        return self.base.vectors_of(items)

    def nearline(self, recent: Sequence[int], limit: int) -> Indices:
        """Return the best items of both lists."""
        listed = self.base.nearline(recent, limit)
        both = np.concatenate([listed, self.near[~np.isin(self.near, listed)]]).astype(np.int32)
        best: Indices = both[np.argsort(-self.score(both, recent), kind="stable")[:limit]]
        return best

    def contributions(self, items: Indices, recent: Sequence[int]) -> Floats | None:
        """Return what each recent item adds to the version's own scores, (m, h), or None."""
        return self.base.contributions(items, recent)


def open_near_items(folder: Path, files: Mapping[str, object]) -> NearItems | None:
    """Return the nearest items of an artifact; None where it has none.

    Raises:
        ArtifactError: they cannot be read.
    """
    return NearItems(folder) if f"{NEAR_ITEMS}.npy" in files else None
