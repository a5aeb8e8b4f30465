"""How a change reaches the serving processes, and how they confirm it."""

from __future__ import annotations

import contextlib
import time
from typing import Literal

import redis
import redis.exceptions

from inference.serving.heartbeats import read_heartbeats
from inference.serving.keys import serving_key

CHANNEL = "bakeoff:configuration"
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


def wait_until_read(client: redis.Redis, *, seconds: float = READ_BACK_SECONDS) -> list[str]:
    """Wait until every serving process has read what was announced so far.

    So that who changes something and then asks meets the change (read-your-writes). A process says in
    its heartbeat how many changes it has read.

    Returns:
        The processes that have not read it in time; empty when all have, or when nobody serves. A
        cache that is away has nobody to wait for: processes poll then.
    """
    deadline = time.monotonic() + seconds
    with contextlib.suppress(redis.exceptions.RedisError, OSError):
        announced = int(client.get(CHANGES) or 0)
        while True:
            heartbeats = read_heartbeats(client).items()
            late = [process for process, one in heartbeats if one.changes < announced]
            if not late or time.monotonic() > deadline:
                return late
            time.sleep(POLL_SECONDS)
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
    start = time.monotonic()
    confirmed: dict[str, float | None] = {}
    while True:
        waiting = False
        for process, heartbeat in read_heartbeats(client).items():
            name = serving_key(process)
            if confirmed.get(name) is not None:
                continue
            serving = heartbeat.champion if what == "champion" else heartbeat.experiment
            serves = serving.get(str(surface_id))
            confirmed[name] = round(time.monotonic() - start, 3) if serves == wanted_id else None
            waiting = waiting or confirmed[name] is None
        if not waiting or time.monotonic() - start > seconds:
            return confirmed
        time.sleep(POLL_SECONDS)


def read_back_changes(
    client: redis.Redis, *, seconds: float = READ_BACK_SECONDS
) -> dict[str, float | None]:
    """Wait until every serving process says that it has read all that was announced so far.

    Returns:
        Per process the seconds until it said so, or None if it did not in time. Empty when no
        process serves.

    Raises:
        RedisError: the cache is away; nobody can say.
    """
    start = time.monotonic()
    announced = int(client.get(CHANGES) or 0)
    confirmed: dict[str, float | None] = {}
    while True:
        for process, heartbeat in read_heartbeats(client).items():
            name = serving_key(process)
            if confirmed.get(name) is None:
                read = heartbeat.changes >= announced
                confirmed[name] = round(time.monotonic() - start, 3) if read else None
        if None not in confirmed.values() or time.monotonic() - start > seconds:
            return confirmed
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
