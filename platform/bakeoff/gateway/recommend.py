"""`POST /v1/recommend`: assign, rank, commit, answer."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from uuid_utils import uuid7

from bakeoff.gateway import fields
from bakeoff.gateway.access import require_secret
from bakeoff.gateway.errors import ApiError, invalid, not_found
from bakeoff.gateway.reader import NOTHING, GroupRead, UnitState
from experiments.assignment import assign
from experiments.ingest.rows import ExposureRow, Rows, SlateRow
from inference.serving.keys import RECENT_KEPT, candidates_key, recent_key
from inference.serving.ladder import Ask, Served, serve

if TYPE_CHECKING:
    from bakeoff.gateway.live import Live, LiveExperiment, LiveKey, LiveSurface, LiveVersion
    from bakeoff.gateway.writer import GroupCommit

MOST_K = 100
MOST_CONTEXT_BYTES = 8192
EXPOSURES_REMEMBERED = 200_000


@dataclass(frozen=True, slots=True)
class _Route:
    """Which version answers a unit, and why."""

    version: LiveVersion | None
    experiment: LiveExperiment | None
    variant: str | None
    reason: str
    forced: bool = False


class Recommender:
    """The handler; one in a process."""

    def __init__(self, writer: GroupCommit, reader: GroupRead) -> None:
        """Remember where to write and read."""
        self._writer, self._reader = writer, reader
        self._rng = np.random.default_rng()
        self._exposed: OrderedDict[tuple[int, str, str], None] = OrderedDict()

    async def answer(self, live: Live, key: LiveKey, data: dict[str, Any]) -> bytes:
        """Answer one request.

        Raises:
            ApiError: the request breaks a rule.
        """
        started = time.perf_counter()
        surface = find_surface(live, key, data)
        unit = fields.unit(data)
        k = fields.whole_number(data, "k", 10, least=1, most=MOST_K)
        context = fields.mapping(data, "context")
        if len(orjson.dumps(context)) > MOST_CONTEXT_BYTES:
            raise invalid("context", "…", f"at most {MOST_CONTEXT_BYTES} bytes of JSON")
        only, exclude = fields.texts(data, "candidates"), fields.texts(data, "exclude")
        route = self._route(surface, unit, key, fields.mapping(data, "overrides"))
        state = await self._read_cache(surface, route.version, unit)
        ask = Ask(
            k=k,
            recent=state.recent,
            precomputed=state.precomputed,
            exclude=exclude or (),
            only=only,
            static_list=surface.static_list,
            most_candidates=surface.candidates,
            temperature=surface.exploration,
        )
        served = serve(
            route.version.ranker if route.version is not None else None,
            ask,
            rng=self._rng,
            without="no_champion" if route.version is None else "model_unavailable",
        )
        latency_ms = (time.perf_counter() - started) * 1000
        slate = _slate_row(key, surface, unit, route, served, context, latency_ms)
        recorded = await self._record(key, unit, route, slate)
        return _body(live, key, surface, route, served, slate, recorded=recorded)

    def _route(
        self, surface: LiveSurface, unit: str, key: LiveKey, overrides: dict[str, Any]
    ) -> _Route:
        experiment = surface.experiment
        if overrides:
            require_secret(key, "overrides")
        if experiment is None:
            return _Route(surface.champion, None, None, "DEFAULT")
        if (forced := overrides.get(experiment.key)) is not None:
            if forced not in experiment.variants:
                raise invalid("overrides", forced, f"one of {sorted(experiment.variants)}")
            version = experiment.variants[forced].version
            return _Route(version, experiment, forced, "STATIC", forced=True)
        assigned = assign(experiment.rule, unit)
        if assigned.variant is None:
            return _Route(surface.champion, None, None, assigned.reason)
        version = experiment.variants[assigned.variant].version
        return _Route(version, experiment, assigned.variant, assigned.reason)

    async def _read_cache(
        self, surface: LiveSurface, version: LiveVersion | None, unit: str
    ) -> UnitState:
        """Read candidates and recent items in one round trip."""
        if version is None or version.ranker is None:
            return NOTHING
        return await self._reader.read(
            candidates_key(version.version_id, unit),
            recent_key(surface.surface_id, unit),
            RECENT_KEPT,
        )

    async def _record(self, key: LiveKey, unit: str, route: _Route, slate: SlateRow) -> bool:
        """Commit the slate, and the exposure if it is the first; return whether it was kept."""
        rows = Rows(slates=[slate])
        met: tuple[int, str, str] | None = None
        if route.experiment is not None and route.variant is not None and not route.forced:
            met = (route.experiment.experiment_id, unit, route.variant)
            if met not in self._exposed:
                rows.exposures.append(
                    ExposureRow(
                        project_id=key.project_id,
                        experiment_id=route.experiment.experiment_id,
                        variant_id=route.experiment.variants[route.variant].variant_id,
                        epoch=route.experiment.epoch,
                        unit_id=unit,
                        unit_type="unit",
                        exposed_at=slate.served_at,
                    )
                )
        try:
            await self._writer.commit(rows)
        except ApiError as error:
            if error.status == 503:  # the visitor gets an answer even if nothing can be kept
                return False
            raise
        if met is not None:
            self._exposed[met] = None
            if len(self._exposed) > EXPOSURES_REMEMBERED:
                self._exposed.popitem(last=False)
        return True


def find_surface(live: Live, key: LiveKey, data: dict[str, Any]) -> LiveSurface:
    """Return the surface that a request names.

    Raises:
        ApiError: 400 without a name, 404 when the key's project has no such surface.
    """
    name = fields.text(data, "surface", most=64)
    surfaces = live.surfaces.get(key.project_id, {})
    surface = surfaces.get(name)
    if surface is None:
        raise not_found("surface", name, key.project, surfaces)
    return surface


def _slate_row(
    key: LiveKey,
    surface: LiveSurface,
    unit: str,
    route: _Route,
    served: Served,
    context: dict[str, Any],
    latency_ms: float,
) -> SlateRow:
    experiment = route.experiment
    variant = experiment.variants[route.variant] if experiment and route.variant else None
    return SlateRow(
        recommendation_id=str(uuid7()),
        project_id=key.project_id,
        surface_id=surface.surface_id,
        unit_id=unit,
        experiment_id=experiment.experiment_id if experiment else None,
        variant_id=variant.variant_id if variant else None,
        model_version_id=route.version.version_id if route.version else None,
        reason=route.reason,
        fallback=served.fallback,
        forced=route.forced,
        variant_weight=variant.weight if variant else None,
        slots=[
            (slot.item_id, slot.score, slot.rank, slot.propensity, slot.explored)
            for slot in served.slots
        ],
        candidate_count=served.candidate_count,
        candidate_hash=served.candidate_hash,
        exploration=surface.exploration,
        latency_ms=latency_ms,
        context=context,
        served_at=datetime.now(UTC).isoformat(),
    )


def _body(
    live: Live,
    key: LiveKey,
    surface: LiveSurface,
    route: _Route,
    served: Served,
    slate: SlateRow,
    *,
    recorded: bool,
) -> bytes:
    titles = live.titles.get(key.project_id, {})
    answer: dict[str, Any] = {
        "recommendation_id": slate.recommendation_id,
        "surface": surface.key,
        "items": [
            {
                "item_id": slot.item_id,
                "position": position,
                "score": slot.score,
                "title": titles.get(slot.item_id, ""),
            }
            for position, slot in enumerate(served.slots, start=1)
        ],
        "experiment": route.experiment.key if route.experiment else None,
        "variant": route.variant,
        "model": route.version.label if route.version else None,
        "reason": route.reason,
        "fallback": served.fallback,
    }
    if not recorded:
        answer["recorded"] = False
    return orjson.dumps(answer)
