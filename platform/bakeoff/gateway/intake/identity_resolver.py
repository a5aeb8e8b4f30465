"""The units of a request's ids, remembered: what an id stands for never changes once it was linked.

A project in which no ids were ever linked, and a request without an anonymous id, pay nothing.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

import redis.asyncio
import redis.exceptions

from bakeoff.gateway.database import Connector, Lookup
from bakeoff.gateway.remembered import Remembered
from experiments.ingest.identity import link, resolve, unit_of_pair
from inference.serving.changes import CHANNEL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import psycopg

    from bakeoff.gateway.config.serving_config import ServingConfig
    from bakeoff.gateway.http.fields import Ids

    # Takes a connection, a project, an anonymous id and a user's id; returns their unit.
    _UnitOfPair = Callable[[psycopg.AsyncConnection, int, str, str], Awaitable[str]]

MAX_IDS = 200_000


class IdentityResolver:
    """Answers which unit some ids are; one in a process."""

    def __init__(self, connector: Connector, cache: redis.asyncio.Redis) -> None:
        """Remember where to ask, and where to say that a project has linked ids now."""
        self._lookup, self._cache = Lookup(connector, "ids", writes=True), cache
        self._units: Remembered[tuple[int, Ids], str] = Remembered(MAX_IDS)
        # Projects whose first link this process made: the configuration learns of it a moment later.
        self._linking: set[int] = set()

    async def stop(self) -> None:
        """Close the connection."""
        await self._lookup.stop()

    def needs_lookup(self, config: ServingConfig, project: int, ids: Ids) -> bool:
        """Whether the unit is more than the id itself."""
        return None not in ids or project in config.linked or project in self._linking

    async def units(
        self,
        config: ServingConfig,
        project: int,
        pairs: Sequence[Ids],
        *,
        may_link: bool = True,
        trusted: bool = False,
    ) -> list[str]:
        """Return the unit of each pair of ids, in order.

        Args:
            config: the configuration.
            project: whose ids they are.
            pairs: the ids.
            may_link: whether ids that come together for the first time are linked; a request that
                can still be refused must not.
            trusted: whether a secret key asks, which may put any two ids together.

        While PostgreSQL is away, what is not remembered is taken for a unit of its own: by its
        anonymous id if there is one, so that nobody's variant changes at a login.
        """
        # The common case: no project-wide links, one id per request, no question to the database.
        if not any(self.needs_lookup(config, project, ids) for ids in pairs):
            return [ids[1] or ids[0] or "" for ids in pairs]
        missing = [ids for ids in dict.fromkeys(pairs) if (project, ids) not in self._units]
        units: dict[Ids, str] = {}
        if missing:
            unit_of = partial(link, trusted=trusted) if may_link else unit_of_pair
            units = await self._ask(project, missing, unit_of, may_link=may_link)
        return [
            self._units.get((project, ids)) or units.get(ids) or ids[0] or ids[1] or "" for ids in pairs
        ]

    async def _ask(
        self, project: int, missing: Sequence[Ids], unit_of: _UnitOfPair, *, may_link: bool
    ) -> dict[Ids, str]:
        units = await self._lookup.ask(
            lambda connection: _read_units(connection, project, missing, unit_of)
        )
        if units is None:
            return {}
        if may_link and any(None not in ids for ids in missing):
            await self._announce(project)
        # Without a link, a pair's unit is not final: the next request may link it.
        for ids, unit in units.items() if may_link else ():
            self._units[project, ids] = unit
        return units

    async def _announce(self, project: int) -> None:
        """Tell the other processes when a project's first ids were linked."""
        if project in self._linking:
            return
        self._linking.add(project)
        with contextlib.suppress(redis.exceptions.RedisError, OSError):
            await self._cache.publish(CHANNEL, b"links")


async def _read_units(
    connection: psycopg.AsyncConnection,
    project: int,
    missing: Sequence[Ids],
    unit_of: _UnitOfPair,
) -> dict[Ids, str]:
    """Return the unit of each pair; what comes alone is read in one question."""
    single = [anonymous or user or "" for anonymous, user in missing if not (anonymous and user)]
    aliases = await resolve(connection, project, single) if single else {}
    units: dict[Ids, str] = {}
    for ids in missing:
        anonymous, user = ids
        if anonymous and user:
            units[ids] = await unit_of(connection, project, anonymous, user)
        else:
            alone = anonymous or user or ""
            units[ids] = aliases.get(alone, alone)
    return units
