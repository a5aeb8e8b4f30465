"""The candidates of a request: what may be shown, of the best list that there is for the unit.

A list was made before the request. Where the request's filter leaves too few of the list, all items
that may be shown are the candidates; where its caps do, these fill the rest of the slate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence, Set

    from inference.serving.artifact import Indices
    from inference.serving.ranker import ItemRanker
    from inference.serving.slate_request import SlateRequest

CHOICE = 5  # candidates a slot: of fewer, a slate is no choice any more
MAX_SCORED = 20_000  # items that one request scores
MAX_NEAR = 4000  # of a large version: those near a unit's recent items, of which a filter leaves some


class Candidates(NamedTuple):
    """What may be shown, after all filters.

    Attributes:
        items: indices into the version's items.
        recent: the unit's history as indices, newest first.
        fallback: why these are not the precomputed ones, if they are not.
    """

    items: Indices
    recent: list[int]
    fallback: str | None


def find_candidates(ranker: ItemRanker, request: SlateRequest) -> Candidates:
    """Return the candidates after all filters, the unit's history, and the reason of a fallback."""
    recent = ranker.indices_of(request.recent)
    if request.only is not None:
        # What a request names is ranked even if the unit liked it already.
        banned = set(ranker.indices_of(request.exclude))
        named = np.array(ranker.indices_of(dict.fromkeys(request.only)), dtype=np.int32)
        return Candidates(_without(banned, request.eligible.keep(ranker, named)), recent, None)
    again = ranker.indices_of(request.again)
    banned = _banned(ranker, request, recent)
    items, fallback = _listed(ranker, request, recent, banned)
    if again:
        # The lists were made without what the unit liked.
        missing = np.setdiff1d(again[: request.max_candidates], items)
        items = np.concatenate([items, missing.astype(np.int32)])
    if request.new is not None:
        items = np.concatenate([items, np.setdiff1d(request.new.items, items, assume_unique=False)])
    eligible = request.eligible.keep(ranker, items)
    if len(eligible) < _enough(request, ranker) and (
        len(eligible) < len(items) or request.eligible.is_filtered
    ):
        # The lists were made without the filter: what it leaves of them is too few to choose from.
        eligible = _widen(ranker, request, recent)
    allowed = _without(banned, eligible)
    if not len(allowed):
        # A unit that has refused the whole list since it was made gets what is left.
        allowed = _without(banned, _widen(ranker, request, recent))
    return Candidates(allowed, recent, fallback)


def add_all(ranker: ItemRanker, request: SlateRequest, candidates: Candidates) -> Candidates:
    """Return candidates, and after them all other items that may be shown."""
    banned = _banned(ranker, request, candidates.recent)
    every = _without(banned, _widen(ranker, request, candidates.recent))
    others = every[~np.isin(every, candidates.items)]
    return candidates._replace(items=np.concatenate([candidates.items, others]))


def _banned(ranker: ItemRanker, request: SlateRequest, recent: Sequence[int]) -> set[int]:
    """Return what the unit does not want, or has liked and is not to see again."""
    liked = set(recent).difference(ranker.indices_of(request.again))
    return liked.union(ranker.indices_of(request.exclude))


def _listed(
    ranker: ItemRanker, request: SlateRequest, recent: list[int], banned: Set[int]
) -> tuple[Indices, str | None]:
    """Return the best list there is for the unit, and why it is not the precomputed one."""
    is_known = bool(recent) and ranker.knows(recent)
    if request.precomputed is not None:
        # Of a history of which the version knows nothing, the list is the default one.
        is_default = bool(recent) and ranker.reads_history and not is_known
        reason = request.default_reason if is_default else None
        return np.frombuffer(request.precomputed, dtype=np.int32), reason
    limit = request.max_candidates
    if is_known:
        items = ranker.nearline(recent, limit + len(banned))
        fallback = request.nearline_reason
    else:
        items = request.eligible.keep(ranker, ranker.default_order)[: limit + len(banned)]
        fallback = None if ranker.is_remote else request.default_reason
    return _without(banned, items)[:limit], fallback


def _without(banned: Set[int], items: Indices) -> Indices:
    """Return those of some items that are not banned, in their order."""
    listed = items.tolist() if banned else ()
    if banned.isdisjoint(listed):  # as nearly always: lists are made without what a unit has liked
        return items
    return np.array([item for item in listed if item not in banned], dtype=np.int32)


def _enough(request: SlateRequest, ranker: ItemRanker) -> int:
    return min(CHOICE * request.k, len(ranker.item_ids))


def _widen(ranker: ItemRanker, request: SlateRequest, recent: Sequence[int]) -> Indices:
    """Return all items that may be shown, as many as a request can score.

    Of more than that, those near the recent items that may be shown, and the first of the others.
    """
    every = request.eligible.all_of(ranker)
    if ranker.is_remote:
        return every[: request.max_candidates]
    if len(every) <= MAX_SCORED or not recent or not ranker.knows(recent):
        return every[:MAX_SCORED]
    # As many as leave a list of the usual length, on average, with some to spare.
    share = len(every) / len(ranker.item_ids)
    near = ranker.nearline(recent, min(MAX_NEAR, int(2 * request.max_candidates / share)))
    near = request.eligible.keep(ranker, near)
    rest = every[: MAX_SCORED - len(near)]
    return np.concatenate([near, rest[~np.isin(rest, near)]])
