"""`POST /v1/recommend` and `/v1/compare`: find the unit, assign, rank, commit, answer."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from bakeoff.gateway.http import fields
from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.slates.cache_reader import NOTHING, GroupRead, UnitState
from bakeoff.gateway.slates.recorder import (
    Route,
    Visitor,
    find_surface,
    head_of,
    read_override,
    slate_row,
)
from bakeoff.gateway.slates.remote_scorer import RemoteError
from experiments.ingest.rows import Rows
from inference.serving.keys import MAX_RECENT, candidates_key, recent_key
from inference.serving.ladder import ServedSlate, SlateRequest, fill_slate, find_candidates, serve

if TYPE_CHECKING:
    from bakeoff.gateway.config.serving_config import ServingConfig, SurfaceConfig
    from bakeoff.gateway.config.versions import ServingVersion
    from bakeoff.gateway.http.caller import Caller
    from bakeoff.gateway.slates.recorder import Recorder
    from bakeoff.gateway.slates.remote_scorer import RemoteScorer
    from bakeoff.gateway.slates.shadow import Shadows

KIND = "recommend"
MAX_K = 100


@dataclass(frozen=True, slots=True)
class _RecommendRequest:
    """What a request asks, checked."""

    visitor: Visitor
    k: int
    only: list[str] | None
    exclude: list[str]

    @property
    def surface(self) -> SurfaceConfig:
        return self.visitor.surface


class RecommendHandler:
    """The handlers; one in a process."""

    def __init__(
        self, recorder: Recorder, reader: GroupRead, remote: RemoteScorer, shadows: Shadows
    ) -> None:
        """Remember where to read, ask and write."""
        self._recorder, self._reader = recorder, reader
        self._remote, self._shadows = remote, shadows
        self._rng = np.random.default_rng()

    async def answer(self, config: ServingConfig, caller: Caller, data: dict[str, Any]) -> bytes:
        """Answer one request.

        Raises:
            ApiError: the request breaks a rule.
        """
        started = time.perf_counter()
        surface = find_surface(config, caller.key, data, KIND)
        forced = read_override(surface, caller.key, data, self._recorder.secret)
        request = await self._read_request(config, caller, surface, data)
        route = await self._recorder.route(config, request.visitor, forced)
        served, slate_request = await self._serve(request, route.version)
        latency_ms = (time.perf_counter() - started) * 1000
        slate = slate_row(request.visitor, route, served, latency_ms, surface.exploration)
        recorded = await self._recorder.record(request.visitor, route, slate)
        if recorded and surface.shadow_share:
            self._shadows.shadow_ranking(request.visitor, route, slate, slate_request)
        answer = {**head_of(route, slate, surface), "items": _items(config, request, served)}
        if not recorded:
            answer["recorded"] = False
        return orjson.dumps(answer)

    async def compare(self, config: ServingConfig, caller: Caller, data: dict[str, Any]) -> bytes:
        """Answer with the slates of control and treatment, on sides that the server draws.

        Never an exposure: who sees both sides is in no variant.

        Raises:
            ApiError: the request breaks a rule, or no experiment runs on the surface.
        """
        started = time.perf_counter()
        surface = find_surface(config, caller.key, data, KIND)
        experiment = surface.experiments[0] if surface.experiments else None
        if experiment is None:
            raise ApiError(
                409,
                "nothing_to_compare",
                f"surface '{surface.key}' has no running experiment, must have one.",
                field="surface",
            )
        request = await self._read_request(config, caller, surface, data)
        if not request.visitor.consent.analytics:
            raise ApiError(400, "no_consent", "consent.analytics == false, must be true to compare.")
        control, *treatments = experiment.variants.values()
        treatment = treatments[self._rng.integers(len(treatments))]
        sides = [control, treatment] if self._rng.random() < 0.5 else [treatment, control]
        served = [(await self._serve(request, config.version_of(variant)))[0] for variant in sides]
        pair = {
            "experiment_id": experiment.experiment_id,
            "treatment": "ab"[sides.index(treatment)],
            **{
                side: {
                    "variant_id": variant.variant_id,
                    "items": [slot.item_id for slot in slate.slots],
                }
                for side, variant, slate in zip("ab", sides, served, strict=True)
            },
        }
        nothing = ServedSlate(slots=(), fallback=None, candidate_count=0, candidate_hash="")
        route = Route(None, None, None, "PAIRWISE", forced=True)
        latency_ms = (time.perf_counter() - started) * 1000
        row = slate_row(request.visitor, route, nothing, latency_ms, surface.exploration)
        row.pair = pair
        await self._recorder.writer.commit(Rows(slates=[row]))
        answer = {
            "recommendation_id": row.recommendation_id,
            "surface": surface.key,
            **{
                side: {"items": _items(config, request, slate)}
                for side, slate in zip("ab", served, strict=True)
            },
        }
        return orjson.dumps(answer)

    async def _read_request(
        self, config: ServingConfig, caller: Caller, surface: SurfaceConfig, data: dict[str, Any]
    ) -> _RecommendRequest:
        k = fields.whole_number(data, "k", 10, min_value=1, max_value=MAX_K)
        only, exclude = fields.texts(data, "candidates"), fields.texts(data, "exclude")
        visitor = await self._recorder.read_visitor(config, caller, surface, data)
        return _RecommendRequest(visitor=visitor, k=k, only=only, exclude=exclude or [])

    async def _serve(
        self, request: _RecommendRequest, version: ServingVersion | None
    ) -> tuple[ServedSlate, SlateRequest]:
        surface = request.surface
        state = await self._read_cache(surface, version, request.visitor.unit)
        slate_request = SlateRequest(
            k=request.k,
            recent=state.recent,
            precomputed=state.precomputed,
            exclude=request.exclude,
            only=request.only,
            static_list=surface.static_list,
            max_candidates=surface.candidates,
            temperature=surface.exploration,
        )
        if version is not None and version.model is not None and version.model.remote is not None:
            return await self._serve_remote(request, version, slate_request), slate_request
        ranker = version.ranker if version is not None else None
        without = "no_champion" if version is None else "model_unavailable"
        return serve(ranker, slate_request, rng=self._rng, without=without), slate_request

    async def _serve_remote(
        self, request: _RecommendRequest, version: ServingVersion, slate_request: SlateRequest
    ) -> ServedSlate:
        """Let somebody else's model score the candidates; its own default order stands in for it."""
        ranker, model = version.ranker, version.model
        if ranker is None or model is None or model.remote is None:
            return serve(None, slate_request, rng=self._rng, without="model_unavailable")
        found = find_candidates(ranker, slate_request)
        if not len(found.items):
            return serve(ranker, slate_request, rng=self._rng, without="static_list")
        question = {
            "unit_id": request.visitor.unit,
            "recent": list(slate_request.recent),
            "candidates": [ranker.item_ids[i] for i in found.items.tolist()],
            "context": request.visitor.context,
        }
        try:
            scores = np.array(
                await self._remote.scores(version.version_id, model.remote, question, len(found.items)),
                dtype=np.float32,
            )
        except RemoteError as error:
            found = replace(found, fallback=str(error))
            scores = ranker.score(found.items, found.recent)
        return fill_slate(ranker, slate_request, found, scores, rng=self._rng)

    async def _read_cache(
        self, surface: SurfaceConfig, version: ServingVersion | None, unit: str
    ) -> UnitState:
        """Read candidates and recent items in one round trip."""
        if version is None or version.ranker is None:
            return NOTHING
        return await self._reader.read(
            candidates_key(version.version_id, unit),
            recent_key(surface.history, unit),
            MAX_RECENT,
        )


def _items(
    config: ServingConfig, request: _RecommendRequest, served: ServedSlate
) -> list[dict[str, Any]]:
    titles = config.titles.get(request.visitor.key.project_id, {})
    return [
        {
            "item_id": slot.item_id,
            "position": position,
            "score": slot.score,
            "title": titles.get(slot.item_id, ""),
        }
        for position, slot in enumerate(served.slots, start=1)
    ]
