"""Recommendations: read what is known of the unit, find candidates, score them, draw a slate."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.gateway.slates.answer import KindAnswer
from bakeoff.gateway.slates.bound_rules import bind, make_ready, require_fields
from bakeoff.gateway.slates.interleave import interleave
from bakeoff.gateway.slates.new_items import NewItemPlaces, new_candidates
from bakeoff.gateway.slates.order_lists import hint_for, reason_of, require_order
from bakeoff.gateway.slates.prepared import (
    MAX_DRAWN,
    MAX_SCANNED,
    Prepared,
    for_version,
    is_long,
    shadow_question,
)
from bakeoff.gateway.slates.remote_scorer import RemoteError
from bakeoff.gateway.slates.requests import (
    LatestRequest,
    RecommendRequest,
    SearchRequest,
    SimilarRequest,
    TrendingRequest,
)
from bakeoff.gateway.slates.search import QUERY
from bakeoff.gateway.slates.similar import SIMILAR_TO, Subject, stand_in_for
from bakeoff.gateway.slates.unit_history import UnitHistory, read_history
from experiments.ingest.redact import redact
from inference.serving.candidates import add_all, find_candidates
from inference.serving.context_ranker import in_context, reads_context
from inference.serving.ladder import ServedSlate, fill_slate, fill_up, rule_more, serve
from inference.serving.slate_request import SlateRequest

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bakeoff.gateway.config.catalogue_watcher import CatalogueWatcher
    from bakeoff.gateway.config.versions import ServingVersion
    from bakeoff.gateway.slates.cache_reader import GroupRead
    from bakeoff.gateway.slates.choose_version import ChosenVersion
    from bakeoff.gateway.slates.live_orders import LiveOrders
    from bakeoff.gateway.slates.remote_scorer import RemoteScorer
    from bakeoff.gateway.slates.search import Search
    from bakeoff.gateway.slates.visitors import Visitor
    from inference.serving.candidates import Candidates
    from inference.serving.catalogue import Catalogue
    from inference.serving.models import RemoteModel
    from inference.serving.ordered_items import OrderedItems
    from inference.serving.orders import LiveOrder
    from inference.serving.ranker import ItemRanker

RECOMMEND = "recommend"
RULED = "$rules"  # in a slate's context, as `SIMILAR_TO`: its draw was not the version's alone


class Recommending:
    """Serves surfaces of the kind `recommend`; one in a process."""

    name = RECOMMEND

    def __init__(
        self,
        reader: GroupRead,
        remote: RemoteScorer,
        catalogues: CatalogueWatcher,
        orders: LiveOrders,
        search: Search,
    ) -> None:
        """Remember where units are read, who scores what this process cannot, and what there is."""
        self._reader, self._remote = reader, remote
        self._catalogues, self._orders, self._search = catalogues, orders, search
        self._places = NewItemPlaces()
        self._rng = np.random.default_rng()
        self._coins = Random()  # noqa: S311  coins of a draft, no secret

    async def serve(
        self, request: RecommendRequest, visitor: Visitor, chosen: ChosenVersion
    ) -> KindAnswer:
        """Return a slate by a version or by several, or by what stands in for them."""
        if not chosen.interleaved:
            return await self.serve_version(request, visitor, chosen.version)
        versions = list(chosen.interleaved.values())
        prepared = await self.prepare_all(request, visitor, versions)
        pairs = list(zip(prepared, versions, strict=True))
        # At once where one waits for something; tasks of their own cost more than a short draw.
        if any(_waits(one, version) for one, version in pairs):
            drawn = await asyncio.gather(*(self.draw(one, visitor, version) for one, version in pairs))
        else:
            drawn = [await self.draw(one, visitor, version) for one, version in pairs]
        slates = dict(zip(chosen.interleaved, drawn, strict=True))
        merged = interleave(slates, prepared[0].request, rng=self._coins)
        return KindAnswer(
            merged,
            0.0,
            partial(shadow_question, visitor, prepared[0]),
            recorded={RULED: True} if prepared[0].is_ruled else {},
        )

    async def serve_version(
        self, request: RecommendRequest, visitor: Visitor, version: ServingVersion | None
    ) -> KindAnswer:
        """Return a slate by a version, or by what stands in for it."""
        prepared = await self.prepare(request, visitor, version)
        slate = await self.draw(prepared, visitor, version)
        return KindAnswer(
            slate._replace(hint=prepared.hint) if not slate.slots else slate,
            visitor.surface.exploration,
            partial(shadow_question, visitor, prepared),
            recorded={RULED: True} if prepared.is_ruled else {},
        )

    async def prepare(
        self, request: RecommendRequest, visitor: Visitor, version: ServingVersion | None
    ) -> Prepared:
        """Read what is known of the unit, and bind the rules.

        Raises:
            ApiError: 400, a rule of the request cannot be followed; 409, the surface is no such list.
        """
        if isinstance(request, LatestRequest):
            require_order(request.list_name, visitor.surface)
        ranker: ItemRanker | None = version.ranker if version is not None else None
        if isinstance(request, SearchRequest):
            return await self._find(request, visitor, version)
        # What is like an item goes by that item, and a static list by nothing.
        reads_recent = ranker is not None and not isinstance(request, SimilarRequest)
        history = await read_history(self._reader, request, visitor, version if reads_recent else None)
        if version is not None and version.ranker is not None and version.ranker.order is not None:
            if not isinstance(request, SimilarRequest):
                return await self._in_order(request, visitor, version, history, version.ranker.order)
            # An order's artifact holds no items: what it ranks now stands behind what is like the item.
            ranker, _ = await self._ranker_now(version, version.ranker.order, visitor)
        elif ranker is not None:
            ranker = await self._place(request, visitor, ranker)
        if isinstance(request, SimilarRequest):
            return await self._like_an_item(request, visitor, history, ranker)
        prepared = await self._prepare(request, visitor, history, ranker, exclude=request.exclude)
        if isinstance(request, LatestRequest):  # the default order of a version is what is wanted
            return prepared.because(reason_of(request))
        return prepared

    async def prepare_all(
        self,
        request: RecommendRequest,
        visitor: Visitor,
        versions: Sequence[ServingVersion | None],
    ) -> list[Prepared]:
        """Read once what is known of the unit, and prepare the request for each of several versions.

        All have the same rules; each has its own candidates. None explores: the draft's coins do.

        Raises:
            ApiError: 400, a rule of the request cannot be followed.
        """
        able = [one for one in versions if one is not None and one.ranker is not None]
        history = await read_history(
            self._reader, request, visitor, able[0] if able else None, able[1:]
        )
        precomputed = iter((history.precomputed, *history.rivals))
        rankers: list[tuple[ItemRanker | None, bytes | None]] = []
        for version in versions:
            if version is None or version.ranker is None:
                rankers.append((None, None))
            else:
                ranker = await self._place(request, visitor, version.ranker)
                rankers.append((ranker, next(precomputed)))
        whole = await self._prepare(request, visitor, history, None, exclude=request.exclude)
        return [for_version(whole, ranker, candidates) for ranker, candidates in rankers]

    async def _place(
        self, request: RecommendRequest, visitor: Visitor, ranker: ItemRanker
    ) -> ItemRanker:
        """Return a version's ranker with the items that came after it, in the request's context."""
        catalogue = self._catalogues.of(visitor.key.project_id)
        ranker = await self._places.find_ranker(ranker, catalogue)
        if isinstance(request, SimilarRequest):  # what is like an item is so everywhere
            return ranker
        return in_context(ranker, visitor.context, time.time())

    async def _find(
        self, request: SearchRequest, visitor: Visitor, version: ServingVersion | None
    ) -> Prepared:
        """Prepare a request for what is sought; also what the visitor liked or refused before."""
        order = version.ranker.order if version is not None and version.ranker is not None else None
        ranker, reason = None, None
        if order is not None:
            ranker, reason = await self._search.ranker(
                visitor.key.project_id, request.q, order, self._catalogues.of(visitor.key.project_id)
            )
        prepared = await self._prepare(request, visitor, UnitHistory(), ranker, exclude=request.exclude)
        if ranker is None:
            return prepared
        # What nothing is found for is an empty list, not the surface's own.
        hint = ""
        if not len(ranker.item_ids):
            hint = await self._search.why_incomplete(visitor.key.project_id, reason)
        slate_request = prepared.request._replace(static_list=(), default_reason=reason)
        return prepared._replace(request=slate_request, hint=hint)

    async def _in_order(
        self,
        request: RecommendRequest,
        visitor: Visitor,
        version: ServingVersion,
        history: UnitHistory,
        order: LiveOrder,
    ) -> Prepared:
        """Prepare a request that a live order answers."""
        country = request.country if isinstance(request, TrendingRequest) else None
        ranker, reason = await self._ranker_now(version, order, visitor, country)
        # Candidates that were precomputed are places among other items.
        history = history._replace(precomputed=None)
        prepared = await self._prepare(request, visitor, history, ranker, exclude=request.exclude)
        return prepared.because(reason)

    async def _ranker_now(
        self, version: ServingVersion, order: LiveOrder, visitor: Visitor, country: str | None = None
    ) -> tuple[OrderedItems, str | None]:
        """Return what ranks by a live order now, and why it is not quite what was wanted, if so."""
        return await self._orders.ranker_of(version.version_id, order, visitor.key.project_id, country)

    async def _like_an_item(
        self,
        request: SimilarRequest,
        visitor: Visitor,
        history: UnitHistory,
        ranker: ItemRanker | None,
    ) -> Prepared:
        """Prepare a request whose history is one item, or what stands in for it."""
        filters = self._catalogues.filters_of(visitor.key.project_id)
        await make_ready(filters, [{"group_id": ""}])
        subject = Subject.of(request.item_id, filters)
        await make_ready(filters, [{"labels": label} for label in subject.labels])
        if ranker is not None and len(ranker.item_ids) > MAX_SCANNED:
            stand_in = await asyncio.to_thread(stand_in_for, subject, ranker, filters)
        else:
            stand_in = stand_in_for(subject, ranker, filters)
        if subject.title and stand_in.is_alike_for_all:
            nearest = await self._search.nearest_to_title(visitor.key.project_id, subject.title)
            stand_in = stand_in.by_texts(nearest or ())
        history = history._replace(recent=stand_in.recent)
        prepared = await self._prepare(
            request, visitor, history, stand_in.ranker, exclude=subject.exclude(request.exclude)
        )
        slate_request = prepared.request._replace(
            nearline_reason=stand_in.nearline_reason,
            default_reason=stand_in.default_reason,
        )
        return prepared._replace(request=slate_request)

    async def _prepare(
        self,
        request: RecommendRequest,
        visitor: Visitor,
        history: UnitHistory,
        ranker: ItemRanker | None,
        *,
        exclude: Collection[str],
    ) -> Prepared:
        """Bind the rules.

        Raises:
            ApiError: 400, a rule of the request cannot be followed.
        """
        surface, acted = visitor.surface, history.acted
        require_fields(self._catalogues.filters_of(visitor.key.project_id), request.fields)
        if acted.banned:
            exclude = [*exclude, *acted.banned]
        rules = await bind(
            surface.rules,
            request.rules,
            self._catalogues.filters_of(visitor.key.project_id),
            context=visitor.context,
            exclude=exclude,
            named=request.candidates or (),
        )
        # Candidates that were made before the request know nothing of its context: they are made in
        # it, which is no fallback then.
        in_request = reads_context(ranker)
        slate_request = SlateRequest(
            k=request.k,
            recent=history.recent,
            precomputed=None if in_request else history.precomputed,
            exclude=exclude,
            only=request.candidates,
            static_list=surface.static_list,
            max_candidates=surface.candidates,
            temperature=surface.exploration,
            eligible=rules.allowed,
            rules=rules if rules.rules.orders else None,
            again=acted.again,
            new=new_candidates(ranker, rules.rules, exploration=surface.exploration),
            nearline_reason=None if in_request else "nearline",
            default_reason=None if in_request else "default_list",
            explain=request.explain,
        )
        return Prepared(slate_request, rules, ranker)

    async def recorded_context(self, request: RecommendRequest) -> dict[str, Any]:
        """Return what the product said, and what the items are to be like or to be found by."""
        if isinstance(request, SimilarRequest):
            return {**request.context, SIMILAR_TO: request.item_id}
        if isinstance(request, SearchRequest):
            words, _ = await asyncio.to_thread(redact, request.q)
            return {**request.context, QUERY: words}
        return request.context

    def body(self, request: RecommendRequest, visitor: Visitor, slate: ServedSlate) -> dict[str, Any]:
        """Return the items, why they are fewer than `k`, and why a list may be empty."""
        body: dict[str, Any] = {"items": self.shown_items(request, visitor, slate)}
        if len(slate.slots) < request.k:
            body["short_because"] = "caps" if slate.short_by_caps else "candidates"
        if isinstance(request, LatestRequest) and request.label is not None and not slate.slots:
            hint = hint_for(request.label, self._catalogues.filters_of(visitor.key.project_id))
            if hint:
                body["hint"] = hint
        elif slate.hint:
            body["hint"] = slate.hint
        return body

    def shown_items(
        self, request: RecommendRequest, visitor: Visitor, slate: ServedSlate
    ) -> list[dict[str, Any]]:
        """Return the items of a slate as a client gets them."""
        catalogue = self._catalogues.of(visitor.key.project_id)
        items = []
        for position, slot in enumerate(slate.slots, start=1):
            item = {"item_id": slot.item_id, "position": position, "score": slot.score}
            if slot.because is not None:
                item["because"] = slot.because
            item |= answer_fields(catalogue, slot.item_id, request.fields)
            items.append(item)
        return items

    async def draw(
        self, prepared: Prepared, visitor: Visitor, version: ServingVersion | None
    ) -> ServedSlate:
        """Return the slate of a request."""
        request, ranker = prepared.request, prepared.ranker
        if version is None:
            return serve(None, request, rng=self._rng, no_model_reason="no_champion")
        model = version.model
        if ranker is not None and model is not None and model.remote is not None:
            return await self._draw_remotely(
                request, visitor, ranker, remote=model.remote, version_id=version.version_id
            )
        if ranker is None:
            return serve(None, request, rng=self._rng, no_model_reason="model_unavailable")
        if is_long(ranker, request):
            candidates = await asyncio.to_thread(find_candidates, ranker, request)
        else:
            candidates = find_candidates(ranker, request)
        slate = serve(
            ranker, request, rng=self._rng, no_model_reason="model_unavailable", candidates=candidates
        )
        if not slate.short_by_caps or request.only is not None or not len(candidates.items):
            return slate
        return await self._fill_up(ranker, request, slate, candidates)

    async def _fill_up(
        self, ranker: ItemRanker, request: SlateRequest, slate: ServedSlate, candidates: Candidates
    ) -> ServedSlate:
        """Return a slate that caps left short with what else may be shown."""
        if len(ranker.item_ids) > MAX_SCANNED:
            every = await asyncio.to_thread(add_all, ranker, request, candidates)
        else:
            every = add_all(ranker, request, candidates)
        # Rules read columns of the catalogue, which change within the event loop alone.
        seen = len(candidates.items)
        ruled = rule_more(ranker, request, slate, items=every.items, seen=seen)
        if ruled is None:
            return slate
        fill = partial(fill_up, ranker, request, slate, every, ruled=ruled, rng=self._rng)
        return await asyncio.to_thread(fill) if len(every.items) > MAX_DRAWN else fill()

    async def _draw_remotely(
        self,
        request: SlateRequest,
        visitor: Visitor,
        ranker: ItemRanker,
        *,
        remote: RemoteModel,
        version_id: int,
    ) -> ServedSlate:
        """Let a remote model score the candidates; its own default order stands in for it."""
        candidates = find_candidates(ranker, request)
        if not len(candidates.items):
            return serve(ranker, request, rng=self._rng, no_model_reason="static_list")
        question = {
            "unit_id": visitor.unit,
            "recent": list(request.recent),
            "candidates": [ranker.item_ids[i] for i in candidates.items.tolist()],
            "context": visitor.context,
        }
        count = len(candidates.items)
        try:
            answer = await self._remote.answer(version_id, remote, question, count)
            # As a local scorer gives them, so that both are drawn from alike.
            scores, cost = np.array(answer.scores, dtype=np.float32), answer.cost
        except RemoteError as error:
            # Within the variant: another variant's model must never stand in for this one's.
            candidates = candidates._replace(fallback=str(error))
            scores, cost = ranker.score(candidates.items, candidates.recent), None
        slate = fill_slate(ranker, request, candidates, scores, rng=self._rng)
        return slate._replace(cost=cost)


def _waits(prepared: Prepared, version: ServingVersion | None) -> bool:
    """Whether a slate is drawn outside the event loop: by a model elsewhere, or in a thread."""
    if version is None or prepared.ranker is None:
        return False
    is_remote = version.model is not None and version.model.remote is not None
    return is_remote or is_long(prepared.ranker, prepared.request)


def answer_fields(catalogue: Catalogue, item_id: str, names: Sequence[str] | None) -> dict[str, Any]:
    """Return what an answer says of an item.

    Args:
        catalogue: the project's.
        item_id: of the item; one that the catalogue does not hold has an empty title.
        names: fields and properties that the request names; None for the fields that it has.
    """
    row = catalogue.find(item_id)
    if row is None:
        return {"title": ""}
    item = catalogue.rows[row]
    if names is None:
        return {"title": "", **item.fields}
    answer = {name: item.fields[name] for name in names if name in item.fields}
    properties = {name: item.properties[name] for name in names if name in item.properties}
    return {"title": item.fields.get("title", ""), **answer} | (
        {"properties": properties} if properties else {}
    )
