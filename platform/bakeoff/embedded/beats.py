"""Signs of life: what serves touches a file of its own, a worker writes its beat to the cache.

Both are judged by this process's monotonic clock: what counts is that a sign changes, not which time it
bears. While the cache is away no worker can beat, and none is judged.
"""

from __future__ import annotations

import contextlib
import math
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import redis

from inference.redis_clients import redis_client
from inference.serving.beats import read_beats

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bakeoff.embedded.processes import Child
    from bakeoff.environment import Environment
    from inference.serving.beats import Beat

UNLIMITED_QUEUES = frozenset({"train"})  # a training run takes as long as it takes
# A cache that is frozen must not hold the supervisor, which restarts it.
READ_SECONDS = 5.0


def web_beat(run_folder: Path, pid: int) -> Path:
    """Return the file that a web process, or the embedded model's, touches while it answers."""
    return run_folder / f"web-{pid}.beat"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long is too long; generous, since two cores that train a model are no hang.

    Attributes:
        silent_seconds: without another sign of life.
        first_sign_seconds: from the start to the first one.
        idle_seconds: that a worker's main loop stands still without a task, as it does while it looks
            for a broker that is away.
        task_seconds: in one task, unless its queue is unlimited.
        read_every_seconds: how often the cache is asked for the beats of all workers.
    """

    silent_seconds: float = 60.0
    first_sign_seconds: float = 180.0
    idle_seconds: float = 300.0
    task_seconds: float = 3600.0
    read_every_seconds: float = 1.0

    def of_sign(self, *, has_signed: bool) -> float:
        """Return the limit for a process that has given a sign before, or none yet."""
        return self.silent_seconds if has_signed else self.first_sign_seconds

    def of_work(self, beat: Beat) -> float:
        """Return how long a worker may be at what it does."""
        if not beat.task:
            return self.idle_seconds
        return math.inf if UNLIMITED_QUEUES & set(beat.queues) else self.task_seconds


class Beats:
    """Which processes give no sign of life."""

    def __init__(self, environment: Environment, limits: Limits | None = None) -> None:
        """Write signs of life into this folder."""
        self._limits = limits or Limits()
        self._run_folder, self._redis_url = environment.run_folder, environment.redis_url
        self._seen: dict[int, tuple[object, float]] = {}  # the last sign, and when it changed
        self._host = f"@{socket.gethostname()}"
        self._read_at = 0.0
        self._workers: dict[int, Beat] = {}

    def forget(self) -> None:
        """Drop the files of processes that were killed: their ids are used again."""
        for path in self._run_folder.glob("web-*.beat"):
            path.unlink(missing_ok=True)

    def hung_web_processes(self, web: Child) -> dict[int, str]:
        """Return the processes of a server that have stopped answering, and what they do not do."""
        hung = {}
        for process in _serving(web):
            sign = _modified(web_beat(self._run_folder, process.pid))
            limit = self._limits.of_sign(has_signed=sign is not None)
            if self._unchanged_seconds(process.pid, sign) > limit:
                hung[process.pid] = f"gave no answer for {limit:g} s"
        return hung

    def hung_workers(self, worker: Child) -> dict[int, str]:
        """Return the worker's process if it has stopped beating, or is stuck, and why."""
        pid = worker.pid
        if pid is None or not self._read_workers():
            self._seen.pop(pid or 0, None)
            return {}
        beat = self._workers.get(pid)
        limit = self._limits.of_sign(has_signed=beat is not None)
        if self._unchanged_seconds(pid, beat and beat.count) > limit:
            return {pid: f"gave no sign of life for {limit:g} s"}
        if beat is not None and beat.busy_seconds > self._limits.of_work(beat):
            return {pid: f"has been in '{beat.task or 'nothing'}' for {beat.busy_seconds:.0f} s"}
        return {}

    def _unchanged_seconds(self, pid: int, sign: object) -> float:
        now = time.monotonic()
        known = self._seen.get(pid)
        if known is None or known[0] != sign:
            self._seen[pid] = known = (sign, now)
        return now - known[1]

    def _read_workers(self) -> bool:
        """Read what workers say, now and then for all of them; return whether the cache answers."""
        if time.monotonic() - self._read_at < self._limits.read_every_seconds:
            return True
        try:
            with redis_client(
                self._redis_url, socket_timeout=READ_SECONDS, socket_connect_timeout=READ_SECONDS
            ) as client:
                beats = [last.beat for last in read_beats(client)]
        except (redis.RedisError, OSError):
            self._workers = {}
            return False
        # Other machines may beat in the same cache; their process ids are not ours.
        self._workers = {beat.pid: beat for beat in beats if beat.name.endswith(self._host)}
        self._read_at = time.monotonic()
        return True


def _serving(web: Child) -> Iterator[psutil.Process]:
    """Yield the processes of web that answer: itself, or those that it starts for that."""
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(web.pid)
        workers = [one for one in parent.children() if "spawn_main" in " ".join(one.cmdline())]
        yield from workers or [parent]


def _modified(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None
