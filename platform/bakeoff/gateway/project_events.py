"""What happens in a project, as server-sent events for its pages: a word each, and pages ask for more.

Pages carry a ticket, because a session belongs to Django and a stream to the fast lane.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import redis.asyncio
import redis.exceptions

from bakeoff.gateway.cache import subscribe
from bakeoff.gateway.http.errors import ApiError
from bakeoff.page_tickets import read_ticket
from experiments.assignment.qa_links import LinkError
from inference.serving.changes import project_events_channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bakeoff.gateway.http.request import Request

HEARTBEAT_SECONDS = 15.0


def project_of_ticket(secret: str, ticket: str) -> int:
    """Return the project whose page carries a ticket.

    Raises:
        ApiError: 401, the ticket is not valid.
    """
    try:
        return read_ticket(secret, ticket)
    except LinkError as error:
        raise ApiError(401, "no_valid_ticket", f"The ticket does not hold: {error}.") from error


class ProjectEventStreams:
    """The handler of the stream; one in a process."""

    def __init__(self, cache: redis.asyncio.Redis, secret: str) -> None:
        """Remember where to listen, and by what tickets are signed."""
        self._cache, self._secret = cache, secret

    async def stream(self, request: Request) -> AsyncIterator[bytes]:
        """Return the events of the project that the request has a ticket for.

        Raises:
            ApiError: 401.
        """
        project = project_of_ticket(self._secret, request.query("ticket"))
        return _events(self._cache, project)


async def _events(cache: redis.asyncio.Redis, project: int) -> AsyncIterator[bytes]:
    """Yield a word whenever something happens; ends when the cache goes away, and the page polls."""
    try:
        async for word in subscribe(
            cache, project_events_channel(project), quiet_seconds=HEARTBEAT_SECONDS
        ):
            yield b": still here\n\n" if word is None else b"data: %s\n\n" % word
    except (redis.exceptions.RedisError, OSError):
        return
