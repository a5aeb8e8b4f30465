"""Beats of a Celery worker and of beat itself: a thread says that the process lives, and what it is in.

A process that is frozen or killed goes silent. One whose main thread hangs goes on to beat, but its
`busy_seconds` grow: the main loop of a worker that waits for work turns every few seconds.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import redis
from celery.signals import task_postrun, task_prerun, worker_ready, worker_shutdown
from celery.states import SUCCESS

from inference.redis_clients import redis_client
from inference.serving.beats import (
    BEAT_SECONDS,
    Beat,
    forget_beat,
    write_beat,
    write_ended_tasks,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)


class Heart:
    """The thread that beats for a process."""

    def __init__(self, redis_url: str, name: str, queues: Sequence[str] = ()) -> None:
        """Prepare to beat; `start` begins.

        Args:
            redis_url: of the cache.
            name: of the process, with its host.
            queues: which it works on.
        """
        self._client = redis_client(redis_url, socket_timeout=5, socket_connect_timeout=2)
        self._name, self._queues = name, tuple(queues)
        self._task, self._since, self._count = "", time.monotonic(), 0
        self._ended: dict[str, float] = {}  # tasks that ended well since the last beat
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def turn(self, task: str = "") -> None:
        """Note that the main thread goes on: with a task, or to wait for one."""
        self._task, self._since = task, time.monotonic()

    def end(self, task: str, state: str | None) -> None:
        """Note that the main thread is done with a task, and when it last ended well."""
        self.turn()
        if state == SUCCESS:
            self._ended[task] = time.monotonic()

    def stop(self) -> None:
        """Stop, and leave nothing that would look like a process that died."""
        self._stopping.set()
        self._thread.join(BEAT_SECONDS)
        try:
            forget_beat(self._client, self._name)
        except (redis.RedisError, OSError) as error:
            logger.debug("the last beat stays: %s", error)

    def _run(self) -> None:
        while True:
            try:
                write_beat(self._client, self._beat())
                self._write_ended()
            except (redis.RedisError, OSError) as error:  # the cache is away: the next beat tries again
                logger.debug("no beat: %s", error)
            if self._stopping.wait(BEAT_SECONDS):
                return

    def _write_ended(self) -> None:
        # Swapped in one step: the main thread notes ends meanwhile.
        ended, self._ended = self._ended, {}
        now = time.monotonic()
        write_ended_tasks(self._client, {task: now - at for task, at in ended.items()})

    def _beat(self) -> Beat:
        self._count += 1
        return Beat(
            name=self._name,
            pid=os.getpid(),
            queues=self._queues,
            count=self._count,
            task=self._task,
            busy_seconds=round(time.monotonic() - self._since, 1),
            clock=time.time(),
        )


def beat_for_worker(redis_url: str) -> None:
    """Let the worker that starts in this process beat from its readiness to its end."""
    hearts: list[Heart] = []

    def start(sender: Any, **_: object) -> None:
        queues = sorted(sender.app.amqp.queues.consume_from)
        heart = Heart(redis_url, str(sender.hostname), queues)
        sender.timer.call_repeatedly(BEAT_SECONDS, heart.turn)  # runs in the main loop, between tasks
        heart.start()
        hearts.append(heart)

    def begin(task: Any, **_: object) -> None:
        for heart in hearts:
            heart.turn(task.name)

    def end(task: Any, state: str | None = None, **_: object) -> None:
        for heart in hearts:
            heart.end(task.name, state)

    def stop(**_: object) -> None:
        while hearts:
            hearts.pop().stop()

    # Celery would forget functions that nobody holds.
    worker_ready.connect(start, weak=False)
    task_prerun.connect(begin, weak=False)
    task_postrun.connect(end, weak=False)
    worker_shutdown.connect(stop, weak=False)


def beat_name() -> str:
    """Return the name of beat on this host."""
    return f"beat@{socket.gethostname()}"
