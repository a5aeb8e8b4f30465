"""How a run shows its progress: share, line and losses in its row, for the run's page."""

from __future__ import annotations

import time

from django.db.models.functions import Now

from inference.actions.register_version import LostLeaseError
from inference.cache import cache_client
from inference.models import TrainingRun
from inference.runs.outcome import RunProgress
from inference.serving.changes import announce_live

REPORT_SECONDS = 1.0  # steps take milliseconds; nobody watches more often


class Reporter:
    """Writes progress and heartbeat at most once a second, and stops a run that lost its lease.

    Attributes:
        progress: what the run's work reports to.
    """

    def __init__(self, run: TrainingRun, lease: int) -> None:
        """Go on with the losses of earlier attempts."""
        self._run_id, self._lease, self._last = run.pk, lease, 0.0
        self._project_id = run.surface.project_id
        # An earlier attempt may have drawn beyond its last checkpoint: those steps are drawn again,
        # and replace their points.
        self._curve = {(fit, step): loss for fit, step, loss in run.curve}
        self.progress = RunProgress(self._report, self._add)

    def _add(self, fit: str, step: int, loss: float) -> None:
        self._curve[fit, step] = round(loss, 5)

    def _report(self, share: float, line: str) -> None:
        now = time.monotonic()
        if now - self._last >= REPORT_SECONDS:
            self._last = now
            self.write(share, line)

    def write(self, share: float, line: str) -> None:
        """Write now.

        Raises:
            LostLeaseError: another attempt took over, or somebody cancelled the run.
        """
        # Conditional on the lease: an attempt that was given up must not write over the next one's.
        held = TrainingRun.objects.filter(pk=self._run_id, lease=self._lease).update(
            progress=min(max(share, 0.0), 1.0),
            message=line,
            curve=[[*key, loss] for key, loss in self._curve.items()],
            heartbeat_at=Now(),
        )
        announce_live(cache_client(), self._project_id, "runs")
        if not held:
            raise LostLeaseError(f"run {self._run_id} was taken over or cancelled.")
