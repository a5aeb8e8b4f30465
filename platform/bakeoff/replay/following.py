"""Follow what workers do, with a progress bar and an end to patience."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.conf import settings

from bakeoff.commands.terminal import progress
from inference.models import TrainingRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference.models import ModelVersion

POLL_SECONDS = 0.2
PATIENCE_SECONDS = 3600


class ReplayError(Exception):
    """The loop stopped somewhere; the message says where and why."""


def follow(done: Callable[[], int], total: int, advance: Callable[[int], None], what: str) -> None:
    """Show how far a worker is until it has done all.

    Raises:
        ReplayError: it takes too long.
    """
    seen, deadline = 0, time.monotonic() + PATIENCE_SECONDS
    while seen < total:
        now = done()
        advance(now - seen)
        seen = now
        _check_deadline(deadline, what)
        time.sleep(POLL_SECONDS)


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Wait for something.

    Raises:
        ReplayError: it takes too long.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        _check_deadline(deadline, what)
        time.sleep(POLL_SECONDS)


def follow_run(run: TrainingRun) -> ModelVersion:
    """Show a training run until it ends; return the version that it made.

    Raises:
        ReplayError: it made none.
    """

    def share() -> int:
        run.refresh_from_db()
        if run.state == TrainingRun.State.FAILED:
            raise ReplayError(f"training of {run.recommender} failed: {run.message}")
        return 100 if run.state not in TrainingRun.ACTIVE else int(run.progress * 99)

    with progress(f"Training {run.recommender} in a worker (%)", 100) as advance:
        follow(share, 100, advance, f"training of {run.recommender}")
    if run.version is None:
        raise ReplayError(f"training of {run.recommender} made no version: {run.message}")
    return run.version


def _check_deadline(deadline: float, what: str) -> None:
    if time.monotonic() > deadline:
        raise ReplayError(f"{what} took longer than {PATIENCE_SECONDS} s: see {settings.BAKEOFF.logs}.")
