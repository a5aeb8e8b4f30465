"""A loaded recommender: scores items for a unit, one at a time or many."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from inference.serving.artifact import (
    ArtifactError,
    Floats,
    Indices,
    check_artifact,
    form_of,
    load_array,
)
from inference.serving.orders import ORDER, LiveOrder
from inference.serving.scorers import DENSE_ITEMS, CandidateOrder, contributions_of, load_scorer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path


class ItemRanker(Protocol):
    """What the fallback ladder needs of items and their order."""

    @property
    def digest(self) -> str:
        """Names the items: the same name, the same items in the same places."""

    @property
    def item_ids(self) -> Sequence[str]:
        """The items, n of them."""

    @property
    def index(self) -> Mapping[str, int]:
        """The place of each item, by its id."""

    @property
    def default_order(self) -> Indices:
        """What is served to a unit of whom nothing is known, best first, (m,)."""

    @property
    def reads_history(self) -> bool:
        """Whether a unit's recent items change the scores."""

    @property
    def catalogue_rows(self) -> Indices | None:
        """The row of each item in its project's catalogue, -1 for none; None if it is to be found."""

    @property
    def is_remote(self) -> bool:
        """Whether something else scores the candidates."""

    def score(self, items: Indices, recent: Sequence[int]) -> Floats:
        """Return the scores (m,) of items for a unit with this history, newest first."""

    def indices_of(self, item_ids: Iterable[str]) -> list[int]:
        """Return the places of the items that are known, in order."""

    def vectors_of(self, items: Indices) -> Floats:
        """Return vectors of items, (m, d), of any length; of width 0 where there are none."""

    def nearline(self, recent: Sequence[int], limit: int) -> Indices:
        """Return the best items for a unit without precomputed candidates."""

    def contributions(self, items: Indices, recent: Sequence[int]) -> Floats | None:
        """Return what each recent item adds to the scores, (m, h); None for who cannot say."""


class Ranker:
    """One version: its items, its scorer, and the order for units of whom nothing is known."""

    catalogue_rows: Indices | None = None  # a version knows no catalogue

    def __init__(self, root: Path, digest: str) -> None:
        """Load and check an artifact.

        Raises:
            ArtifactError: it is missing, damaged or no recommender.
        """
        folder, manifest = check_artifact(root, digest)
        self.folder, self.digest = folder, digest
        self.about: dict[str, Any] = manifest["about"]
        self.item_ids: list[str] = json.loads((folder / "items.json").read_bytes())
        self.index = {item_id: i for i, item_id in enumerate(self.item_ids)}
        self.scorer = load_scorer(form_of(manifest), folder)
        # What is live is made of more than an artifact: whoever serves asks for it.
        self.order = _order_of(form_of(manifest), self.about)
        self.default_order: Indices = np.array(load_array(folder, "default_order"))
        self.reads_history = self.scorer.reads_history
        self.is_remote = isinstance(self.scorer, CandidateOrder)
        self.score = self.scorer.score

    def indices_of(self, item_ids: Iterable[str]) -> list[int]:
        """Return the indices of the items that this version knows, in order."""
        index = self.index
        return [index[item_id] for item_id in item_ids if item_id in index]

    def vectors_of(self, items: Indices) -> Floats:
        """Return vectors of items, (m, d), of any length; of width 0 where this version has none."""
        vectors = getattr(self.scorer, "item_vectors", getattr(self.scorer, "item_factors", None))
        return np.zeros((len(items), 0), np.float32) if vectors is None else np.asarray(vectors[items])

    def nearline(self, recent: Sequence[int], limit: int) -> Indices:
        """Return the best items for a unit without precomputed candidates."""
        if not self.reads_history or not len(recent):
            return self.default_order[:limit]
        near = getattr(self.scorer, "near", None)
        if near is None or len(self.item_ids) <= DENSE_ITEMS:
            return _best(self.scorer.score_all([recent])[0], limit)
        # What is near no recent item has its bias alone, and the best of these lead the default order.
        items = np.union1d(near(recent), self.default_order[:limit]).astype(np.int32)
        best: Indices = items[_best(self.score(items, recent), limit)]
        return best

    def contributions(self, items: Indices, recent: Sequence[int]) -> Floats | None:
        """Return what each recent item adds to the scores of items, (m, h), or None."""
        return contributions_of(self.scorer, items, recent)

    def candidates(
        self, histories: Sequence[Sequence[int]], seen: Sequence[Sequence[int]], limit: int
    ) -> list[Indices]:
        """Return the best unseen items of many units.

        Args:
            histories: per unit, indices of liked items, newest first.
            seen: per unit, indices that may not be recommended.
            limit: candidates a unit.

        Returns:
            Per unit, at most `limit` indices, best first.
        """
        known = [row for row, history in enumerate(histories) if self.reads_history and len(history)]
        scored: dict[int, Floats] = {}
        if known:
            scores = self.scorer.score_all([histories[row] for row in known])
            scored = dict(zip(known, scores, strict=True))
        result = []
        for row, excluded in enumerate(seen):
            if row in scored:
                line = scored[row]
                line[list(excluded)] = -np.inf  # stays in the ranking's arrays, and is cut below
                best = _best(line, limit)
                result.append(best[np.isfinite(line[best])])
            else:
                rest = self.default_order[~np.isin(self.default_order, list(excluded))]
                result.append(rest[:limit])
        return result


def _order_of(form: str, about: Mapping[str, Any]) -> LiveOrder | None:
    """Return the live order that a version stands for, if it does.

    Raises:
        ArtifactError: it stands for an order that there is not.
    """
    if form != ORDER:
        return None
    try:
        return LiveOrder.of(about["algorithm"], about["params"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"an artifact of the form '{form}': {error}") from error


def _best(scores: Floats, limit: int) -> Indices:
    """Return the indices of the highest scores, best first."""
    if limit < len(scores):
        top = np.argpartition(-scores, limit)[:limit]
        return top[np.argsort(-scores[top], kind="stable")].astype(np.int32)
    return np.argsort(-scores, kind="stable").astype(np.int32)
