"""The units of a request's ids, remembered: what an id stands for never changes once it was met.

A project in which no ids were ever linked, and a request without an anonymous id, pay nothing.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING

import redis.asyncio
import redis.exceptions

from bakeoff.gateway.database import Connector, Lookup
from experiments.ingest.identity import link, resolve, unit_of_pair
from inference.serving.changes import CHANNEL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import psycopg

    from bakeoff.gateway.config.serving_config import ServingConfig

    _Together = Callable[[psycopg.AsyncConnection, int, str, str], Awaitable[str]]

REMEMBERED = 200_000

# An anonymous id or none, and a user's id or none; at least one of them.
Ids = tuple[str | None, str | None]


class IdentityResolver:
    """Answers which unit some ids are; one in a process."""

    def __init__(self, connector: Connector, cache: redis.asyncio.Redis) -> None:
        """Remember where to ask, and where to say that a project has linked ids now."""
        self._lookup, self._cache = Lookup(connector, "ids", writes=True), cache
        self._known: OrderedDict[tuple[int, Ids], str] = OrderedDict()
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
        asked: Sequence[Ids],
        *,
        may_link: bool = True,
        trusted: bool = False,
    ) -> list[str]:
        """Return the unit of each pair of ids, in order.

        Args:
            config: the configuration.
            project: whose ids they are.
            asked: the ids.
            may_link: whether ids that come together for the first time are linked; a request that
                can still be refused must not.
            trusted: whether a secret key asks, which may put any two ids together.

        While PostgreSQL is away, what is not remembered is taken for a unit of its own: by its
        anonymous id if there is one, so that nobody's variant changes at a login.
        """
        if not any(self.needs_lookup(config, project, ids) for ids in asked):
            return [ids[1] or ids[0] or "" for ids in asked]
        missing = [ids for ids in dict.fromkeys(asked) if (project, ids) not in self._known]
        found: dict[Ids, str] = {}
        if missing:
            together = partial(link, trusted=trusted) if may_link else unit_of_pair
            found = await self._ask(project, missing, together, may_link=may_link)
        units = []
        for ids in asked:
            unit = self._known.get((project, ids)) or found.get(ids) or ids[0] or ids[1] or ""
            units.append(unit)
        return units

    async def _ask(
        self, project: int, missing: Sequence[Ids], together: _Together, *, may_link: bool
    ) -> dict[Ids, str]:
        found = await self._lookup.ask(lambda connection: _ask(connection, project, missing, together))
        if found is None:
            return {}
        if may_link and any(None not in ids for ids in missing):
            await self._announce(project)
        for ids, unit in found.items() if may_link else ():
            self._known[project, ids] = unit
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return found

    async def _announce(self, project: int) -> None:
        """Tell the other processes when a project's first ids were linked."""
        if project in self._linking:
            return
        self._linking.add(project)
        with contextlib.suppress(redis.exceptions.RedisError, OSError):
            await self._cache.publish(CHANNEL, b"links")


async def _ask(
    connection: psycopg.AsyncConnection,
    project: int,
    missing: Sequence[Ids],
    together: _Together,
) -> dict[Ids, str]:
    single = [anonymous or user or "" for anonymous, user in missing if not (anonymous and user)]
    aliases = await resolve(connection, project, single) if single else {}
    found: dict[Ids, str] = {}
    for ids in missing:
        anonymous, user = ids
        if anonymous and user:
            found[ids] = await together(connection, project, anonymous, user)
        else:
            alone = anonymous or user or ""
            found[ids] = aliases.get(alone, alone)
    return found
