"""Projects whose items are to be placed among those of a version that came into use.

The cache keeps the projects until a worker has placed their items: a message that is lost, or finds
the object store away, is sent again by the reconciler. A cache that is lost has its surfaces marked
again, which asks for this again.
"""

from __future__ import annotations

import time
from typing import cast

from inference.actions.place_items import needs_places, place_missing
from inference.cache import cache_client
from inference.outages import is_outage
from inference.sending import PLACE_ITEMS, send
from inference.serving.artifact import ArtifactError
from inference.serving.keys import PLACES_DUE

# After which it is asked for again: a large catalogue takes a worker a while.
PAUSE_SECONDS = 60.0


def ask_for_places(*, project_id: int) -> None:
    """Have the items placed that a version in use does not know, if there are any."""
    try:
        if not needs_places(project_id=project_id):
            return
    except ArtifactError:  # the store is away: whether any is needed, a worker sees once it is back
        pass
    _ask(project_id)


def send_due_places() -> int:
    """Ask again for what no worker has done; return how many messages were sent."""
    projects = cast("list[bytes]", cache_client().zrangebyscore(PLACES_DUE, "-inf", time.time()))
    return sum(_ask(int(project)) for project in projects)


def place_due(*, project_id: int) -> int:
    """Place the items of a project, and ask no more; return how many were written.

    Raises:
        ArtifactError: the object store is away; it is asked for again later.
    """
    try:
        count = place_missing(project_id=project_id)
    except Exception as error:
        if not is_outage(error):  # it would fail again
            cache_client().zrem(PLACES_DUE, project_id)
        raise
    cache_client().zrem(PLACES_DUE, project_id)
    return count


def _ask(project_id: int) -> bool:
    # First: what is lost from here on is asked for again.
    cache_client().zadd(PLACES_DUE, {str(project_id): time.time() + PAUSE_SECONDS})
    return send(PLACE_ITEMS, project_id)
