"""Item-kNN: what units liked who liked the same, by cosine with shrinkage.

Source: Deshpande & Karypis (2004), Item-based top-N recommendation algorithms, ACM TOIS 22(1).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.options import FitOptions, Span, bounded, read_params
from inference.recommenders.protocol import default_order, nearest_by_content
from inference.serving.artifact import ArtifactDraft
from inference.serving.scorers import NEIGHBOURS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inference.serving.artifact import Floats, Indices
    from inference.training.data import TrainingData

ROWS_AT_ONCE = 1024  # whose pairs lie in memory, and between two reports of progress


@dataclass(frozen=True)
class ItemKnnParams:
    """Hyper-parameters.

    Attributes:
        neighbours: that an item keeps.
        shrink: added to the denominator: pairs that few units liked together weigh less.
        cold: weight of a text neighbour of an item that nobody liked yet.
        dislike: a dislike is minus this many likes; 0 ignores them.
    """

    neighbours: int = bounded(300, low=1, high=100_000, drawn=Span(20, 1000))
    shrink: float = bounded(10.0, low=0, high=1e9, drawn=Span(1, 300))
    cold: float = bounded(0.05, low=0, high=100)
    dislike: float = bounded(1.0, low=0, high=1000)


class ItemKnn:
    """Adds up the cosines between an item and a unit's recent items."""

    name = "item-knn"
    params = ItemKnnParams
    reads = frozenset({"vectors", "images"})
    seeds = 1

    def fit(self, data: TrainingData, options: FitOptions) -> ArtifactDraft:
        """Count which items are liked together; no step looks at pairs that nobody liked both of."""
        params = read_params(ItemKnnParams, options.params)
        arrays: dict[str, NDArray[Any]] = {
            **_neighbours(data, params, options),
            "bias": (1e-6 * np.log1p(data.popularity)).astype(np.float32),  # breaks ties
            "default_order": default_order(data.popularity, limit=len(data.item_ids)),
        }
        about = {"algorithm": self.name, "params": asdict(params)}
        return ArtifactDraft(form=NEIGHBOURS, arrays=arrays, item_ids=data.item_ids, about=about)


def _neighbours(
    data: TrainingData, params: ItemKnnParams, options: FitOptions
) -> dict[str, NDArray[Any]]:
    """Return the sparse matrix of the form `neighbours`: starts, nearest, weights."""
    n = len(data.item_ids)
    liked = data.signed_likes(params.dislike)
    norms = np.sqrt(np.asarray(liked.multiply(liked).sum(0)).ravel())
    by_item = liked.T.tocsr()
    cold = _ColdRows.of(data, params.cold)
    starts, nearest, weights = [0], [], []
    for start in range(0, n, ROWS_AT_ONCE):
        rows = range(start, min(start + ROWS_AT_ONCE, n))
        # Sparse: a row holds the items that are liked together with it, and no others.
        together = (by_item[rows.start : rows.stop] @ liked).tocsr()
        for row, begin, end in zip(rows, together.indptr, together.indptr[1:], strict=False):
            others, counts = together.indices[begin:end], together.data[begin:end]
            near, cosines = _nearest(row, others, counts, norms, params)
            more, texts = cold.row(row, near)
            nearest.append(np.concatenate([near, more]).astype(np.int32))
            weights.append(np.concatenate([cosines, texts]).astype(np.float32))
            starts.append(starts[-1] + len(nearest[-1]))
        options.report(rows.stop / n, f"compared {rows.stop} of {n} items")
    return {
        "starts": np.array(starts, dtype=np.int64),
        "nearest": np.concatenate(nearest),
        "weights": np.concatenate(weights),
    }


def _nearest(
    row: int, items: Indices, counts: Floats, norms: Floats, params: ItemKnnParams
) -> tuple[Indices, Floats]:
    """Return an item's nearest others, ascending, and their shrunk cosines.

    Args:
        row: the item.
        items: that some unit liked together with it, itself among them.
        counts: how many units did, less those that refused one of both.
        norms: of all items' columns, (n,).
        params: how many neighbours, and how much is shrunk.
    """
    other = (items != row) & (counts > 0)  # what one unit liked and another refused is not near
    items, counts = items[other], counts[other]
    cosines = counts / (norms[row] * norms[items] + params.shrink)
    if len(items) > params.neighbours:
        best = np.argpartition(-cosines, params.neighbours - 1)[: params.neighbours]
        items, cosines = items[best], cosines[best]
    order = np.argsort(items)
    return items[order], cosines[order]


@dataclass(frozen=True, slots=True)
class _ColdRows:
    """What texts and images add to the rows: to a warm item's the cold ones near it, and the reverse.

    A cold item's own row would be empty otherwise, and a history of cold items would rank nothing.
    """

    starts: NDArray[np.int64]
    items: Indices
    weights: Floats

    @classmethod
    def of(cls, data: TrainingData, weight: float) -> _ColdRows:
        neighbours = nearest_by_content(data)
        if neighbours is None:
            nothing = np.zeros(0, np.float32)
            return cls(np.zeros(len(data.item_ids) + 1, np.int64), nothing.astype(np.int32), nothing)
        cold, warm, cosines = neighbours
        added = np.float32(weight) * cosines.ravel()
        is_near = added > 0
        cold, warm, added = (
            np.repeat(cold, warm.shape[1])[is_near],
            warm.ravel()[is_near],
            added[is_near],
        )
        rows, items = np.concatenate([warm, cold]), np.concatenate([cold, warm])
        order = np.argsort(rows, kind="stable")
        starts = np.searchsorted(rows[order], np.arange(len(data.item_ids) + 1))
        return cls(starts, items[order], np.tile(added, 2)[order])

    def row(self, item: int, others: Indices) -> tuple[Indices, Floats]:
        """Return an item's near ones by content that are not among others, and their weights."""
        span = slice(self.starts[item], self.starts[item + 1])
        items, weights = self.items[span], self.weights[span]
        if len(items) and len(others):
            added = ~np.isin(items, others)  # two who refused both make a cold item near by behaviour
            items, weights = items[added], weights[added]
        return items, weights
