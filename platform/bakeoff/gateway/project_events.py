"""What happens in a project, as server-sent events for its pages: a word each, and pages ask for more.

Pages carry a ticket, because a session belongs to Django and a stream to the fast lane.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import redis.asyncio
import redis.exceptions

from bakeoff.gateway.cache import subscribe
from bakeoff.gateway.http.errors import ApiError
from experiments.assignment.qa_links import LinkError, QaLink, read_link, write_link
from inference.serving.changes import project_events_channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TICKET = "live:"  # no experiment's key has a colon: a ticket is no link, and a link no ticket
TICKET_SECONDS = 12 * 3600
HEARTBEAT_SECONDS = 15.0


def write_ticket(secret: str, project: int) -> str:
    """Return a ticket for a page of a project."""
    return write_link(secret, QaLink(project, TICKET, "", int(time.time()) + TICKET_SECONDS))


def read_ticket(secret: str, ticket: str) -> int:
    """Return the project of a ticket.

    Raises:
        ApiError: 401, it does not hold.
    """
    try:
        link = read_link(secret, ticket, None)
    except LinkError as error:
        raise ApiError(401, "no_valid_ticket", f"The ticket does not hold: {error}.") from error
    if link.experiment != TICKET:
        raise ApiError(401, "no_valid_ticket", "The ticket does not hold: it is a link.")
    return link.project_id


async def stream_project_events(cache: redis.asyncio.Redis, project: int) -> AsyncIterator[bytes]:
    """Yield a word whenever something happens; ends when the cache goes away, and the page polls."""
    try:
        async for word in subscribe(
            cache, project_events_channel(project), quiet_seconds=HEARTBEAT_SECONDS
        ):
            yield b": still here\n\n" if word is None else b"data: %s\n\n" % word
    except (redis.exceptions.RedisError, OSError):
        return
