"""What this process logs, for the page of its run.

Guarantees: a line that cannot be stored, because PostgreSQL is away, waits for the next moment and
never fails the run; at most `MAX_LINES` wait, the newest; what other threads log meanwhile is stored
with the next ones.
"""

from __future__ import annotations

import logging
import traceback
from collections import deque
from typing import TYPE_CHECKING

from django.db import DatabaseError, connection

from inference.actions.write_run_log import LogLine, write_run_log
from inference.models.run_log import MAX_LINES, RunLogLine
from inference.process_group import place

if TYPE_CHECKING:
    from inference.models.run_stage import RunStage

STAGE_SECONDS = 30.0  # a phase of an hour has a line now and then, not one per second
_LEVELS = {logging.INFO: RunLogLine.Level.INFO, logging.WARNING: RunLogLine.Level.WARNING}


class RunLog(logging.Handler):
    """Collects lines of this process, and stores them when told: from the main thread alone."""

    def __init__(self, run_id: int, attempt: int) -> None:
        """Begin with nothing."""
        super().__init__(logging.INFO)
        self._run_id, self._attempt = run_id, attempt
        self._waiting: deque[LogLine] = deque(maxlen=MAX_LINES)
        self._phase, self._noted_at = "", float("-inf")

    def attach(self) -> None:
        """Collect what any logger of this process writes, warnings of Python among it."""
        logging.captureWarnings(capture=True)
        logging.getLogger().addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record; its traceback becomes lines of their own."""
        level = _LEVELS.get(record.levelno, RunLogLine.Level.ERROR)
        try:
            self._add(level, f"{record.name}: {record.getMessage()}")
        except Exception:  # noqa: BLE001  a library's wrong call of its logger must not fail the run
            self.handleError(record)
            return
        if record.exc_info and record.exc_info[1] is not None:
            self.add_traceback(record.exc_info[1])

    def say(self, text: str) -> None:
        """Take a line of the run itself."""
        self._add(RunLogLine.Level.INFO, text)

    def add_traceback(self, error: BaseException) -> None:
        """Take where an error came from, a line each."""
        for part in traceback.format_exception(error):
            self._add(RunLogLine.Level.ERROR, *part.splitlines())

    def note_stage(self, stage: RunStage, share: float, now: float) -> None:
        """Take a line where the phase is a new one, or `STAGE_SECONDS` have passed.

        Args:
            stage: where the run is.
            share: done of it, in [0, 1].
            now: seconds of a clock that does not go back.
        """
        if stage.phase == self._phase and now - self._noted_at < STAGE_SECONDS:
            return
        self._phase, self._noted_at = stage.phase, now
        self.say(f"{share:.0%} {stage.line}")

    def flush(self) -> None:
        """Nothing: `logging` calls it from any thread, and this thread's connection is not theirs."""

    def store(self) -> None:
        """Store what waits; while PostgreSQL is away it waits on."""
        if not self._waiting or place():  # of processes that train together the first alone writes
            return
        # Before they are written: what another thread adds meanwhile must push out none of these.
        lines = [self._waiting.popleft() for _place in range(len(self._waiting))]
        try:
            write_run_log(self._run_id, lines, attempt=self._attempt)
        except DatabaseError:
            connection.close()
            self._put_back(lines)

    def _put_back(self, lines: list[LogLine]) -> None:
        """Let lines wait again before those that came meanwhile; of too many the oldest go."""
        self.acquire()
        try:
            self._waiting = deque([*lines, *self._waiting], maxlen=MAX_LINES)
        finally:
            self.release()

    def _add(self, level: str, *texts: str) -> None:
        lines = [LogLine(level, text) for text in texts]
        self.acquire()  # logging holds it already; the run's own lines come without it
        try:
            self._waiting.extend(lines)
        finally:
            self.release()
