"""Orders that need no training: of what is liked lately, by all or by few, and of what is new.

A version of such an order is an artifact of the form `order`: a name and its parameters. What it
serves is made anew all the time, from totals of likes that a worker keeps in the cache and from the
catalogue; scores that a fit has put into the artifact stand for both in offline comparisons alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.serving.artifact import ArtifactDraft, Floats, Indices

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

ORDER = "order"
POPULAR, TRENDING, LATEST = "popular_now", "trending", "latest"
# By the list that a request asks for, the algorithms whose versions answer it.
LISTS: Mapping[str, tuple[str, ...]] = {
    "popular": (POPULAR, "popularity"),
    "trending": (TRENDING,),
    "latest": (LATEST,),
}
# In which a like loses half of its weight.
HALF_LIFE_HOURS: Mapping[str, float] = {POPULAR: 90 * 24.0, TRENDING: 24.0, LATEST: 0.0}
MIN_HALF_LIFE_HOURS, MAX_HALF_LIFE_HOURS = 0.25, 24 * 3650.0


@dataclass(frozen=True, slots=True)
class LiveOrder:
    """What an order goes by.

    Attributes:
        name: popular_now, trending or latest.
        half_life_hours: a like of this age counts half; 0 for an order that counts none.
        by_value: whether a like counts as much as its value, a price say, instead of 1.
    """

    name: str
    half_life_hours: float
    by_value: bool = False

    @classmethod
    def of(cls, name: str, params: Mapping[str, Any]) -> LiveOrder:
        """Read the parameters of an order.

        Raises:
            ValueError: there is no such order, or a parameter breaks a rule.
        """
        if name not in HALF_LIFE_HOURS:
            raise ValueError(f"order == '{name}', must be one of {sorted(HALF_LIFE_HOURS)}.")
        known = () if name == LATEST else ("half_life_hours", "by_value")
        for param in params:
            if param not in known:
                raise ValueError(f"{param}: no parameter of '{name}', which has {list(known)}.")
        hours = params.get("half_life_hours", HALF_LIFE_HOURS[name])
        by_value = params.get("by_value", False)
        if type(by_value) is not bool:
            raise ValueError(f"by_value == {by_value!r}, must be true or false.")
        plain = isinstance(hours, int | float) and not isinstance(hours, bool)
        in_range = plain and MIN_HALF_LIFE_HOURS <= hours <= MAX_HALF_LIFE_HOURS
        if name != LATEST and not in_range:
            rule = f"a number in [{MIN_HALF_LIFE_HOURS:g}, {MAX_HALF_LIFE_HOURS:g}]"
            raise ValueError(f"half_life_hours == {hours!r:.50}, must be {rule}.")
        return cls(name, float(hours), by_value)

    @property
    def params(self) -> dict[str, Any]:
        """The parameters as a version keeps them."""
        return {} if self.name == LATEST else {k: v for k, v in asdict(self).items() if k != "name"}

    @property
    def counts(self) -> bool:
        """Whether it goes by likes."""
        return self.half_life_hours > 0


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
