"""Train a run in a process of its own, under a claim.

Guarantees: one process works on a run at a time; a run whose process was killed or froze is taken up
again, at most `MAX_ATTEMPTS` times, and then fails with the reason. A worker that is asked to stop, or
a database that was away, gives the run back, which counts as no attempt.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import F
from django.db.models.functions import Now

from inference.actions.fail_training import fail_training
from inference.actions.write_run_log import LogLine, write_run_log
from inference.algorithms import shares_steps
from inference.models import RunLogLine, TrainingRun
from inference.models.registry import STALE_AFTER
from inference.outages import outlast_outage
from inference.process_group import environment_of
from inference.trace_context import in_current_trace

if TYPE_CHECKING:
    from typing import IO

logger = logging.getLogger(__name__)
MAX_ATTEMPTS = 3  # a run that needs more memory than there is dies each time
CHECK_SECONDS = 5.0  # a lost run holds its worker this much longer at most
# Two looks in a row, so that one moment without PostgreSQL, or a clock that jumps, kills nothing.
STALE_CHECKS = 2
TEMPORARY = 75  # sysexits.h EX_TEMPFAIL: what it needs was away
PEER_LOST = 76  # a process that shares the steps ended: its own status says why
FROZEN = -1000  # no signal has this number: the child was silent and is killed here
MAX_MESSAGE_BYTES = 8192  # of the end of stderr: the reason is its last line
INTERPRETER = sys.executable
_children: list[subprocess.Popen[bytes]] = []


def train_in_child(run_id: int) -> bool:
    """Train until the child ends; return whether it began: a run may be another's, or have ended."""
    lease = claim_training(run_id)
    if lease is None:
        return False
    with tempfile.TemporaryFile() as stderr:
        status = _run_children(run_id, lease, stderr)
        if status == 0:
            return True
        stderr.seek(max(stderr.seek(0, os.SEEK_END) - MAX_MESSAGE_BYTES, 0))
        why = _reason(status, stderr.read().decode(errors="replace"))
    outlast_outage(partial(_log_end, run_id, lease, status, why))
    # What ended the child may be PostgreSQL's absence, and without this the attempt would count.
    outlast_outage(partial(_settle, run_id, lease, status, why))
    return True


def claim_training(run_id: int) -> int | None:
    """Take a run up; return the lease, or None when it is not free or was tried too often."""
    free = TrainingRun.objects.free_to_take().filter(pk=run_id)
    # A process that died with its worker told nobody; the count keeps such a run from killing for ever.
    fail_training(
        free.filter(attempts__gte=MAX_ATTEMPTS),
        f"its process died {MAX_ATTEMPTS} times without a word, so it is not tried again.",
        lease=F("lease") + 1,
    )
    claimed = free.filter(attempts__lt=MAX_ATTEMPTS).update(
        state=TrainingRun.State.RUNNING,
        lease=F("lease") + 1,
        attempts=F("attempts") + 1,
        started_at=Now(),
        heartbeat_at=Now(),
    )
    if not claimed:
        return None
    return TrainingRun.objects.values_list("lease", flat=True).get(pk=run_id)


def stop_child() -> None:
    """Ask the child of this process to end, if there is one: its run is given back."""
    for process in _children:
        process.terminate()


def _run_children(run_id: int, lease: int, stderr: IO[bytes]) -> int:
    """Run the attempt's process, and those that share its steps, until the first of them ends.

    Returns:
        Its exit status, a negative signal, or `FROZEN`.
    """
    rows = TrainingRun.objects.select_related("surface")
    run = outlast_outage(partial(rows.get, pk=run_id))  # it is claimed: an absence now must not cost it
    shares = run.compresses_id is None and shares_steps(run.surface.kind, run.algorithm)
    count = settings.BAKEOFF.training_processes if shares else 1
    command = [INTERPRETER, "-m", "inference.training_process", str(run_id), str(lease)]
    mine: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="bakeoff-training-") as folder:
        try:
            for place in range(count):
                of_place = environment_of(place, count, Path(folder) / "meeting-place")
                env = in_current_trace(os.environ) | of_place
                child = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, env=env
                )
                mine.append(child)
                _children.append(child)
            status = _wait(mine[0], run_id, lease)
            return _status_of_others(mine[1:]) if status == PEER_LOST else status
        finally:
            for child in mine:
                child.kill()  # what is left only shared the first one's steps
                child.wait()
                _children.remove(child)


def _wait(process: subprocess.Popen[bytes], run_id: int, lease: int) -> int:
    """Wait until the process ends, or kill it when it is lost."""
    stale = 0
    while True:
        try:
            return process.wait(CHECK_SECONDS)
        except subprocess.TimeoutExpired:
            stale = stale + 1 if _is_lost(run_id, lease) else 0
        if stale >= STALE_CHECKS:
            process.kill()  # SIGTERM would not reach a process that is stopped
            process.wait()
            return FROZEN


def _status_of_others(others: list[subprocess.Popen[bytes]]) -> int:
    """Return why the first process had nobody to take a step with: the status of the one that ended."""
    for other in others:
        with contextlib.suppress(subprocess.TimeoutExpired):
            if (status := other.wait(CHECK_SECONDS)) not in {0, PEER_LOST}:
                return status
    return PEER_LOST


def _is_lost(run_id: int, lease: int) -> bool:
    """Whether the child has given no sign of life, or its lease has passed on."""
    try:
        run = TrainingRun.objects.filter(pk=run_id)
        return not run.filter(lease=lease).exists() or run.abandoned().exists()
    except DatabaseError:
        connection.close()  # PostgreSQL is away for a moment; the next look tries again
        return False


def _log_end(run_id: int, lease: int, status: int, why: str) -> None:
    """Write to the run's log how the attempt ended, unless another one has taken over."""
    run = TrainingRun.objects.filter(pk=run_id, lease=lease).first()
    if run is not None:
        goes_on = status in {-signal.SIGTERM, TEMPORARY}
        level = RunLogLine.Level.WARNING if goes_on else RunLogLine.Level.ERROR
        write_run_log(run_id, [LogLine(level, why)], attempt=run.attempts)


def _settle(run_id: int, lease: int, status: int, why: str) -> None:
    """Fail the run, or queue it again.

    Conditional on the lease: another attempt may have taken the run over already.
    """
    mine = TrainingRun.objects.filter(pk=run_id, lease=lease, state=TrainingRun.State.RUNNING)
    if status in {-signal.SIGTERM, TEMPORARY}:  # neither is the run's fault
        mine.update(
            state=TrainingRun.State.QUEUED,
            attempts=F("attempts") - 1,
            message=f"{why}; it is taken up again",
        )
        return
    if status > 0:
        fail_training(mine, why)
        return
    logger.warning("run %s: %s", run_id, why)
    fail_training(mine.filter(attempts__gte=MAX_ATTEMPTS), f"{why}; tried {MAX_ATTEMPTS} times")
    mine.filter(attempts__lt=MAX_ATTEMPTS).update(
        state=TrainingRun.State.QUEUED, message=f"{why}; it is taken up again"
    )


def _reason(status: int, stderr: str) -> str:
    """Return why a child ended, in words."""
    if status == -signal.SIGTERM:
        return "its worker was asked to stop"
    if status == FROZEN:
        return f"its process gave no sign of life for {STALE_AFTER.total_seconds():g} s and was killed"
    if status == -signal.SIGKILL:
        return (
            "its process was killed by signal 9, as the kernel does when memory is full: free some, or "
            "train with smaller parameters"
        )
    if status < 0:
        return f"its process was ended by signal {-status} ({signal.Signals(-status).name})"
    lines = stderr.strip().splitlines()
    if not lines:
        return f"its process ended with status {status}"
    # The path of an exception's class says nothing to who reads the run's page.
    return re.sub(r"^(?:\w+\.)+(\w+: )", r"\1", lines[-1])
