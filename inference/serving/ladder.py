"""The fallback ladder: precomputed, nearline, the version's default list, the static list, empty.

Each step down has a reason that is logged with the slate. A unit stays in its variant: no step calls
another variant's model, and the static list belongs to none.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from inference.serving.candidates import Candidates, find_candidates
from inference.serving.explore import draw_slate
from inference.serving.rule_draw import (
    MAX_POOL,
    DrawnSlot,
    NewItems,
    SlotRules,
    draw_at_once,
    draw_by_slot,
    rerank,
)
from inference.serving.ruled_candidates import CandidateNames, RuledCandidates

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from numpy.random import Generator

    from inference.serving.artifact import Floats, Indices
    from inference.serving.ranker import ItemRanker
    from inference.serving.slate_request import SlateRequest


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

    `short_by_caps` is whether there are fewer than k slots because caps left candidates out.
    `cost` is what a remote answer says of itself, in money. `draft` is what is stored of the versions
    of an interleaved slate; None of every other. `hint` says why there may be no slots.
    """

    slots: Sequence[Slot]
    fallback: str | None
    candidate_count: int
    candidate_hash: str
    short_by_caps: bool = False
    cost: float | None = None
    draft: Mapping[str, Any] | None = None
    hint: str = ""


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


def fill_up(
    ranker: ItemRanker,
    request: SlateRequest,
    slate: ServedSlate,
    candidates: Candidates,
    *,
    ruled: RuledCandidates,
    rng: Generator,
) -> ServedSlate:
    """Fill the slots for which caps have left nothing, from all items that may be shown.

    It reads nothing that others change, and may run in a thread.

    Args:
        ranker: which has ranked the slate.
        request: the request.
        slate: what was drawn.
        candidates: what it was drawn from, and after these the others, as `add_all` returns them.
        ruled: what rules say of these, as `rule_more` returns it.
        rng: source of the draw.
    """
    if request.rules is not None:
        ruled = request.rules.with_vectors(ruled, partial(ranker.vectors_of, candidates.items))
    scores = ranker.score(candidates.items, candidates.recent)
    before = _drawn_before(ranker, candidates.items, ruled, slate.slots)
    slate = fill_slate(ranker, request, candidates, scores, rng=rng, ruled=ruled, before=before)
    return _explain(ranker, slate, candidates.recent) if request.explain else slate


def rule_more(
    ranker: ItemRanker, request: SlateRequest, slate: ServedSlate, *, items: Indices, seen: int
) -> RuledCandidates | None:
    """Return what rules say of the candidates that fill a short slate; None where none can.

    Args:
        ranker: which has ranked the slate.
        request: the request.
        slate: what was drawn.
        items: what it was drawn from, and after these the others.
        seen: how many items the slate was drawn from.
    """
    if request.rules is None or len(items) == seen <= MAX_POOL:  # it was drawn from all there are
        return None
    rows = request.eligible.rows_of(ranker, items)
    if not request.rules.has_room(rows, [slot.item_id for slot in slate.slots]):
        return None
    # Vectors of twenty thousand items are read where they are drawn from.
    return request.rules.about(CandidateNames(ranker.item_ids, items), None, rows)


def _explain(ranker: ItemRanker, slate: ServedSlate, recent: Sequence[int]) -> ServedSlate:
    """Name in each slot the recent item that adds most to its score; none where none adds anything.

    Nor in a slot that owes its place to a pin, or holds what the version does not know. An item that is
    shown again is no reason for itself.
    """
    scored = [
        place for place, slot in enumerate(slate.slots) if slot.rank > 0 and slot.score is not None
    ]
    items = np.array([ranker.index[slate.slots[place].item_id] for place in scored], dtype=np.int32)
    added = ranker.contributions(items, recent)
    if added is None or not added.size:
        return slate
    added = np.where(items[:, None] == np.asarray(recent[: added.shape[1]]), 0.0, added)
    slots = list(slate.slots)
    for place, line in zip(scored, added, strict=True):
        most = int(np.argmax(line))
        if line[most] > 0:
            slots[place] = slots[place]._replace(because=ranker.item_ids[recent[most]])
    return slate._replace(slots=slots)


def fill_slate(
    ranker: ItemRanker,
    request: SlateRequest,
    candidates: Candidates,
    scores: Floats,
    *,
    rng: Generator,
    ruled: RuledCandidates | None = None,
    before: Sequence[DrawnSlot] | None = None,
) -> ServedSlate:
    """Draw a slate from scored candidates.

    Args:
        ranker: whose items they are.
        request: the request.
        candidates: at least one candidate.
        scores: of the candidates, (m,).
        rng: source of the draw.
        ruled: what rules say of the candidates; None to ask them.
        before: slots that were drawn from the first candidates; None for a new slate.
    """
    items = candidates.items
    unranked: Sequence[str] = ()
    if request.only is not None:
        unranked = _unranked(request, {ranker.item_ids[item] for item in items.tolist()})
    order = (-scores).argsort(kind="stable").astype(np.int32)
    new = _new_among(items, request)
    count, is_short = len(items), False
    if request.rules is None and new is None:
        slots = _fill_at_once(ranker, request, items, scores, order=order, rng=rng)
        slots += _last(unranked, request.k, after=len(slots))
    else:
        if ruled is None:
            ruled = _ruled(request, ranker, items, unranked)
        ruled = _with_new(ruled, new)
        count += len(unranked)
        order = np.concatenate([order, np.arange(len(items), count, dtype=np.int32)])
        slots, is_short = _fill_by_rules(ruled, request, scores, order=order, rng=rng, before=before)
    return ServedSlate(
        slots=slots,
        fallback=candidates.fallback,
        candidate_count=count,
        candidate_hash=f"{zlib.crc32(np.sort(items).tobytes()):08x}",
        short_by_caps=is_short,
    )


def _ruled(
    request: SlateRequest, ranker: ItemRanker, items: Indices, unranked: Sequence[str]
) -> RuledCandidates:
    """Return what rules say of candidates, and after them of named items that nothing ranks."""
    names: Sequence[str] = CandidateNames(ranker.item_ids, items)
    if request.rules is None:
        return RuledCandidates(names, SlotRules())
    rows = request.eligible.rows_of(ranker, items)
    if unranked:
        names = [*names, *unranked]
        rows = np.concatenate([rows, request.eligible.catalogue.rows_named(unranked)])
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
    before: Sequence[DrawnSlot] | None = None,
) -> tuple[list[Slot], bool]:
    """Draw from candidates that rules say something about; without a generator, take the best.

    What has no score is ranked after all that has one, and the rules move it as any other.

    Returns:
        The slots, and whether there are fewer than k because the caps left candidates out.
    """
    names, rules = ruled.names, ruled.rules
    temperature = request.temperature if rng is not None else 0.0
    order = rerank(order, rules)
    if rules.by_slot:
        drawn = draw_by_slot(order, request.k, rules, temperature=temperature, rng=rng, before=before)
    else:
        drawn = draw_at_once(order, request.k, rules.new, temperature=temperature, rng=rng)
    slots = [
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
    # A pin may stand beside the candidates: it leaves none of them out.
    chosen = sum(slot.candidate < len(order) for slot in drawn)
    return slots, len(drawn) < request.k and chosen < len(order)


def _drawn_before(
    ranker: ItemRanker, items: Indices, ruled: RuledCandidates, before: Sequence[Slot]
) -> list[DrawnSlot]:
    """Return the slots of a short slate up to the first one for which nothing was left."""
    pins, drawn = ruled.rules.pins, []
    for position, slot in enumerate(before):
        if slot.rank > 0:
            # Among numbers, for there may be twenty thousand candidates to look through.
            candidate = int((items == ranker.index[slot.item_id]).argmax())
        elif position in pins and ruled.names[pins[position]] == slot.item_id:
            candidate = pins[position]
        else:
            break  # it has moved up, for nothing was left above it
        drawn.append(DrawnSlot(candidate, slot.rank, slot.allowed, slot.propensity, slot.chance))
    return drawn


def _is_explored(slot: DrawnSlot, position: int, rules: SlotRules) -> bool:
    """Whether the best ranking has something else in that place."""
    if slot.chance is not None and rules.new is not None and rules.new.mask[slot.candidate]:
        return True
    return slot.rank > 1 if rules.by_slot else slot.rank != position


def serve_static(request: SlateRequest, reason: str) -> ServedSlate:
    """Serve the surface's list; items that the request names and the list does not come last."""
    allowed = set(request.only) if request.only is not None else None
    listed = [
        item_id
        for item_id in dict.fromkeys(request.static_list)
        if request.may_show(item_id) and (allowed is None or item_id in allowed)
    ]
    unranked, is_short = _unranked(request, listed), False
    if request.rules is None:
        slots = [
            Slot(item_id=item_id, score=0.0, rank=rank, propensity=1.0, explored=False)
            for rank, item_id in enumerate(listed[: request.k], start=1)
        ]
        slots += _last(unranked, request.k, after=len(slots))
    else:
        names = [*listed, *unranked]
        order, scores = np.arange(len(names), dtype=np.int32), np.zeros(len(listed), np.float32)
        ruled = request.rules.about(names, None)
        slots, is_short = _fill_by_rules(ruled, request, scores, order=order, rng=None)
    if not slots and reason == "static_list":
        reason = "empty"
    return ServedSlate(
        slots=slots,
        fallback=reason,
        candidate_count=len(listed),
        candidate_hash="",
        short_by_caps=is_short,
    )


def _unranked(request: SlateRequest, ranked: Container[str]) -> list[str]:
    """Return what the request names and nothing ranks, in its order."""
    return [
        item_id
        for item_id in dict.fromkeys(request.only or ())
        if item_id not in ranked and request.may_show(item_id)
    ]


def _last(unranked: Sequence[str], k: int, *, after: int) -> list[Slot]:
    """Return the slots of what nothing ranks, as far as there are any."""
    return [
        Slot(item_id=item_id, score=None, rank=rank, propensity=1.0, explored=False)
        for rank, item_id in enumerate(unranked[: k - after], start=after + 1)
    ]
