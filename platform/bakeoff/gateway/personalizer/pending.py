"""Events whose decision is not known to the database: deferred ones, and ids that were just given.

Guarantees: a deferred decision is stored nowhere but here, with the rows that its activation commits,
and is forgotten when its time for rewards is over, so one that nobody saw counts in nothing. Two
requests with one event id get one id of a decision, which is committed once. Without the cache a
deferred decision is refused; a request sent twice within its absence may be two decisions.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict

import orjson
import redis.asyncio
import redis.exceptions
from uuid_utils import uuid7

from bakeoff.gateway.http.errors import ApiError
from experiments.ingest.rows import ExposureRow, Rows, SlateRow

_FAULTS = (redis.exceptions.RedisError, OSError)
# Of an id that was given: by then its decision is committed, or drained from the spill.
ID_SECONDS = 600


class PendingEvents:
    """One in a process; the cache is shared by all."""

    def __init__(self, cache: redis.asyncio.Redis) -> None:
        """Remember the cache."""
        self._cache = cache

    async def decision_id(self, project_id: int, event_id: str) -> str:
        """Return the id of an event's decision: the same for the same event."""
        own, name = str(uuid7()), _name("id", project_id, event_id)
        try:
            before = await self._cache.set(name, own, nx=True, get=True, ex=ID_SECONDS)
        except _FAULTS:
            return own
        return before.decode() if isinstance(before, bytes) else own

    async def keep(self, project_id: int, event_id: str, rows: Rows, seconds: float) -> None:
        """Hold rows until they are activated.

        Raises:
            ApiError: 503, they cannot be held.
        """
        (slate,) = rows.slates
        body = {"slate": asdict(slate), "exposures": [asdict(one) for one in rows.exposures]}
        name = _name("rows", project_id, event_id)
        try:
            await self._cache.set(name, orjson.dumps(body), ex=max(int(seconds), 1))
        except _FAULTS:
            raise _away() from None

    async def find(self, project_id: int, event_id: str) -> Rows | None:
        """Return the rows of a deferred event, or None.

        Raises:
            ApiError: 503, nobody can say.
        """
        try:
            raw = await self._cache.get(_name("rows", project_id, event_id))
        except _FAULTS:
            raise _away() from None
        if raw is None:
            return None
        body = orjson.loads(raw)
        return Rows(
            slates=[SlateRow(**body["slate"])],
            exposures=[ExposureRow(**one) for one in body["exposures"]],
        )

    async def forget(self, project_id: int, event_id: str) -> None:
        """Forget an event that is committed; one that stays here is still committed once only."""
        try:
            await self._cache.delete(_name("rows", project_id, event_id))
        except _FAULTS:
            return


def _name(what: str, project_id: int, event_id: str) -> str:
    # A hash: an id may be long, and say something of a user.
    digest = hashlib.sha256(event_id.encode()).hexdigest()[:32]
    return f"personalizer:{what}:{project_id}:{digest}"


def _away() -> ApiError:
    message = "A deferred event cannot be held or looked up now. Send the request again."
    return ApiError(503, "cannot_hold", message, retry_after=5)
