"""The fallback ladder: precomputed, nearline, the version's default list, the static list, empty.

Each step down has a reason that is logged with the slate. A unit stays in its variant: no step calls
another variant's model, and the static list belongs to none.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from inference.serving.eligible import EVERYTHING, Eligible
from inference.serving.explore import draw_slate
from inference.serving.rule_draw import (
    DrawnSlot,
    NewItems,
    SlotRules,
    draw_at_once,
    draw_by_slot,
    rerank,
)
from inference.serving.ruled_candidates import CandidateNames, RuledCandidates

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Mapping, Sequence, Set

    from numpy.random import Generator

    from inference.serving.artifact import Floats, Indices
    from inference.serving.ranker import ItemRanker
    from inference.serving.ruled_candidates import CandidateRules

CHOICE = 5  # candidates a slot: of fewer, a slate is no choice any more
MAX_SCORED = 20_000  # items that one request scores
MAX_NEAR = 4000  # of a large version: those near a unit's recent items, of which a filter leaves some


@dataclass(frozen=True, slots=True)
class NewCandidates:
    """Items that came after a version and are placed in it.

    Attributes:
        items: indices of those that join every list.
        fresh: of those that are new enough for a share of the slots.
        share: expected share of the slots that is theirs; 0 where they compete by score alone.
    """

    items: Indices
    fresh: Indices
    share: float


class SlateRequest(NamedTuple):
    """One request for a slate.

    Attributes:
        k: slots.
        recent: item ids that the unit liked lately, newest first.
        precomputed: the version's candidates for the unit, int32 bytes, or None.
        exclude: item ids that may not be shown.
        only: rank just these items, or None for all.
        static_list: the surface's list for when no model can answer.
        max_candidates: how many candidates are re-ranked.
        temperature: of the draw.
        eligible: which items may be shown to anybody now, and by the request's filter.
        rules: say what holds within the slate; None where nothing does.
        again: item ids that may be shown although the unit liked them.
        new: items that came after the version, or None.
        nearline_reason: of the fallback when candidates are made in the request; None where none can
            be precomputed.
        default_reason: of the fallback when the version's default list stands in; None where that is
            what the request asks for.
        explain: whether each slot is to say which recent item it owes its score to.
    """

    k: int
    recent: Sequence[str]
    precomputed: bytes | None
    exclude: Collection[str]
    only: Sequence[str] | None
    static_list: Sequence[str]
    max_candidates: int
    temperature: float
    eligible: Eligible = EVERYTHING
    rules: CandidateRules | None = None
    again: Collection[str] = ()
    new: NewCandidates | None = None
    nearline_reason: str | None = "nearline"
    default_reason: str | None = "default_list"
    explain: bool = False

    def may_show(self, item_id: str) -> bool:
        """Whether one item may be shown."""
        return item_id not in self.exclude and self.eligible.has(item_id)


class Slot(NamedTuple):
    """One place of a slate: item, score, rank before the draw (from 1), propensity, explored.

    The score is None for an item that the version does not know: the request names it, or a pin. Where
    each slot is a draw of its own, `allowed` is among how many the rank is; a pin has the rank 0.
    `chance` is that of the slot to be for new items, or for the others, where that was drawn.
    `because` is the recent item that adds most to the score, where that was asked.
    """

    item_id: str
    score: float | None
    rank: int
    propensity: float
    explored: bool
    allowed: int | None = None
    because: str | None = None
    chance: float | None = None


class ServedSlate(NamedTuple):
    """A slate and how it came about.

    `cost` is what a remote answer says of itself, in money. `draft` is what is stored of the versions
    of an interleaved slate; None of every other.
    """

    slots: Sequence[Slot]
    fallback: str | None
    candidate_count: int
    candidate_hash: str
    cost: float | None = None
    draft: Mapping[str, Any] | None = None


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


def serve(
    ranker: ItemRanker | None,
    request: SlateRequest,
    *,
    rng: Generator,
    no_model_reason: str,
    candidates: Candidates | None = None,
) -> ServedSlate:
    """Answer a request.

    Args:
        ranker: the version to serve, or None when there is none that works.
        request: the request.
        rng: source of the draw.
        no_model_reason: the reason to log when there is no ranker.
        candidates: what `find_candidates` found before; None to find them.
    """
    if ranker is None:
        return serve_static(request, no_model_reason)
    if candidates is None:
        candidates = find_candidates(ranker, request)
    if not len(candidates.items):
        return serve_static(request, "static_list")
    slate = fill_slate(
        ranker, request, candidates, ranker.score(candidates.items, candidates.recent), rng=rng
    )
    return _explain(ranker, slate, candidates.recent) if request.explain else slate


def _explain(ranker: ItemRanker, slate: ServedSlate, recent: Sequence[int]) -> ServedSlate:
    """Name in each slot the recent item that adds most to its score; none where none adds anything.

    Nor in a slot that owes its place to a pin, or holds what the version does not know.
    """
    scored = [
        place for place, slot in enumerate(slate.slots) if slot.rank > 0 and slot.score is not None
    ]
    items = np.array([ranker.index[slate.slots[place].item_id] for place in scored], dtype=np.int32)
    added = ranker.contributions(items, recent)
    if added is None or not added.size:
        return slate
    slots = list(slate.slots)
    for place, line in zip(scored, added, strict=True):
        most = int(np.argmax(line))
        if line[most] > 0:
            slots[place] = slots[place]._replace(because=ranker.item_ids[recent[most]])
    return slate._replace(slots=slots)


def fill_slate(
    ranker: ItemRanker, request: SlateRequest, candidates: Candidates, scores: Floats, *, rng: Generator
) -> ServedSlate:
    """Draw a slate from scored candidates.

    Args:
        ranker: whose items they are.
        request: the request.
        candidates: at least one candidate.
        scores: of the candidates, (m,).
        rng: source of the draw.
    """
    items = candidates.items
    order = (-scores).argsort(kind="stable").astype(np.int32)
    new = _new_among(items, request)
    if request.rules is None and new is None:
        slots = _fill_at_once(ranker, request, items, scores, order=order, rng=rng)
    else:
        ruled = _with_new(_ruled(request, ranker, items), new)
        slots = _fill_by_rules(ruled, request, scores, order=order, rng=rng)
    if request.only is not None:
        known = {slot.item_id for slot in slots} | {ranker.item_ids[item] for item in items.tolist()}
        slots += _unranked(request, known=known, after=len(slots))
    return ServedSlate(
        slots=slots,
        fallback=candidates.fallback,
        candidate_count=len(items),
        candidate_hash=f"{zlib.crc32(np.sort(items).tobytes()):08x}",
    )


def _ruled(request: SlateRequest, ranker: ItemRanker, items: Indices) -> RuledCandidates:
    names = CandidateNames(ranker.item_ids, items)
    if request.rules is None:
        return RuledCandidates(names, SlotRules())
    rows = request.eligible.rows_of(ranker, items)
    return request.rules.about(names, partial(ranker.vectors_of, items), rows)


def _new_among(items: Indices, request: SlateRequest) -> NewItems | None:
    """Return which candidates have a share of the slots; None where none has."""
    new = request.new
    # What a request names is ranked as it is.
    if new is None or new.share <= 0 or request.only is not None:
        return None
    mask = np.isin(items, new.fresh)
    return NewItems(mask, new.share) if mask.any() else None


def _with_new(ruled: RuledCandidates, new: NewItems | None) -> RuledCandidates:
    if new is None:
        return ruled
    # What is pinned beside the candidates is drawn from nothing.
    beside = np.zeros(len(ruled.names) - len(new.mask), dtype=bool)
    mask = np.concatenate([new.mask, beside])
    return replace(ruled, rules=replace(ruled.rules, new=NewItems(mask, new.share)))


def _fill_at_once(
    ranker: ItemRanker,
    request: SlateRequest,
    items: Indices,
    scores: Floats,
    *,
    order: Indices,
    rng: Generator,
) -> list[Slot]:
    drawn = draw_slate(len(items), request.k, temperature=request.temperature, rng=rng)
    best = order[[rank for rank, _ in drawn]]
    names = ranker.item_ids
    return [
        Slot(names[item], score, rank + 1, propensity, rank != position)
        for position, (item, score, (rank, propensity)) in enumerate(
            zip(items[best].tolist(), scores[best].round(6).tolist(), drawn, strict=True)
        )
    ]


def _fill_by_rules(
    ruled: RuledCandidates,
    request: SlateRequest,
    scores: Floats,
    *,
    order: Indices,
    rng: Generator | None,
) -> list[Slot]:
    """Draw from candidates that rules say something about; without a generator, take the best."""
    names, rules = ruled.names, ruled.rules
    temperature = request.temperature if rng is not None else 0.0
    order = rerank(order, rules)
    if rules.by_slot:
        drawn = draw_by_slot(order, request.k, rules, temperature=temperature, rng=rng)
    else:
        drawn = draw_at_once(order, request.k, rules.new, temperature=temperature, rng=rng)
    return [
        Slot(
            names[slot.candidate],
            round(float(scores[slot.candidate]), 6) if slot.candidate < len(scores) else None,
            slot.rank,
            slot.propensity,
            _is_explored(slot, position, rules),
            slot.allowed,
            chance=slot.chance,
        )
        for position, slot in enumerate(drawn, start=1)
    ]


def _is_explored(slot: DrawnSlot, position: int, rules: SlotRules) -> bool:
    """Whether the best ranking has something else in that place."""
    if slot.chance is not None and rules.new is not None and rules.new.mask[slot.candidate]:
        return True
    return slot.rank > 1 if rules.by_slot else slot.rank != position


def find_candidates(ranker: ItemRanker, request: SlateRequest) -> Candidates:
    """Return the candidates after all filters, the unit's history, and the reason of a fallback."""
    recent = ranker.indices_of(request.recent)
    banned = set(ranker.indices_of(request.exclude))
    if request.only is not None:
        # What a request names is ranked even if the unit liked it already.
        named = np.array(ranker.indices_of(dict.fromkeys(request.only)), dtype=np.int32)
        return Candidates(_without(banned, request.eligible.keep(ranker, named)), recent, None)
    again = ranker.indices_of(request.again)
    banned.update(set(recent).difference(again))
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


def _listed(
    ranker: ItemRanker, request: SlateRequest, recent: list[int], banned: Set[int]
) -> tuple[Indices, str | None]:
    """Return the best list there is for the unit, and why it is not the precomputed one."""
    if request.precomputed is not None:
        return np.frombuffer(request.precomputed, dtype=np.int32), None
    limit = request.max_candidates
    if recent and ranker.reads_history:
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
    if len(every) <= MAX_SCORED or not recent or not ranker.reads_history:
        return every[:MAX_SCORED]
    # As many as leave a list of the usual length, on average, with some to spare.
    share = len(every) / len(ranker.item_ids)
    near = ranker.nearline(recent, min(MAX_NEAR, int(2 * request.max_candidates / share)))
    near = request.eligible.keep(ranker, near)
    rest = every[: MAX_SCORED - len(near)]
    return np.concatenate([near, rest[~np.isin(rest, near)]])


def serve_static(request: SlateRequest, reason: str) -> ServedSlate:
    """Serve the surface's list; items that the request names and the list does not come last."""
    allowed = set(request.only) if request.only is not None else None
    items = [
        item_id
        for item_id in dict.fromkeys(request.static_list)
        if request.may_show(item_id) and (allowed is None or item_id in allowed)
    ]
    if request.rules is None:
        slots = [
            Slot(item_id=item_id, score=0.0, rank=rank, propensity=1.0, explored=False)
            for rank, item_id in enumerate(items[: request.k], start=1)
        ]
    else:
        order = np.arange(len(items), dtype=np.int32)
        ruled = request.rules.about(items, None)
        slots = _fill_by_rules(ruled, request, np.zeros(len(items), np.float32), order=order, rng=None)
    slots += _unranked(request, known={*items, *(slot.item_id for slot in slots)}, after=len(slots))
    if not slots and reason == "static_list":
        reason = "empty"
    return ServedSlate(slots=slots, fallback=reason, candidate_count=len(items), candidate_hash="")


def _unranked(request: SlateRequest, *, known: Container[str], after: int) -> list[Slot]:
    """Return what the request names and nothing ranks, in its order, as far as there are slots."""
    if request.only is None or after >= request.k:
        return []
    unknown = [
        item_id
        for item_id in dict.fromkeys(request.only)
        if item_id not in known and request.may_show(item_id)
    ]
    return [
        Slot(item_id=item_id, score=None, rank=rank, propensity=1.0, explored=False)
        for rank, item_id in enumerate(unknown[: request.k - after], start=after + 1)
    ]
