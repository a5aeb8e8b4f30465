"""Orders as algorithms: versions of them serve live ones, and a fit is how the gate compares them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference.serving.orders import LATEST, POPULAR, SEARCH, TRENDING, LiveOrder, draft_order

if TYPE_CHECKING:
    from inference.options import FitOptions
    from inference.serving.artifact import ArtifactDraft
    from inference.training.data import TrainingData

HOUR = 3600.0


class OrderByLikes:
    """Orders items by likes that lose weight with age; values are counted live alone."""

    reads: frozenset[str] = frozenset()
    seeds = 1

    def __init__(self, name: str) -> None:
        """Name the order."""
        self.name = name

    def fit(self, data: TrainingData, options: FitOptions) -> ArtifactDraft:
        """Count likes.

        Raises:
            ValueError: a parameter breaks a rule.
        """
        order = LiveOrder.of(self.name, options.params)
        counts = data.weights * 0.5 ** (data.age / (order.half_life_hours * HOUR))
        _, items = data.pairs
        likes = np.bincount(items, counts, minlength=len(data.item_ids))
        options.report(1.0, "counted likes")
        return draft_order(order, item_ids=data.item_ids, scores=likes.astype(np.float32))


class Latest:
    """Orders items by arrival; a log shows it by their first likes."""

    reads: frozenset[str] = frozenset()
    seeds = 1

    def __init__(self, name: str) -> None:
        """Name the order: without a question, a search shows the latest, too."""
        self.name = name

    def fit(self, data: TrainingData, options: FitOptions) -> ArtifactDraft:
        """Find each item's first like; what nobody liked comes last.

        Raises:
            ValueError: it has no parameters.
        """
        order = LiveOrder.of(self.name, options.params)
        _, items = data.pairs
        first = np.full(len(data.item_ids), -1.0)
        np.maximum.at(first, items, data.age)
        oldest = first.max(initial=0.0) + 1.0
        hours = np.where(first < 0, oldest, first) / HOUR
        options.report(1.0, "found first likes")
        return draft_order(order, item_ids=data.item_ids, scores=-hours.astype(np.float32))


ORDERS = (OrderByLikes(POPULAR), OrderByLikes(TRENDING), Latest(LATEST), Latest(SEARCH))
