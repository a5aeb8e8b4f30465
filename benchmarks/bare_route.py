"""The yardstick of a web process: the reads and commits of our routes, and nothing else.

The same server, the same grouped read of what the cache holds of a unit, the same grouped commit of rows
of the same size, answers of the same size. No key, no parsing, no assignment, no ranking, no draw. What
a web process of ours does beside this is its own cost.
"""

from __future__ import annotations

import itertools
import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from uuid_utils import uuid7

from bakeoff.environment import read_environment
from bakeoff.gateway.cache import HOT_SECONDS, STORE_SECONDS, BoundedRedis
from bakeoff.gateway.database import Connector
from bakeoff.gateway.intake.group_commit import GroupCommit
from bakeoff.gateway.slates.cache_reader import GroupRead, UnitKeys
from benchmarks.stage import UNITS
from experiments.ingest.rows import EventRow, Rows, SlateRow
from inference.serving.keys import actions_key, candidates_key, recent_key
from inference.supervision import Supervisor

if TYPE_CHECKING:
    from bakeoff.asgi_types import Receive, Scope, Send

VARIABLE = "BENCH_BARE_ROUTE"  # a file: what `describe` returns


def describe(slate: SlateRow, event: EventRow, history: str, answers: dict[str, int]) -> dict:
    """Return what the route needs to know.

    Args:
        slate: as ours stores one.
        event: likewise.
        history: of the surface, as its keys in the cache name it.
        answers: bytes of our answers, by path.
    """
    fields = {name: getattr(slate, name) for name in SlateRow.__slots__}
    return {
        "slate": fields,
        "event": {name: getattr(event, name) for name in EventRow.__slots__},
        "history": history,
        "answers": answers,
    }


class BareRoute:
    """One process of it."""

    def __init__(self) -> None:
        environment = read_environment()
        about = json.loads(Path(os.environ[VARIABLE]).read_text())
        self._slate, self._event = SlateRow(**about["slate"]), EventRow(**about["event"])
        self._history = about["history"]
        self._bodies = {path: b"x" * size for path, size in about["answers"].items()}
        self._supervisor = Supervisor()
        self._cache = BoundedRedis.of(environment.redis_url, HOT_SECONDS)
        store = BoundedRedis.of(environment.redis_url, STORE_SECONDS)
        self._reader = GroupRead(self._cache)
        self._writer = GroupCommit(Connector(environment.database_url), store, self._supervisor)
        self._numbers = itertools.count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        while (await receive()).get("more_body"):
            pass
        path = scope["path"]
        if path == "/v1/recommend":
            await self._recommend()
        elif path == "/v1/events":
            await self._take_event()
        body = self._bodies.get(path, b"")
        head = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    async def _recommend(self) -> None:
        unit, slate = f"user-{next(self._numbers) % UNITS}", self._slate
        await self._reader.read(
            UnitKeys(
                actions_key(slate.project_id, unit),
                candidates_key(slate.model_version_id or 0, unit),
                recent_key(self._history, unit),
            )
        )
        row = replace(
            slate,
            recommendation_id=str(uuid7()),
            unit_id=unit,
            served_at=datetime.now(UTC).isoformat(),
        )
        await self._writer.commit(Rows(slates=[row]))

    async def _take_event(self) -> None:
        now = datetime.now(UTC).isoformat()
        row = replace(self._event, event_id=str(uuid7()), occurred_at=now, received_at=now)
        await self._writer.commit(Rows(events=[row]))

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._writer.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._writer.stop()
                await self._supervisor.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


application = BareRoute() if VARIABLE in os.environ else None
