"""`POST /v1/recommend` and `/v1/compare`: find the unit, assign, rank, commit, answer."""

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
from bakeoff.gateway.caller import Consent
from bakeoff.gateway.errors import ApiError, invalid, not_found
from bakeoff.gateway.reader import NOTHING, GroupRead, UnitState
from experiments.assignment import assign
from experiments.ingest.rows import ExposureRow, Rows, SlateRow
from inference.serving.keys import RECENT_KEPT, candidates_key, recent_key
from inference.serving.ladder import Ask, Served, serve

if TYPE_CHECKING:
    from bakeoff.gateway.caller import Caller
    from bakeoff.gateway.identity import IdentityBook
    from bakeoff.gateway.intake import Intake
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


@dataclass(frozen=True, slots=True)
class _Question:
    """What a request asks, checked.

    Attributes:
        bot: whether the visitor is a crawler.
        consent: whether the answer may be kept, and models may learn from it.
    """

    key: LiveKey
    surface: LiveSurface
    unit: str
    k: int
    context: dict[str, Any]
    only: list[str] | None
    exclude: list[str]
    bot: bool
    consent: Consent


class Recommender:
    """The handlers; one in a process."""

    def __init__(
        self, writer: GroupCommit, reader: GroupRead, identity: IdentityBook, intake: Intake
    ) -> None:
        """Remember where to write and read."""
        self._writer, self._reader = writer, reader
        self._identity, self._intake = identity, intake
        self._rng = np.random.default_rng()
        self._exposed: OrderedDict[tuple[int, str, str], None] = OrderedDict()

    async def answer(self, live: Live, caller: Caller, data: dict[str, Any]) -> bytes:
        """Answer one request.

        Raises:
            ApiError: the request breaks a rule.
        """
        started = time.perf_counter()
        forced = _read_override(find_surface(live, caller.key, data), caller.key, data)
        asked = await self._read_question(live, caller, data)
        route = _route(asked, forced)
        served = await self._serve(asked, route.version)
        latency_ms = (time.perf_counter() - started) * 1000
        slate = _slate_row(asked, route, served, latency_ms)
        recorded = asked.consent.analytics and await self._record(asked, route, slate)
        return _body(live, asked, route, served, slate, recorded=recorded)

    async def compare(self, live: Live, caller: Caller, data: dict[str, Any]) -> bytes:
        """Answer with the slates of control and treatment, on sides that the server draws.

        Never an exposure: who sees both sides is in no variant.

        Raises:
            ApiError: the request breaks a rule, or no experiment runs on the surface.
        """
        started = time.perf_counter()
        surface = find_surface(live, caller.key, data)
        experiment = surface.experiment
        if experiment is None:
            raise ApiError(
                409,
                "nothing_to_compare",
                f"surface '{surface.key}' has no running experiment, must have one.",
                field="surface",
            )
        asked = await self._read_question(live, caller, data)
        if not asked.consent.analytics:
            raise ApiError(400, "no_consent", "consent.analytics == false, must be true to compare.")
        control, *treatments = experiment.variants.values()
        treatment = treatments[self._rng.integers(len(treatments))]
        sides = [control, treatment] if self._rng.random() < 0.5 else [treatment, control]
        served = [await self._serve(asked, variant.version) for variant in sides]
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
        nothing = Served(slots=(), fallback=None, candidate_count=0, candidate_hash="")
        route = _Route(None, None, None, "PAIRWISE", forced=True)
        latency_ms = (time.perf_counter() - started) * 1000
        row = _slate_row(asked, route, nothing, latency_ms)
        row.pair = pair
        await self._writer.commit(Rows(slates=[row]))
        answer = {
            "recommendation_id": row.recommendation_id,
            "surface": asked.surface.key,
            **{
                side: {"items": _items(live, asked, slate)}
                for side, slate in zip("ab", served, strict=True)
            },
        }
        return orjson.dumps(answer)

    async def _read_question(self, live: Live, caller: Caller, data: dict[str, Any]) -> _Question:
        surface = find_surface(live, caller.key, data)
        ids = fields.ids(data)
        k = fields.whole_number(data, "k", 10, least=1, most=MOST_K)
        context = fields.mapping(data, "context")
        if len(orjson.dumps(context)) > MOST_CONTEXT_BYTES:
            raise invalid("context", "…", f"at most {MOST_CONTEXT_BYTES} bytes of JSON")
        only, exclude = fields.texts(data, "candidates"), fields.texts(data, "exclude")
        consent = Consent.of(data, caller)
        (unit,) = await self._identity.units(
            live, caller.key.project_id, [ids], may_link=consent.analytics
        )
        return _Question(
            key=caller.key,
            surface=surface,
            unit=unit,
            k=k,
            context=context,
            only=only,
            exclude=exclude or [],
            bot=caller.is_bot(context.get("user_agent")),
            consent=consent,
        )

    async def _serve(self, asked: _Question, version: LiveVersion | None) -> Served:
        surface = asked.surface
        state = await self._read_cache(surface, version, asked.unit)
        ask = Ask(
            k=asked.k,
            recent=state.recent,
            precomputed=state.precomputed,
            exclude=asked.exclude,
            only=asked.only,
            static_list=surface.static_list,
            most_candidates=surface.candidates,
            temperature=surface.exploration,
        )
        return serve(
            version.ranker if version is not None else None,
            ask,
            rng=self._rng,
            without="no_champion" if version is None else "model_unavailable",
        )

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

    async def _record(self, asked: _Question, route: _Route, slate: SlateRow) -> bool:
        """Commit the slate, and the exposure if it is the first; return whether it was kept."""
        rows = Rows(slates=[slate])
        met: tuple[int, str, str] | None = None
        if route.experiment is not None and route.variant is not None and not route.forced:
            met = (route.experiment.experiment_id, asked.unit, route.variant)
            if met not in self._exposed:
                rows.exposures.append(_exposure_row(asked, route.experiment, route.variant, slate))
        if asked.bot:
            rows.exclusions = self._intake.exclusions(asked.key, [asked.unit])
        try:
            await self._writer.commit(rows)
        except ApiError as error:
            if error.status == 503:  # the visitor gets an answer even if nothing can be kept
                return False
            raise
        self._intake.remember(rows.exclusions)
        if met is not None:
            self._exposed[met] = None
            if len(self._exposed) > EXPOSURES_REMEMBERED:
                self._exposed.popitem(last=False)
        return True


def _read_override(surface: LiveSurface, key: LiveKey, data: dict[str, Any]) -> str | None:
    """Return the variant that a request forces.

    Raises:
        ApiError: 403 with a public key, 400 for a variant that is none.
    """
    overrides = fields.mapping(data, "overrides")
    if overrides:
        require_secret(key, "overrides")
    experiment = surface.experiment
    forced = overrides.get(experiment.key) if experiment is not None else None
    if experiment is None or forced is None:
        return None
    if not isinstance(forced, str) or forced not in experiment.variants:
        raise invalid("overrides", forced, f"one of {sorted(experiment.variants)}")
    return forced


def _route(asked: _Question, forced: str | None) -> _Route:
    experiment = asked.surface.experiment
    if experiment is None:
        return _Route(asked.surface.champion, None, None, "DEFAULT")
    if forced is not None:
        version = experiment.variants[forced].version
        return _Route(version, experiment, forced, "STATIC", forced=True)
    assigned = assign(experiment.rule, asked.unit)
    if assigned.variant is None:
        return _Route(asked.surface.champion, None, None, assigned.reason)
    version = experiment.variants[assigned.variant].version
    return _Route(version, experiment, assigned.variant, assigned.reason)


def _exposure_row(
    asked: _Question, experiment: LiveExperiment, variant: str, slate: SlateRow
) -> ExposureRow:
    return ExposureRow(
        project_id=asked.key.project_id,
        experiment_id=experiment.experiment_id,
        variant_id=experiment.variants[variant].variant_id,
        epoch=experiment.epoch,
        unit_id=asked.unit,
        unit_type="unit",
        exposed_at=slate.served_at,
    )


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


def _slate_row(asked: _Question, route: _Route, served: Served, latency_ms: float) -> SlateRow:
    experiment = route.experiment
    variant = experiment.variants[route.variant] if experiment and route.variant else None
    return SlateRow(
        recommendation_id=str(uuid7()),
        project_id=asked.key.project_id,
        surface_id=asked.surface.surface_id,
        unit_id=asked.unit,
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
        exploration=asked.surface.exploration,
        latency_ms=latency_ms,
        context=asked.context,
        served_at=datetime.now(UTC).isoformat(),
        trainable=asked.consent.training,
    )


def _items(live: Live, asked: _Question, served: Served) -> list[dict[str, Any]]:
    titles = live.titles.get(asked.key.project_id, {})
    return [
        {
            "item_id": slot.item_id,
            "position": position,
            "score": slot.score,
            "title": titles.get(slot.item_id, ""),
        }
        for position, slot in enumerate(served.slots, start=1)
    ]


def _body(
    live: Live,
    asked: _Question,
    route: _Route,
    served: Served,
    slate: SlateRow,
    *,
    recorded: bool,
) -> bytes:
    answer: dict[str, Any] = {
        "recommendation_id": slate.recommendation_id,
        "surface": asked.surface.key,
        "items": _items(live, asked, served),
        "experiment": route.experiment.key if route.experiment else None,
        "variant": route.variant,
        "model": route.version.label if route.version else None,
        "reason": route.reason,
        "fallback": served.fallback,
    }
    if not recorded:
        answer["recorded"] = False
    return orjson.dumps(answer)
