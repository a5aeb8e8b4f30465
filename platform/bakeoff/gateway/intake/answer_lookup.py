"""What was answered, of a generation that feedback is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.gateway.database import Connector, Lookup

if TYPE_CHECKING:
    import psycopg

_ANSWER = """SELECT context -> 'answer' ->> 'content' FROM experiments_slate
    WHERE recommendation_id = %s AND project_id = %s AND generation IS NOT NULL"""


class AnswerLookup:
    """Reads stored answers; one in a process."""

    def __init__(self, connector: Connector) -> None:
        """Remember where to ask."""
        self._lookup = Lookup(connector, "answers", writes=False)

    async def stop(self) -> None:
        """Close the connection."""
        await self._lookup.stop()

    async def find(self, project: int, recommendation_id: str) -> str | None:
        """Return the text of an answer as it is stored.

        None where none is stored, where the slate is no generation, and while PostgreSQL is away.
        """

        async def ask(connection: psycopg.AsyncConnection) -> list[tuple[Any, ...]]:
            cursor = await connection.execute(_ANSWER, (recommendation_id, project))
            return await cursor.fetchall()

        rows = await self._lookup.ask(ask)
        return None if not rows else rows[0][0]
