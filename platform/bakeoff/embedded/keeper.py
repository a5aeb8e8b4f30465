"""Keep one process up: start it again when it ends, and when it gives no sign of life.

Guarantees: one keeper's trouble is its own (a server that takes minutes to recover holds nobody up),
and nothing but the stop ends it: no full disk, no folder that is gone, no closed terminal.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING

import psutil

from bakeoff.embedded.log_rotation import rotate
from bakeoff.embedded.processes import kill_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bakeoff.embedded.processes import Child

    # Which processes of a child hang: {process id: why}.
    HangTest = Callable[[Child], dict[int, str]]

logger = logging.getLogger(__name__)
# A child that ends is seen within it; looking costs a system call per process.
TURN_SECONDS = 1.0
# Between two starts of a child that ends at once: no core is burnt on it.
MAX_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0  # up for so long, it starts with a short pause again
# One that lived so long did something useful: failures that came before lengthen its pause less.
USEFUL_SECONDS = 10.0
MAX_USEFUL_FAILURES = 2  # a pause of three seconds


class Keeper:
    """Keeps a child up from `begin` until the platform stops."""

    def __init__(
        self,
        child: Child,
        start: Callable[..., Child],
        stopping: threading.Event,
        log: Callable[[str], None],
        find_hung: HangTest | None = None,
        *,
        max_log_bytes: int = 0,
    ) -> None:
        """Take over a child that runs.

        Args:
            child: the process.
            start: starts another in its place; takes `is_cancelled` by keyword.
            stopping: set when the platform stops.
            log: prints what happened on the terminal.
            find_hung: which of its processes hang; without it only its end is noticed.
            max_log_bytes: beyond which its log is rotated; 0: never.
        """
        self.child = child
        self._start, self._stopping, self._log, self._find_hung = start, stopping, log, find_hung
        self._max_log_bytes = max_log_bytes
        self._failures, self._started_at = 0, time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"keep {child.name}", daemon=True)

    def begin(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait until it has let go of the child."""
        if self._thread.is_alive():
            self._thread.join(max(seconds, 0.0))

    def _run(self) -> None:
        while not self._stopping.wait(TURN_SECONDS):
            try:
                self._turn()
            # The last one that stands: whatever goes wrong here, it must be there for the next turn.
            except Exception as error:
                with contextlib.suppress(Exception):
                    logger.exception("%s is not kept up", self.child.name)
                    self._say(f"{self.child.name} is not started: {error}")

    def _turn(self) -> None:
        rotate(self.child.log, self._max_log_bytes)
        if self.child.alive:
            if time.monotonic() - self._started_at > STEADY_SECONDS:
                self._failures = 0
            self._end_hung()
            return
        if self._stopping.wait(self._pause(time.monotonic() - self._started_at)):
            return
        self._say(f"{self.child.name} ended and is started again (see {self.child.log}).")
        self._failures += 1
        self._started_at = time.monotonic()
        self.child.end_remains()
        self.child = self._start(is_cancelled=self._stopping.is_set)

    def _pause(self, lived: float) -> float:
        """Return how long to wait before a start, in seconds, after a child that lived so long."""
        if lived >= USEFUL_SECONDS:
            self._failures = min(self._failures, MAX_USEFUL_FAILURES)
        return min(TURN_SECONDS * ((1 << self._failures) - 1), MAX_PAUSE_SECONDS)

    def _end_hung(self) -> None:
        """Kill what hangs; this keeper, or the process's own parent, starts another."""
        if self._find_hung is None:
            return
        for pid, why in self._find_hung(self.child).items():
            self._say(f"{self.child.name} hangs and is ended: process {pid} {why}.")
            kill_tree(pid)

    def _say(self, line: str) -> None:
        with contextlib.suppress(Exception):  # nobody may be there to hear it
            self._log(line)


def stop_all(keepers: Sequence[Keeper], seconds: float) -> None:
    """Stop children in the reverse order of their start; none lives after that many seconds."""
    deadline = time.monotonic() + seconds
    children = [keeper.child for keeper in reversed(keepers)]
    for child in children:
        child.request_stop()
    for keeper in keepers:
        keeper.join(deadline - time.monotonic())
    for keeper in keepers:  # one may have been about to start another child
        if keeper.child not in children:
            keeper.child.request_stop()
    descendants = [one for keeper in keepers for one in _descendants(keeper.child)]
    for keeper in reversed(keepers):
        keeper.child.wait_or_kill(deadline - time.monotonic())
        keeper.child.end_remains()
    for process in descendants:  # what a child that ended left behind
        with contextlib.suppress(psutil.Error):
            process.kill()


def _descendants(child: Child) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        if child.pid is not None:
            return psutil.Process(child.pid).children(recursive=True)
    return []
