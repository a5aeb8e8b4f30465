"""Signs of life of the processes that work in the background: one field per process in one hash.

Guarantees: the time of a beat is the cache server's, so that the clocks of machines do not matter; a
process that ended in good order leaves nothing behind. Does not guarantee anything while that clock
jumps: who restarts a process by its silence should see `count` stand still by a clock of its own.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, cast

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

    import redis

BEATS = "bakeoff:beats"
TASKS = "bakeoff:tasks"  # when each task last ended well, by the same clock
BEAT_SECONDS = 2.0
# Fifteen beats: a process that shares two cores with a training is late now and then.
SILENT_SECONDS = 30.0
FORGOTTEN_SECONDS = 3600.0
MAX_CLOCK_ERROR_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Beat:
    """What a process says of itself.

    Attributes:
        name: `worker-loop@host`, `beat@host`.
        pid: its process id on its host.
        queues: which queues it works on; none for beat.
        count: how many beats it gave.
        task: the task that its main thread is in, or nothing.
        busy_seconds: for how long; without a task, since its main loop last turned.
        clock: its wall clock, in seconds of the epoch.
    """

    name: str
    pid: int
    queues: tuple[str, ...]
    count: int
    task: str
    busy_seconds: float
    clock: float


@dataclass(frozen=True, slots=True)
class LastBeat:
    """A process's last beat, and how long ago it was by the cache server's clock.

    Attributes:
        silent_seconds: since the beat; never negative.
        clock_error_seconds: how far its clock was ahead of the server's then.
    """

    beat: Beat
    silent_seconds: float
    clock_error_seconds: float

    @property
    def silent(self) -> bool:
        """Whether it has given no sign of life for too long."""
        return self.silent_seconds > SILENT_SECONDS


def write_beat(client: redis.Redis, beat: Beat) -> None:
    """Keep a process's beat."""
    body = orjson.dumps({**asdict(beat), "at": _now(client)})
    client.hset(BEATS, beat.name, cast("str", body))


def forget_beat(client: redis.Redis, name: str) -> None:
    """Forget a process that ends in good order."""
    client.hdel(BEATS, name)


def read_beats(client: redis.Redis) -> list[LastBeat]:
    """Return the last beat of each process, by name; those long gone are forgotten."""
    now = _now(client)
    fields = cast("dict[bytes, bytes]", client.hgetall(BEATS))
    beats = [_parse(body, now) for body in fields.values()]
    for last in beats:
        if last.silent_seconds > FORGOTTEN_SECONDS:
            forget_beat(client, last.beat.name)
    recent = [last for last in beats if last.silent_seconds <= FORGOTTEN_SECONDS]
    return sorted(recent, key=lambda last: last.beat.name)


def _parse(body: bytes, now: float) -> LastBeat:
    fields = orjson.loads(body)
    at = float(fields.pop("at"))
    beat = Beat(**{**fields, "queues": tuple(fields["queues"])})
    return LastBeat(beat, max(now - at, 0.0), beat.clock - at)


def _now(client: redis.Redis) -> float:
    seconds, microseconds = client.time()
    return float(seconds + microseconds / 1e6)


def write_ended_tasks(client: redis.Redis, ended: Mapping[str, float]) -> None:
    """Note when tasks ended well.

    Args:
        client: the cache.
        ended: by name of a task, how many seconds ago it ended.
    """
    if ended:
        now = _now(client)
        client.hset(TASKS, mapping={name: now - seconds for name, seconds in ended.items()})


def read_ended_tasks(client: redis.Redis) -> dict[str, float]:
    """Return how many seconds ago each task ended well, by its name."""
    now = _now(client)
    fields = cast("dict[bytes, bytes]", client.hgetall(TASKS))
    return {name.decode(): max(now - float(at), 0.0) for name, at in fields.items()}
