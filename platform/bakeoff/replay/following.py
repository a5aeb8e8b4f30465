"""Follow what workers and the loop do, with a progress bar and a deadline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django.conf import settings

from bakeoff.accounts.actors import OPERATOR
from experiments.actions.stop_experiment import stop_experiment
from experiments.models import Experiment
from experiments.reports.verdict import VerdictSummary, summarise_verdict
from inference.models import TrainingRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from bakeoff.replay.reporter import Reporter
    from inference.models import ModelVersion

# As often as a progress bar should move.
POLL_SECONDS = 0.2
TIMEOUT_SECONDS = 3600  # the longest training of a demonstration takes minutes
# A verdict comes with a look, a second or two after the last unit is complete; 30 s on a busy machine.
VERDICT_SECONDS = 30.0


class ReplayError(Exception):
    """The loop stopped somewhere; the message says where and why."""


def follow(done: Callable[[], int], total: int, advance: Callable[[int], None], what: str) -> None:
    """Show how far a worker is until it has done all.

    Raises:
        ReplayError: it takes too long.
    """
    seen, deadline = 0, time.monotonic() + TIMEOUT_SECONDS
    while seen < total:
        now = done()
        advance(now - seen)
        seen = now
        _check_deadline(deadline, what)
        time.sleep(POLL_SECONDS)


def wait_until(holds: Callable[[], bool], what: str, *, seconds: float = TIMEOUT_SECONDS) -> None:
    """Wait for something, at most so many seconds.

    Raises:
        ReplayError: it takes too long.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        _check_deadline(deadline, what, seconds)
        time.sleep(POLL_SECONDS)


def follow_run(run: TrainingRun, reporter: Reporter) -> ModelVersion:
    """Show a training run until it ends; return the version that it made.

    Raises:
        ReplayError: it made none.
    """

    def share() -> int:
        run.refresh_from_db()
        if run.state == TrainingRun.State.FAILED:
            raise ReplayError(f"training of {run.algorithm} failed: {run.message}")
        return 100 if run.state not in TrainingRun.ACTIVE else int(run.progress * 99)

    with reporter.progress(f"Training {run.algorithm} in a worker (%)", 100) as advance:
        follow(share, 100, advance, f"training of {run.algorithm}")
    if run.version is None:
        raise ReplayError(f"training of {run.algorithm} made no version: {run.message}")
    return run.version


def follow_experiment(
    experiment: Experiment, reporter: Reporter, *, window_seconds: float
) -> VerdictSummary:
    """Wait until the loop has ended an experiment, or stop it when its units are all complete.

    Args:
        experiment: whose visitors have all come; its row is read again.
        reporter: takes the verdict.
        window_seconds: how long after the last exposure a unit's events count.
    """
    deadline = time.monotonic() + window_seconds + VERDICT_SECONDS
    while _is_running(experiment) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if _is_running(experiment):
        reason = "all visitors came, without a verdict"
        stop_experiment(experiment=experiment, by=OPERATOR, reason=reason)
        experiment.refresh_from_db()
    verdict = summarise_verdict(experiment)
    reporter.echo(f"{experiment}: {verdict.sentence}")
    return verdict


def describe_experiment(experiment: Experiment, verdict: VerdictSummary) -> dict[str, Any]:
    """Return an experiment and its verdict in the shape of `--json`."""
    return {
        "key": experiment.key,
        "control": str(experiment.control.model_version),
        "treatment": str(experiment.treatments[0].model_version),
        "decision": verdict.action,
        "effect": verdict.effect,
        "ci": list(verdict.interval) if verdict.interval else None,
        "units": verdict.units,
    }


def _is_running(experiment: Experiment) -> bool:
    experiment.refresh_from_db()
    return experiment.state == Experiment.State.RUNNING


def _check_deadline(deadline: float, what: str, seconds: float = TIMEOUT_SECONDS) -> None:
    if time.monotonic() > deadline:
        raise ReplayError(f"{what} took longer than {seconds:g} s: see {settings.BAKEOFF.logs}.")
