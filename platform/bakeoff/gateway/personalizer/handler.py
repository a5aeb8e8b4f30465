"""Rank, reward and activate as clients of Azure Personalizer call them, on a surface of kind `rank`.

The service had one learning loop per address. Here it is a surface: the key's project has one of the
kind `rank`, or one of them has the key `personalizer`.

Guarantees: an event is one decision, however often its rank call is sent; the first reward of it
counts; a deferred event counts in nothing before it is activated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from uuid_utils import uuid7

from bakeoff.gateway.database import Connector, Lookup
from bakeoff.gateway.http.caller import FULL_CONSENT
from bakeoff.gateway.http.errors import ApiError, invalid
from bakeoff.gateway.http.routes import Answer
from bakeoff.gateway.personalizer.ranking import ChosenAction, ranking_body
from bakeoff.gateway.personalizer.requests import (
    EventRankRequest,
    read_event_id,
    seed_of,
    some_actions,
    unit_of,
)
from bakeoff.gateway.slates.rank import RANK, RankAnswer

if TYPE_CHECKING:
    import psycopg

    from bakeoff.gateway.config.serving_config import SurfaceConfig
    from bakeoff.gateway.http.door import Call
    from bakeoff.gateway.intake.reward import RewardHandler
    from bakeoff.gateway.personalizer.pending import PendingEvents
    from bakeoff.gateway.personalizer.requests import PersonalizerRank, PersonalizerReward
    from bakeoff.gateway.slates.answer import AnswerHandler
    from bakeoff.gateway.slates.rank_request import RankRequest
    from bakeoff.gateway.slates.recorder import Recorder

SURFACE = "personalizer"  # of several surfaces, the one that is meant
_DECISION = """SELECT slots -> 0 ->> 0, (slots -> 0 ->> 3)::float8 FROM experiments_slate
    WHERE project_id = %s AND unit_id = %s AND context ? '$rank' ORDER BY recommendation_id LIMIT 1"""


class PersonalizerHandler:
    """The handlers; one in a process."""

    def __init__(
        self,
        ranking: AnswerHandler[RankRequest],
        recorder: Recorder,
        rewards: RewardHandler,
        pending: PendingEvents,
        connector: Connector,
    ) -> None:
        """Remember who does what.

        Args:
            ranking: decides.
            recorder: commits decisions.
            rewards: takes rewards.
            pending: holds deferred events.
            connector: where decisions are looked up.
        """
        self._ranking, self._recorder, self._rewards = ranking, recorder, rewards
        self._pending = pending
        self._lookup = Lookup(connector, "events", writes=False)

    async def stop(self) -> None:
        """Close the connection."""
        await self._lookup.stop()

    async def rank(self, call: Call, request: PersonalizerRank) -> bytes:
        """Choose an action.

        Raises:
            ApiError: 400, the request breaks a rule, or the project has no such surface; 503, a
                deferred event cannot be held.
        """
        project_id, places = call.caller.key.project_id, request.allowed()
        surface, event_id = _surface_of(call), request.eventId
        before, seed = None, None
        if event_id is None:
            event_id = decision_id = str(uuid7())
        else:
            before = await self._find(project_id, event_id)
            if before is None and request.deferActivation:
                before = await self._held(project_id, event_id)
            decision_id = await self._pending.decision_id(project_id, event_id)
            seed = seed_of(project_id, event_id)
        own = EventRankRequest(
            surface=surface.key,
            overrides={},
            force=None,
            ids=(None, unit_of(event_id)),
            context={},
            consent=FULL_CONSENT,
            expose=True,
            actions=some_actions(request.actions, places),
            default=None,
            seed=seed,
        )
        decided = await self._ranking.decide(call, own, recommendation_id=decision_id)
        answer = decided.answer
        assert isinstance(answer, RankAnswer)  # noqa: S101  the kind of the surface
        (slot,) = answer.slate.slots
        chosen = before or ChosenAction(slot.item_id, slot.propensity)
        if chosen.action not in own.actions.ids:
            rule = f"used once: its decision was for '{chosen.action}', which is not among the actions"
            raise invalid("eventId", event_id, rule)
        if before is None and request.deferActivation:
            rows = self._recorder.rows_of(decided.visitor, decided.chosen, decided.row)
            if decided.visitor.consent.analytics:
                await self._pending.keep(project_id, event_id, rows, surface.rank.wait_seconds)
        elif before is None:
            await self._recorder.record(decided.visitor, decided.chosen, decided.row)
        chances = answer.chances()
        return orjson.dumps(ranking_body(event_id, request.actions.ids, places, chances, chosen))

    async def reward(self, call: Call, request: PersonalizerReward) -> Answer:
        """Store the reward of an event.

        Raises:
            ApiError: 404, no such event; 400, the value is out of the surface's range; 409, too late,
                or not activated; 503, it cannot be looked up or stored now.
        """
        event_id = _event_of(call)
        if not await self._rewards.take_of_unit(call, unit_of(event_id), request.value):
            if await self._pending.find(call.caller.key.project_id, event_id) is not None:
                message = f"event '{event_id}' is deferred, must be activated before its reward."
                raise ApiError(409, "not_activated", message)
            raise _unknown(event_id)
        return _DONE

    async def activate(self, call: Call) -> Answer:
        """Let a deferred event count; one that counts already stays as it is.

        Raises:
            ApiError: 404, no such event, or its time for rewards is over; 503, it cannot be looked up
                or stored now.
        """
        project_id, event_id = call.caller.key.project_id, _event_of(call)
        rows = await self._pending.find(project_id, event_id)
        if rows is not None:
            await self._recorder.commit(rows)
            await self._pending.forget(project_id, event_id)
        elif await self._find(project_id, event_id) is None:
            raise _unknown(event_id)
        return _DONE

    async def _held(self, project_id: int, event_id: str) -> ChosenAction | None:
        """Return the decision of an event that is deferred, or None."""
        rows = await self._pending.find(project_id, event_id)
        if rows is None:
            return None
        action, _, _, propensity, *_ = rows.slates[0].slots[0]
        return ChosenAction(action, propensity)

    async def _find(self, project_id: int, event_id: str) -> ChosenAction | None:
        """Return the decision of an event, or None; also while PostgreSQL is away."""

        async def ask(connection: psycopg.AsyncConnection) -> list[Any]:
            cursor = await connection.execute(_DECISION, (project_id, unit_of(event_id)))
            return await cursor.fetchall()

        rows = await self._lookup.ask(ask)
        return ChosenAction(*rows[0]) if rows else None


_DONE = Answer(204, b"", [])


def _event_of(call: Call) -> str:
    """Return the event that the path names.

    Raises:
        ApiError, BoundsError: it cannot be one.
    """
    event_id = read_event_id(call.request.path.split("/")[-2], "eventId")
    if event_id is None:
        raise invalid("eventId", event_id, "a text")
    return event_id


def _unknown(event_id: str) -> ApiError:
    message = f"eventId == '{event_id}', no event of this project that was ranked and counts."
    return ApiError(404, "unknown_event", message)


def _surface_of(call: Call) -> SurfaceConfig:
    """Return the surface that stands for the service's loop.

    Raises:
        ApiError: 400, there is none, or which of several is open.
    """
    key = call.caller.key
    surfaces = call.config.surfaces.get(key.project_id, {}).values()
    ranking = sorted((one for one in surfaces if one.kind == RANK), key=lambda one: one.key)
    named = [one for one in ranking if one.key == SURFACE] or ranking
    if len(named) == 1:
        return named[0]
    names = ", ".join(f"'{one.key}'" for one in ranking[:5])
    which = f"has {len(ranking)} of them ({names})" if ranking else "has none"
    message = (
        f"project '{key.project}' {which}, must have one surface of kind '{RANK}', or one with the key "
        f"'{SURFACE}'."
    )
    raise ApiError(400, "no_surface", message)
