"""Orders that need no training: of what is liked lately, by all or by few, what is new, what is sought.

A version of such an order is an artifact of the form `order`: a name and its parameters. What it
serves is made anew all the time, from totals of likes that a worker keeps in the cache and from the
catalogue; scores that a fit has put into the artifact stand for both in offline comparisons alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.serving.artifact import ArtifactDraft, Floats, Indices

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

ORDER = "order"
POPULAR, TRENDING, LATEST, SEARCH = "popular_now", "trending", "latest", "search"
# By the list that a request asks for, the algorithms whose versions answer it.
LISTS: Mapping[str, tuple[str, ...]] = {
    "popular": (POPULAR, "popularity"),
    "trending": (TRENDING,),
    "latest": (LATEST,),
    "search": (SEARCH,),
}
# Parameters and their defaults, by order; half of its weight a like loses in so many hours.
PARAMS: Mapping[str, Mapping[str, Any]] = {
    POPULAR: {"half_life_hours": 90 * 24.0, "by_value": False},
    TRENDING: {"half_life_hours": 24.0, "by_value": False},
    LATEST: {},
    SEARCH: {"word_weight": 1.0, "vector_weight": 1.0},
}
BOUNDS = {"half_life_hours": (0.25, 24 * 3650.0), "word_weight": (0, 100), "vector_weight": (0, 100)}


@dataclass(frozen=True, slots=True)
class LiveOrder:
    """What an order goes by.

    Attributes:
        name: popular_now, trending, latest or search.
        half_life_hours: a like of this age counts half; 0 for an order that counts none.
        by_value: whether a like counts as much as its value, a price say, instead of 1.
        word_weight: of a search, how much the rank by words counts.
        vector_weight: of a search, how much the rank by vectors of texts counts.
    """

    name: str
    half_life_hours: float = 0.0
    by_value: bool = False
    word_weight: float = 1.0
    vector_weight: float = 1.0

    @classmethod
    def of(cls, name: str, params: Mapping[str, Any]) -> LiveOrder:
        """Read the parameters of an order.

        Raises:
            ValueError: there is no such order, or a parameter breaks a rule.
        """
        if name not in PARAMS:
            raise ValueError(f"order == '{name}', must be one of {sorted(PARAMS)}.")
        known = PARAMS[name]
        for param, value in params.items():
            if param not in known:
                raise ValueError(f"{param}: no parameter of '{name}', which has {list(known)}.")
            _check(param, value)
        order = cls(name, **{**known, **params})
        if order.word_weight == order.vector_weight == 0:
            raise ValueError("word_weight == 0, must be above 0 where vector_weight is 0.")
        return order

    @property
    def params(self) -> dict[str, Any]:
        """The parameters as a version keeps them."""
        return {param: getattr(self, param) for param in PARAMS[self.name]}

    @property
    def counts(self) -> bool:
        """Whether it goes by likes."""
        return self.half_life_hours > 0


def _check(param: str, value: Any) -> None:
    if param not in BOUNDS:
        if type(value) is not bool:
            raise ValueError(f"{param} == {value!r:.50}, must be true or false.")
        return
    low, high = BOUNDS[param]
    if type(value) not in {int, float} or not low <= value <= high:
        raise ValueError(f"{param} == {value!r:.50}, must be a number in [{low:g}, {high:g}].")


class FixedOrder:
    """The scorer of an order where nothing is live: what a fit has put into the artifact."""

    reads_history = False

    def __init__(self, load: Callable[[str], NDArray[Any]]) -> None:
        """Read the scores."""
        self.bias: Floats = np.array(load("bias"))

    def score(self, items: Indices, recent: Sequence[int]) -> Floats:  # noqa: ARG002  alike for all
        """Return the scores of items, (m,)."""
        scores: Floats = self.bias[items]
        return scores

    def score_all(self, histories: Sequence[Sequence[int]]) -> Floats:
        """Return the scores of every item, (u, n)."""
        return np.tile(self.bias, (len(histories), 1))

    def knows(self, recent: Sequence[int]) -> bool:  # noqa: ARG002  alike for all
        """Say no: no history is read."""
        return False


def draft_order(
    order: LiveOrder, *, item_ids: Sequence[str] = (), scores: Floats | None = None
) -> ArtifactDraft:
    """Return a draft of the form `order`.

    Args:
        order: what it goes by.
        item_ids: n items that a fit has ordered; none where nothing was fitted.
        scores: of them, float32 (n,).
    """
    bias = np.zeros(len(item_ids), np.float32) if scores is None else scores.astype(np.float32)
    return ArtifactDraft(
        form=ORDER,
        arrays={
            "bias": bias,
            "default_order": np.argsort(-bias, kind="stable").astype(np.int32),
        },
        item_ids=item_ids,
        about={"algorithm": order.name, "params": order.params},
    )
