"""Keep long-lived work alive: a task or a thread that fails is logged, counted and started again.

Guarantees: work that raises, or returns, starts again after a pause that doubles up to
`MAX_PAUSE_SECONDS`; its traceback is logged and its failures are counted; work that hangs is seen
by the age of its last beat. Does not guarantee that work which hangs is started again: a
supervisor of the process reads `alive` and decides.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)
FIRST_PAUSE_SECONDS = 0.1  # a lost connection is back at once, mostly
MAX_PAUSE_SECONDS = 5.0  # failing work may not fill the log, nor stay away for long
STEADY_SECONDS = 60.0  # work that ran as long as this starts again without a longer pause
STOP_SECONDS = 2.0  # of a shutdown; what hangs must not hang it too


@dataclass(slots=True)
class WorkStatus:
    """How one piece of long-lived work is doing.

    Attributes:
        name: of the work.
        max_silence_seconds: how long it may go without a beat before it counts as hung.
        failures: how often it raised: work that went on by itself, and work that was started again.
        last_error: type and message of the last of them.
    """

    name: str
    max_silence_seconds: float = 30.0
    failures: int = 0
    last_error: str = ""
    _beat_at: float = field(default_factory=time.monotonic)

    def beat(self) -> None:
        """Note that the work goes on."""
        self._beat_at = time.monotonic()

    def record_failure(self, error: BaseException) -> None:
        """Log an exception with its traceback and count it."""
        self.failures += 1
        self.last_error = f"{type(error).__name__}: {error}"[:300]
        logger.error("%s failed (%d times)", self.name, self.failures, exc_info=error)

    @property
    def silence_seconds(self) -> float:
        """Seconds since the last beat."""
        return time.monotonic() - self._beat_at

    @property
    def alive(self) -> bool:
        """Whether the last beat is young enough."""
        return self.silence_seconds <= self.max_silence_seconds

    def as_json(self) -> dict[str, str | int | float | bool]:
        """Return it for a heartbeat or an answer."""
        return {
            "name": self.name,
            "alive": self.alive,
            "failures": self.failures,
            "last_error": self.last_error,
            "silence_seconds": round(self.silence_seconds, 1),
        }


class Supervisor:
    """The long-lived tasks of one event loop."""

    def __init__(self) -> None:
        """Start with none."""
        self._work: dict[str, tuple[WorkStatus, asyncio.Task[None]]] = {}

    @property
    def statuses(self) -> list[WorkStatus]:
        """Every piece of work, in the order of their start."""
        return [status for status, _ in self._work.values()]

    def start(
        self,
        name: str,
        work: Callable[[WorkStatus], Awaitable[None]],
        *,
        max_silence_seconds: float = 30.0,
    ) -> WorkStatus:
        """Run work until `stop`; started twice, it runs once."""
        if name in self._work:
            return self._work[name][0]
        status = WorkStatus(name, max_silence_seconds)
        self._work[name] = status, asyncio.create_task(_keep_running(status, work), name=name)
        return status

    async def stop(self, *names: str) -> None:
        """End the work of these names, or all of it; what does not end in time is left behind."""
        ending = [self._work.pop(name)[1] for name in names or list(self._work) if name in self._work]
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending, timeout=STOP_SECONDS)


async def _keep_running(status: WorkStatus, work: Callable[[WorkStatus], Awaitable[None]]) -> None:
    pauses = _Pauses()
    while True:
        pauses.started()
        try:
            await work(status)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():  # `stop`, and not a stray one from inside the work
                raise
            status.record_failure(error)
        except Exception as error:  # noqa: BLE001  whatever it is, the work must go on
            status.record_failure(error)
        else:
            status.record_failure(RuntimeError("the work ended by itself"))
        await asyncio.sleep(pauses.following())


def keep_thread_running(
    status: WorkStatus, work: Callable[[WorkStatus], None], stopping: threading.Event
) -> None:
    """Run a thread's work until the event is set."""
    pauses = _Pauses()
    while not stopping.is_set():
        pauses.started()
        try:
            work(status)
        except Exception as error:  # noqa: BLE001  whatever it is, the work must go on
            status.record_failure(error)
        stopping.wait(pauses.following())


class _Pauses:
    """Seconds between a failure and the next start."""

    def __init__(self) -> None:
        self._pause, self._started_at = 0.0, 0.0

    def started(self) -> None:
        self._started_at = time.monotonic()

    def following(self) -> float:
        steady = time.monotonic() - self._started_at >= STEADY_SECONDS
        longer = max(2 * self._pause, FIRST_PAUSE_SECONDS)
        self._pause = FIRST_PAUSE_SECONDS if steady else min(longer, MAX_PAUSE_SECONDS)
        return self._pause
