"""`POST /v1/reward`: how good the action of a decision was: one whole reward, or parts that add up.

A reward is stored as an event `reward` of the decision's unit, by an id that follows from the
decision's and the part's name: whoever sends it again, changes nothing. It is taken within the
surface's `wait_seconds`, after which a decision counts with what it has, so that no estimate changes
behind its reader. The first whole reward counts; parts count together, each name once (decision 0063).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import orjson

from bakeoff.accounts.keys import SECRET
from bakeoff.gateway.database import Connector, Lookup
from bakeoff.gateway.http.caller import FULL_CONSENT
from bakeoff.gateway.http.errors import ApiError, invalid
from bakeoff.gateway.metrics import count_events
from experiments.ingest.rows import EventRow, Rows

if TYPE_CHECKING:
    import psycopg

    from bakeoff.gateway.config.serving_config import ServingConfig, SurfaceConfig
    from bakeoff.gateway.http.caller import Consent
    from bakeoff.gateway.http.door import Call
    from bakeoff.gateway.intake.group_commit import CommitResult, GroupCommit
    from bakeoff.gateway.intake.requests import RewardRequest

REWARD = "reward"  # name and source of the event; no other route writes this source
_DECISION = """SELECT s.recommendation_id::text, s.surface_id, s.unit_id, s.served_at, s.trainable,
    ARRAY(
        SELECT known.event_id FROM experiments_eventid AS known
        WHERE known.project_id = s.project_id AND known.event_id IN (
            'reward:' || s.recommendation_id::text,
            'reward:' || s.recommendation_id::text || ':' || %(part)s)),
    (SELECT sum(one.value) FROM experiments_event AS one
        WHERE one.project_id = s.project_id AND one.unit_id = s.unit_id
            AND one.occurred_at >= s.served_at AND one.source = 'reward'
            AND one.recommendation_id = s.recommendation_id AND one.properties ? 'part')
    FROM experiments_slate AS s
    WHERE s.project_id = %(project)s AND s.context ? '$rank' AND """
_BY_ID = f"{_DECISION} s.recommendation_id = %(decision)s"
# Of a unit that is one event; were it in two decisions, the first is the one that counts.
_BY_UNIT = f"{_DECISION} s.unit_id = %(decision)s ORDER BY s.recommendation_id LIMIT 1"


class _Decision(NamedTuple):
    """What is stored of a decision that a reward is for."""

    recommendation_id: str
    surface_id: int
    unit_id: str
    served_at: datetime
    trainable: bool
    known_ids: list[str]
    sum_of_parts: float | None

    def event_id(self, part: str | None) -> str:
        """The id by which its reward, or a part of it, is stored once."""
        whole = f"{REWARD}:{self.recommendation_id}"
        return whole if part is None else f"{whole}:{part}"


class RewardHandler:
    """Takes rewards; one in a process."""

    def __init__(self, writer: GroupCommit, connector: Connector) -> None:
        """Remember where to write, and where decisions are looked up."""
        self._writer = writer
        self._lookup = Lookup(connector, "decisions", writes=False)

    async def stop(self) -> None:
        """Close the connection."""
        await self._lookup.stop()

    async def answer(self, call: Call, request: RewardRequest) -> bytes:
        """Store the reward of a decision, or a part of it.

        Raises:
            ApiError: 404, no such decision; 400, the value, or the sum of its parts, is out of the
                surface's range; 409, it comes too late, or the decision has a reward of the other kind;
                503, the decision cannot be looked up now, or nothing can be stored.
        """
        if not call.caller.limit(request.consent).analytics:
            return _body(accepted=0, duplicates=0, durability="committed")
        key = call.caller.key
        part = request.part
        decision = await self._find(_BY_ID, key.project_id, request.recommendation_id, part)
        if decision is None:
            raise ApiError(
                404,
                "unknown_recommendation",
                f"recommendation_id == {request.recommendation_id}, no decision of /v1/rank in project "
                f"'{key.project}'.",
                field="recommendation_id",
            )
        return await self._take(call, decision, request.value, request.consent, part)

    async def take_of_unit(self, call: Call, unit: str, value: float) -> bool:
        """Store the reward of the decision of a unit that is one event; return whether there is one.

        Raises:
            ApiError: as of `answer`, but for a decision that does not exist.
        """
        decision = await self._find(_BY_UNIT, call.caller.key.project_id, unit)
        if decision is None:
            return False
        await self._take(call, decision, value, FULL_CONSENT)
        return True

    async def _take(
        self,
        call: Call,
        decision: _Decision,
        value: float,
        consent: Consent,
        part: str | None = None,
    ) -> bytes:
        key, now = call.caller.key, datetime.now(UTC)
        # A public key names units as often as their rate allows, whichever way.
        call.caller.spend_on([(None, decision.unit_id)])
        surface = _surface_of(call.config, key.project_id, decision.surface_id)
        if part is None:
            _check_value(value, surface)
        if decision.event_id(part) in decision.known_ids:
            return _body(accepted=0, duplicates=1, durability="committed")
        _check_time(decision.served_at, now, surface)
        _check_kind(decision, part)
        if part is not None:
            _check_sum(value, decision.sum_of_parts or 0.0, surface)
        row = EventRow(
            project_id=key.project_id,
            event_id=decision.event_id(part),
            name=REWARD,
            unit_id=decision.unit_id,
            item_id=None,
            recommendation_id=decision.recommendation_id,
            value=value,
            occurred_at=now.isoformat(),
            received_at=now.isoformat(),
            properties={} if part is None else {"part": part},
            source=REWARD,
            trainable=decision.trainable and call.caller.limit(consent).training,
            trusted=key.kind == SECRET,
        )
        result = await self._writer.commit(Rows(events=[row]))
        count_events(key.project, 1)
        return _counted(row, result)

    async def _find(
        self, statement: str, project_id: int, decision: str, part: str | None = None
    ) -> _Decision | None:
        parameters = {"project": project_id, "decision": decision, "part": part or ""}

        async def ask(connection: psycopg.AsyncConnection) -> list[_Decision]:
            cursor = await connection.execute(statement, parameters)
            return [_Decision(*row) for row in await cursor.fetchall()]

        rows = await self._lookup.ask(ask)
        # While PostgreSQL was away decisions were spilled: such a one is there soon, and no mistake.
        if rows is None or (not rows and await self._writer.holds_spilled()):
            message = "The decision cannot be looked up now. Send the reward again."
            raise ApiError(503, "cannot_look_up", message, retry_after=5)
        return rows[0] if rows else None


def _surface_of(config: ServingConfig, project_id: int, surface_id: int) -> SurfaceConfig:
    """Return a decision's surface.

    Raises:
        ApiError: 404, it is archived or deleted.
    """
    for surface in config.surfaces.get(project_id, {}).values():
        if surface.surface_id == surface_id:
            return surface
    raise ApiError(404, "unknown_surface", "The surface of this decision is archived or deleted.")


def _check_value(value: float, surface: SurfaceConfig) -> None:
    settings = surface.rank
    if not settings.min_reward <= value <= settings.max_reward:
        rule = f"a number in [{settings.min_reward:g}, {settings.max_reward:g}] on '{surface.key}'"
        raise invalid("value", value, rule)


def _check_sum(value: float, before: float, surface: SurfaceConfig) -> None:
    settings = surface.rank
    # Tenths add up to a whole with an error of the last digit; what is read is cut to the range anyway.
    rounding = 1e-9 * (settings.max_reward - settings.min_reward)
    if not settings.min_reward - rounding <= before + value <= settings.max_reward + rounding:
        rule = (
            f"a number that with the parts before it ({before:g}) lies in [{settings.min_reward:g}, "
            f"{settings.max_reward:g}] on '{surface.key}'"
        )
        raise invalid("value", value, rule)


def _check_kind(decision: _Decision, part: str | None) -> None:
    if part is None and decision.sum_of_parts is not None:
        raise ApiError(
            409,
            "reward_is_in_parts",
            f"recommendation_id == {decision.recommendation_id}, has parts of a reward: name a part.",
            field="part",
        )
    if part is not None and decision.event_id(None) in decision.known_ids:
        raise ApiError(
            409,
            "reward_is_whole",
            f"recommendation_id == {decision.recommendation_id}, has a whole reward, and no part adds.",
            field="part",
        )


def _check_time(served_at: datetime, now: datetime, surface: SurfaceConfig) -> None:
    wait = timedelta(seconds=surface.rank.wait_seconds)
    if now - served_at > wait:
        late = (now - served_at).total_seconds()
        raise ApiError(
            409,
            "too_late",
            f"the reward came {late:.0f} s after the decision, must come within "
            f"{wait.total_seconds():g} s (wait_seconds of '{surface.key}').",
            field="recommendation_id",
        )


def _counted(row: EventRow, result: CommitResult) -> bytes:
    accepted = 1
    if result.committed is not None and result.committed.events is not None:
        accepted = int((row.project_id, row.event_id) in result.committed.events)
    return _body(accepted=accepted, duplicates=1 - accepted, durability=result.durability)


def _body(*, accepted: int, duplicates: int, durability: str) -> bytes:
    return orjson.dumps({"accepted": accepted, "duplicates": duplicates, "durability": durability})
