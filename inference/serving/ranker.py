"""A loaded recommender: scores items for a unit, one at a time or many."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from inference.serving.artifact import (
    ArtifactError,
    Floats,
    Indices,
    check_artifact,
    form_of,
    load_array,
    load_item_ids,
)
from inference.serving.item_index import open_index
from inference.serving.near_items import NEAR_FILES, open_near_items
from inference.serving.orders import ORDER, LiveOrder
from inference.serving.scorers import (
    DENSE_ITEMS,
    CandidateOrder,
    context_scores_of,
    contributions_of,
    load_scorer,
    vector_forms,
    vectors_of,
)
from inference.serving.top_items import best_items, best_of_all, best_of_near

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from inference.serving.top_items import Hidden, Mask

logger = logging.getLogger(__name__)
SEEK_SECONDS = 30.0  # between two looks for an index: a worker takes minutes to build one


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

    def knows(self, recent: Sequence[int]) -> bool:
        """Whether any of these items changes the scores as a history."""

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
        folder, manifest = check_artifact(root, digest, spare=NEAR_FILES)
        self.damaged: Sequence[str] = manifest["damaged"]  # files that it serves without
        self.folder, self.digest = folder, digest
        self.about: dict[str, Any] = manifest["about"]
        self.item_ids, self.index = load_item_ids(folder, manifest)
        self.scorer = load_scorer(form_of(manifest), folder)
        self.near_items = open_near_items(folder, manifest["files"])
        self._root, self._sought_at = root, -np.inf
        self.seek_indexes()
        # What is live is made of more than an artifact: whoever serves asks for it.
        self.order = _order_of(form_of(manifest), self.about)
        self.default_order: Indices = np.array(load_array(folder, "default_order"))
        self.reads_history = self.scorer.reads_history
        self.is_remote = isinstance(self.scorer, CandidateOrder)
        self.features: tuple[str, ...] = tuple(getattr(self.scorer, "features", ()))
        self.score = self.scorer.score

    def indices_of(self, item_ids: Iterable[str]) -> list[int]:
        """Return the indices of the items that this version knows, in order."""
        index = self.index
        return [index[item_id] for item_id in item_ids if item_id in index]

    def vectors_of(self, items: Indices) -> Floats:
        """Return vectors of items, (m, d), of any length; of width 0 where this version has none."""
        vectors = vectors_of(self.scorer)
        return np.zeros((len(items), 0), np.float32) if vectors is None else np.asarray(vectors[items])

    def knows(self, recent: Sequence[int]) -> bool:
        """Whether any of these items changes the scores as a history."""
        return self.reads_history and len(recent) > 0 and self.scorer.knows(recent)

    def nearline(self, recent: Sequence[int], limit: int) -> Indices:
        """Return the best items for a unit without precomputed candidates."""
        if not self.knows(recent):
            return self.default_order[:limit]
        return self._best_unseen([recent], [()], limit)[0]

    def context_scores(self, items: Indices, words: Mapping[str, str]) -> Floats:
        """Return what a request's context adds to the scores of items, (m,); 0 for who reads none."""
        return context_scores_of(self.scorer, items, words)

    def contributions(self, items: Indices, recent: Sequence[int]) -> Floats | None:
        """Return what each recent item adds to the scores of items, (m, h), or None."""
        return contributions_of(self.scorer, items, recent)

    def candidates(
        self,
        histories: Sequence[Sequence[int]],
        seen: Sequence[Sequence[int]],
        limit: int,
        *,
        contexts: Sequence[Mapping[str, str]] | None = None,
        hidden: Hidden | None = None,
    ) -> list[Indices]:
        """Return the best unseen items of many units.

        Args:
            histories: per unit, indices of liked items, newest first.
            seen: per unit, indices that may not be recommended.
            limit: candidates a unit.
            contexts: per unit, the words of its request's context; None for no context.
            hidden: which items nobody was to be shown, beside what the unit has seen; read of a unit
                when its turn comes, because they may be most of the catalogue.

        Returns:
            Per unit, at most `limit` indices, best first.
        """
        if contexts is not None and self.features:
            rows = zip(histories, seen, contexts, strict=True)
            return [
                self._best_in_context(*one, limit=limit, hidden=hidden(row) if hidden else None)
                for row, one in enumerate(rows)
            ]
        known = [row for row, history in enumerate(histories) if self.knows(history)]
        best = self._best_unseen(
            [histories[row] for row in known],
            [seen[row] for row in known],
            limit,
            (lambda place: hidden(known[place])) if hidden else None,
        )
        ranked = dict(zip(known, best, strict=True))
        return [
            ranked[row]
            if row in ranked
            else self._default_unseen(excluded, limit, hidden(row) if hidden else None)
            for row, excluded in enumerate(seen)
        ]

    def _best_unseen(
        self,
        histories: Sequence[Sequence[int]],
        seen: Sequence[Sequence[int]],
        limit: int,
        hidden: Hidden | None = None,
    ) -> list[Indices]:
        if not histories:
            return []
        best, rows = None, (self.scorer, histories, seen, limit)
        if self.is_large:
            best = best_of_near(*rows, default_order=self.default_order, hidden=hidden)
        if best is None:
            best = best_of_all(*rows, items=len(self.item_ids), hidden=hidden)
        return best

    def _best_in_context(
        self,
        history: Sequence[int],
        excluded: Sequence[int],
        words: Mapping[str, str],
        *,
        limit: int,
        hidden: Mask | None,
    ) -> Indices:
        every = np.arange(len(self.item_ids), dtype=np.int32)
        scores = self.score(every, history) + self.context_scores(every, words)
        scores[np.asarray(excluded, dtype=np.int64)] = -np.inf  # stays in the ranking, and is cut below
        if hidden is not None:
            scores[hidden] = -np.inf
        best = best_items(scores, limit)
        allowed: Indices = best[np.isfinite(scores[best])]
        return allowed

    def _default_unseen(self, excluded: Sequence[int], limit: int, hidden: Mask | None) -> Indices:
        order = (
            self.default_order if hidden is None else self.default_order[~hidden[self.default_order]]
        )
        leading = order[: limit + len(excluded)]  # a million are not looked through
        return leading[~np.isin(leading, np.asarray(excluded, dtype=np.int64))][:limit]

    @property
    def is_large(self) -> bool:
        """Whether there are more items than are all scored for a unit, where there is another way."""
        return len(self.item_ids) > DENSE_ITEMS

    def seek_indexes(self) -> None:
        """Open the indexes of a large version that are not open yet; blocks, at most every half minute.

        One that is damaged is deleted, so that a worker makes it anew; meanwhile all items are scored.
        """
        if not self.is_large or time.monotonic() - self._sought_at < SEEK_SECONDS:
            return
        self._sought_at = time.monotonic()
        for name, form in vector_forms(self.scorer).items():
            if form.index is None:
                try:
                    form.index = open_index(self._root, self.digest, name, form)
                except (ArtifactError, OSError) as error:
                    logger.error("version %s scores all items: %s", self.digest[:12], error)  # noqa: TRY400


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
