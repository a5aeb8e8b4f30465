"""Tell, line by line, how an experiment's ramp goes on while visitors come."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from django.db import connection
from django.utils import timezone

from experiments.models import Experiment
from experiments.programme.ramp import next_step_sentence, read_ramp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from bakeoff.replay.reporter import Reporter
    from bakeoff.replay.visitors import SimulatedVisitor
    from experiments.programme.ramp_types import RampState

POLL_SECONDS = 0.25
# Between two lines of one step: what a reader can follow.
LINE_SECONDS = 2.0


class Narrator:
    """A thread that reads a running experiment and tells what changes; it ends with the experiment.

    Attributes:
        shares: of all users that the treatment reached, in their order.
    """

    def __init__(self, experiment: Experiment, reporter: Reporter) -> None:
        """Prepare."""
        self.shares: list[float] = []
        self._experiment, self._reporter = experiment, reporter
        self._ended, self._stopping = threading.Event(), threading.Event()
        self._started, self._echoed_at = time.monotonic(), 0.0
        self._thread = threading.Thread(target=self._tell, name="narrator", daemon=True)

    def __enter__(self) -> Narrator:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, whether or not the experiment has ended."""
        self._stopping.set()
        self._thread.join()

    @property
    def is_running(self) -> bool:
        """Whether the experiment ran when it was read last."""
        return not self._ended.is_set()

    @property
    def seconds(self) -> float:
        """How long it has told, in seconds."""
        return time.monotonic() - self._started

    def while_running(self, visitors: Iterable[SimulatedVisitor]) -> Iterator[SimulatedVisitor]:
        """Yield visitors, until the experiment has ended."""
        for visitor in visitors:
            if self._ended.is_set():
                return
            yield visitor

    def _tell(self) -> None:
        try:
            while not self._stopping.is_set():
                # A row of its own: what a look or the ramp writes meanwhile is read, never saved.
                row = Experiment.objects.get(pk=self._experiment.pk)
                if row.state != Experiment.State.RUNNING:
                    self._ended.set()
                    return
                self._tell_ramp(read_ramp(row, timezone.now()))
                self._stopping.wait(POLL_SECONDS)
        finally:
            connection.close()  # this thread's own

    def _tell_ramp(self, state: RampState | None) -> None:
        if state is None:
            return
        share, is_last = state.current.share, state.next_share is None
        is_new = not self.shares or share != self.shares[-1]
        if is_new:
            self.shares.append(share)
            text = "until the verdict" if is_last else next_step_sentence(state)
            self._echo(f"{100 * share:.3g}% of all users get the treatment; {text}")
        elif not is_last and time.monotonic() - self._echoed_at >= LINE_SECONDS:
            self._echo(progress_of(state))

    def _echo(self, line: str) -> None:
        self._echoed_at = time.monotonic()
        self._reporter.echo(f"  [{self.seconds:3.0f} s] ramp: {line}")


def progress_of(state: RampState) -> str:
    """Return how far a step is, and what holds it."""
    needs = {need.kind: need for need in state.needs}
    time_need, users = needs["time"], needs.get("users")
    left = max((time_need.required or 0.0) - (time_need.actual or 0.0), 0.0)
    parts = [f"{100 * state.current.share:.3g}%"]
    if users is not None:
        parts.append(f"{users.actual:.0f} of {users.required:.0f} users in the treatment")
    parts.append(f"{left:.0f} s left" if left else "its time has passed")
    parts += [f"held: {need.sentence}" for need in state.held_by]
    return ", ".join(parts)
