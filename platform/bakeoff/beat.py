"""Beat: asks for what may be due, again and again.

Guarantees: it measures by the monotonic clock and keeps no file, so that a wall clock that was fast, or
that jumps, neither stops nor doubles anything. A tick that is lost is worth nothing: the next one asks
for the same, and each task looks in the rows for what is due.
"""

from __future__ import annotations

import math
import time
from typing import Any

from celery.beat import Scheduler
from celery.signals import beat_init

from bakeoff.environment import read_environment
from bakeoff.heartbeat import Heart, beat_name

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
        """Send what is due; return how many seconds there are until the next."""
        for name, entry in self.schedule.items():
            now = time.monotonic()
            if now >= self._due_at.get(name, now):
                every: Any = entry.schedule
                self._due_at[name] = now + every.run_every.total_seconds()
                self.apply_entry(entry, producer=self.producer)
        if self._heart is not None:
            self._heart.turn()
        next_at = min(self._due_at.values(), default=math.inf)
        return min(max(next_at - time.monotonic(), 0.0), MAX_PAUSE_SECONDS)

    def close(self) -> None:
        """End, and leave no beat behind."""
        if self._heart is not None:
            self._heart.stop()
        super().close()


@beat_init.connect
def _start_beating(sender: Any, **_: object) -> None:
    sender.scheduler.start_beating()
