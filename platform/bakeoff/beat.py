"""Beat: asks for what may be due, again and again.

Guarantees: it measures by the monotonic clock and keeps no file, so that a wall clock that was fast, or
that jumps, neither stops nor doubles anything. A tick that is lost is worth nothing: the next one asks
for the same, and each task looks in the rows for what is due. Of each entry one message waits, however
long workers are away; one that the broker lost is sent again after a minute.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from celery.beat import Scheduler, SchedulingError
from celery.signals import beat_init

from bakeoff.environment import read_environment
from bakeoff.heartbeat import Heart, beat_name
from inference.message_marks import mark_messages, unmark_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery.beat import ScheduleEntry
    from kombu import Producer

MAX_PAUSE_SECONDS = 60.0


class SteadyScheduler(Scheduler):
    """Sends each entry of the schedule every so many seconds of a clock that only goes forward."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Everything is due at the start: whatever waited while beat was away goes first."""
        self._due_at: dict[str, float] = {}
        self._heart: Heart | None = None
        super().__init__(*args, **kwargs)

    def start_beating(self) -> None:
        """Give signs of life from now on."""
        self._heart = Heart(read_environment().redis_url, beat_name())
        self._heart.start()

    def tick(self, *_: Any, **__: Any) -> float:
        """Send what is due and does not wait already; return the seconds until the next."""
        due = list(self._take_due())
        # While no worker takes them, ticks would pile up in the broker's memory.
        unsent = mark_messages([(_task_of(entry), ()) for entry in due])
        for entry, is_unsent in zip(due, unsent, strict=True):
            if is_unsent:
                self.apply_entry(entry, producer=self.producer)
        if self._heart is not None:
            self._heart.turn()
        next_at = min(self._due_at.values(), default=math.inf)
        return min(max(next_at - time.monotonic(), 0.0), MAX_PAUSE_SECONDS)

    def _take_due(self) -> Iterator[ScheduleEntry]:
        for name, entry in self.schedule.items():
            now = time.monotonic()
            if now >= self._due_at.get(name, now):
                every: Any = entry.schedule
                self._due_at[name] = now + every.run_every.total_seconds()
                yield entry

    def apply_async(
        self,
        entry: ScheduleEntry,
        producer: Producer | None = None,
        advance: bool = True,  # noqa: FBT001, FBT002  Celery's signature
        **kwargs: Any,
    ) -> Any:
        """Send an entry; what the broker did not take is sent when it is due again."""
        try:
            return super().apply_async(entry, producer, advance, **kwargs)
        except SchedulingError:
            unmark_message(_task_of(entry), ())
            raise

    def close(self) -> None:
        """End, and leave no beat behind."""
        if self._heart is not None:
            self._heart.stop()
        super().close()


def _task_of(entry: ScheduleEntry) -> str:
    return str(entry.task)


@beat_init.connect
def _start_beating(sender: Any, **_: object) -> None:
    sender.scheduler.start_beating()
