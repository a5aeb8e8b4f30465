"""How a change reaches the serving processes, and how they confirm it."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Literal

import redis
import redis.exceptions

from inference.serving.heartbeats import read_heartbeats
from inference.serving.keys import serving_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inference.serving.heartbeats import ServingHeartbeat

CHANNEL = "bakeoff:configuration"
CATALOGUE_CHANNEL = "bakeoff:catalogue"
CHANGES = "bakeoff:configuration:changes"  # how many were announced
READ_BACK_SECONDS = 5.0  # processes read a change within milliseconds; later means that one hangs
POLL_SECONDS = 0.05


def announce_change(client: redis.Redis) -> None:
    """Tell every serving process to read the configuration again; without the cache they poll.

    Called after the change is committed: who reads the counter first and the tables next has it.
    """
    with contextlib.suppress(redis.exceptions.RedisError, OSError):
        client.incr(CHANGES)  # before the message: who is woken by it reads the new count
        client.publish(CHANNEL, b"changed")


def announce_catalogue(client: redis.Redis) -> None:
    """Tell every serving process to read what changed in catalogues; without the cache they poll."""
    with contextlib.suppress(redis.exceptions.RedisError, OSError):
        client.publish(CATALOGUE_CHANNEL, b"changed")


def wait_until_read(client: redis.Redis, *, seconds: float = READ_BACK_SECONDS) -> list[str]:
    """Wait until every serving process has read what was announced so far.

    So that who changes something and then asks meets the change (read-your-writes).

    Returns:
        The processes that have not read it in time; empty when all have, or when nobody serves. A
        cache that is away has nobody to wait for: processes poll then.
    """
    with contextlib.suppress(redis.exceptions.RedisError, OSError):
        confirmed = _confirm_changes(client, seconds)
        return [process for process, after in confirmed.items() if after is None]
    return []


def read_back(
    client: redis.Redis,
    what: Literal["champion", "experiment"],
    surface_id: int,
    wanted_id: int,
    *,
    seconds: float = READ_BACK_SECONDS,
) -> dict[str, float | None]:
    """Wait until every serving process says that this is what the surface serves.

    Args:
        client: the cache.
        what: `champion` (a version's id) or `experiment` (an experiment's id).
        surface_id: the surface.
        wanted_id: what it should say.
        seconds: how long to wait.

    Returns:
        Per process the seconds until it said so, or None if it did not in time. Empty when no
        process serves.
    """

    def serves(heartbeat: ServingHeartbeat) -> bool:
        serving = heartbeat.champion if what == "champion" else heartbeat.experiment
        return serving.get(str(surface_id)) == wanted_id

    return _by_key(_confirm(client, serves, seconds))


def read_back_changes(
    client: redis.Redis, *, seconds: float = READ_BACK_SECONDS
) -> dict[str, float | None]:
    """Wait until every serving process says that it has read all that was announced so far.

    A process says in its heartbeat how many changes it has read.

    Returns:
        As of `read_back`.

    Raises:
        RedisError: the cache is away; nobody can say.
    """
    return _by_key(_confirm_changes(client, seconds))


def _by_key(confirmed: Mapping[str, float | None]) -> dict[str, float | None]:
    """Name processes as decisions have always stored them: by the key of their heartbeat."""
    return {serving_key(process): after for process, after in confirmed.items()}


def _confirm_changes(client: redis.Redis, seconds: float) -> dict[str, float | None]:
    announced = int(client.get(CHANGES) or 0)
    return _confirm(client, lambda heartbeat: heartbeat.changes >= announced, seconds)


def _confirm(
    client: redis.Redis, holds: Callable[[ServingHeartbeat], bool], seconds: float
) -> dict[str, float | None]:
    """Wait until something holds in every process's heartbeat; return the seconds of each, or None.

    A process that ends meanwhile has nothing to confirm: it serves no more.
    """
    start = time.monotonic()
    confirmed: dict[str, float] = {}
    while True:
        heartbeats = read_heartbeats(client)
        elapsed = round(time.monotonic() - start, 3)
        for process, heartbeat in heartbeats.items():
            if process not in confirmed and holds(heartbeat):
                confirmed[process] = elapsed
        if heartbeats.keys() <= confirmed.keys() or elapsed > seconds:
            return {process: confirmed.get(process) for process in {**heartbeats, **confirmed}}
        time.sleep(POLL_SECONDS)


def read_unserved(client: redis.Redis) -> dict[int, list[str]]:
    """Return versions that serve and that web processes cannot load: their ids, and which processes."""
    unserved: dict[int, list[str]] = {}
    for process, heartbeat in read_heartbeats(client).items():
        for version_id in heartbeat.unserved:
            unserved.setdefault(version_id, []).append(process)
    return unserved


def project_events_channel(project: int) -> str:
    """Where pages of a project hear that something happened."""
    return f"live:{project}"


def announce_live(cache: redis.Redis, project: int, topic: str) -> None:
    """Tell open pages that `looks`, `runs` or `events` have moved; without a cache they poll."""
    with contextlib.suppress(redis.exceptions.RedisError, OSError):
        cache.publish(project_events_channel(project), topic)
