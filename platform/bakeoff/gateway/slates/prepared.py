"""A request for a list that is ready to be answered, and what is said of it to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bakeoff.gateway.slates.new_items import new_candidates
from inference.serving.candidates import find_candidates
from inference.serving.context_ranker import reads_context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.gateway.slates.visitors import Visitor
    from experiments.slate_rules.request_rules import RequestRules
    from inference.serving.ranker import ItemRanker
    from inference.serving.slate_request import SlateRequest

MAX_SCANNED = 50_000  # items that are scored within the event loop: a millisecond
MAX_DRAWN = 2000  # items that a slate is drawn from there, under rules: a millisecond, too


class Prepared(NamedTuple):
    """A request, ready to be answered.

    Attributes:
        request: what the ladder is asked for.
        rules: the surface's and the request's together.
        ranker: who ranks; None where no version can.
        hint: why nothing may have been found, for an answer without items.
    """

    request: SlateRequest
    rules: RequestRules
    ranker: ItemRanker | None
    hint: str = ""

    @property
    def is_ruled(self) -> bool:
        """Whether rules say which items there may be, or in which order."""
        return bool(self.rules.rules.filters or self.rules.rules.orders)

    def because(self, reason: str | None) -> Prepared:
        """Return it with the fallback reason that its default order has."""
        return self._replace(request=self.request._replace(default_reason=reason))


def for_version(whole: Prepared, ranker: ItemRanker | None, precomputed: bytes | None) -> Prepared:
    """Return a request that was prepared for no version, for one, whose best it asks for."""
    in_request = reads_context(ranker)
    request = whole.request._replace(
        temperature=0.0,
        precomputed=None if in_request else precomputed,
        new=new_candidates(ranker, whole.rules.rules, exploration=0.0, share=0.0),
        nearline_reason=None if in_request else "nearline",
        default_reason=None if in_request else "default_list",
    )
    return whole._replace(request=request, ranker=ranker)


def _ruled_candidates(prepared: Prepared) -> dict[str, Any]:
    """Return the candidates that rules have left, and what rules say of them."""
    request, ranker = prepared.request, prepared.ranker
    if ranker is None or is_long(ranker, request):  # too long for the event loop: asked without rules
        return {"only": None if request.only is None else list(request.only)}
    items = find_candidates(ranker, request).items.tolist()
    names: Sequence[str] = [ranker.item_ids[i] for i in items]
    if request.rules is None:
        return {"only": list(names), "rules": {}}
    ruled = request.rules.about(names, None)
    return {"only": list(ruled.names), "rules": ruled.rules.as_json()}


def is_long(ranker: ItemRanker, request: SlateRequest) -> bool:
    """Whether finding candidates takes so long that others would wait: it goes into a thread.

    So it is where a large version is asked for what is near, or for all that a filter leaves.
    """
    if len(ranker.item_ids) <= MAX_SCANNED or request.only is not None:
        return False
    if request.eligible.is_filtered:
        return True
    return (
        ranker.reads_history
        and request.precomputed is None
        and any(item_id in ranker.index for item_id in request.recent)
    )


def shadow_question(visitor: Visitor, prepared: Prepared) -> dict[str, Any]:
    """Return the same question for a version in shadow: the same history, candidates and rules."""
    request = prepared.request
    return {
        **_ruled_candidates(prepared),
        "unit_id": visitor.unit,
        "recent": list(request.recent),
        "exclude": list(request.exclude),
        "precomputed": None if request.precomputed is None else request.precomputed.hex(),
        "context": visitor.context,
    }
