"""How a run shows its progress: share, line and losses in its row, for the run's page."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.db import connection
from django.db.models.functions import Now

from inference.actions.register_version import LostLeaseError
from inference.cache import cache_client
from inference.models import TrainingRun
from inference.models.run_stage import RunStage
from inference.outages import is_outage
from inference.runs.outcome import RunProgress
from inference.serving.changes import announce_live

if TYPE_CHECKING:
    from inference.training_process.run_log import RunLog

MIN_SHARE = 0.01  # of a run: less says nothing of its pace
REPORT_SECONDS = 1.0  # steps take milliseconds; nobody watches more often


class Reporter:
    """Writes progress and heartbeat at most once a second, and stops a run that lost its lease.

    Attributes:
        progress: what the run's work reports to.
    """

    def __init__(self, run: TrainingRun, lease: int, log: RunLog | None = None) -> None:
        """Go on with the losses of earlier attempts.

        Args:
            run: whose progress it is.
            lease: of this attempt.
            log: of the run's lines, if any are kept.
        """
        self._log = log
        self._run_id, self._lease, self._last = run.pk, lease, 0.0
        self._project_id = run.surface.project_id
        # An earlier attempt may have drawn beyond its last checkpoint: those steps are drawn again,
        # and replace their points.
        self._curve = {(fit, step): loss for fit, step, loss in run.curve}
        self._steps: dict[str, int] = {}
        self._step: tuple[str, int, float] | None = None
        self._pace, self._texts_pace = Pace(), Pace()
        self.progress = RunProgress(self._report, self._add, self._note_steps)

    def _note_steps(self, fit: str, steps: int) -> None:
        self._steps[fit] = steps

    def _add(self, fit: str, step: int, loss: float) -> None:
        self._curve[fit, step] = round(loss, 5)
        self._step = (fit, step, round(loss, 5))

    def _report(self, share: float, line: str) -> None:
        now = time.monotonic()
        if now - self._last >= REPORT_SECONDS:
            self._last = now
            self.write(share, line)

    def note_texts(self, done: int, total: int) -> None:
        """Say how many of the catalogue's texts have vectors, before any share of the run is done.

        The time left is that of the texts.

        Raises:
            LostLeaseError: another attempt took over, or somebody cancelled the run.
        """
        now = time.monotonic()
        left = self._texts_pace.seconds_left(done / max(total, 1), now)
        if now - self._last >= REPORT_SECONDS:
            self._last = now
            stage = RunStage("embedding texts", done, total, None, left)
            self._write(0.0, f"embedding {done} of {total} texts", stage, now)

    def write(self, share: float, line: str) -> None:
        """Write now; while a server is away, nothing is written.

        Raises:
            LostLeaseError: another attempt took over, or somebody cancelled the run.
        """
        now = time.monotonic()
        self._write(share, line, self._stage(line, self._pace.seconds_left(share, now)), now)

    def _write(self, share: float, line: str, stage: RunStage, now: float) -> None:
        if self._log is not None:
            self._log.note_stage(stage, share, now)
            self._log.store()
        try:
            held = self._store(share, line, stage)
        except Exception as error:
            if not is_outage(error):
                raise
            # Nobody reads progress now. The next report writes it, and the heartbeat minds the lease.
            connection.close()
            return
        if not held:
            raise LostLeaseError(f"run {self._run_id} was taken over or cancelled.")

    def _store(self, share: float, line: str, stage: RunStage) -> int:
        # Conditional on the lease: an attempt that was given up must not write over the next one's.
        held = TrainingRun.objects.filter(pk=self._run_id, lease=self._lease).update(
            progress=min(max(share, 0.0), 1.0),
            message=line,
            stage=stage.as_json(),
            curve=[[*key, loss] for key, loss in self._curve.items()],
            heartbeat_at=Now(),
        )
        announce_live(cache_client(), self._project_id, "runs")
        return held

    def _stage(self, line: str, seconds_left: float | None) -> RunStage:
        """Return where the run is; a fit's steps are its phase's while the line is about that."""
        phase, _, rest = line.partition(": ")
        if not rest or self._step is None or self._step[0] != phase:
            return RunStage(phase, seconds_left=seconds_left)
        fit, step, loss = self._step
        return RunStage(phase, step, self._steps.get(fit), loss, seconds_left)


class Pace:
    """How fast this attempt goes on: what an earlier one has done took no time of this one."""

    def __init__(self) -> None:
        """Wait for the first report."""
        self._first: tuple[float, float] | None = None
        self._lowest: float | None = None

    def seconds_left(self, share: float, now: float) -> float | None:
        """Return how long the rest takes at the pace so far; None until a hundredth is done.

        It never counts up: a run that slows down says nothing until the rest is shorter again than it
        has said before.

        Args:
            share: done of the run.
            now: seconds of a clock that does not go back.
        """
        if self._first is None:
            self._first = (share, now)
        before, start = self._first
        if share - before < MIN_SHARE:
            return None
        left = round((1 - share) * (now - start) / (share - before), 1)
        if self._lowest is not None and left > self._lowest:
            return None
        self._lowest = left
        return left
