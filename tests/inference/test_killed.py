"""A training that is killed at random moments ends as one that was not, and never shows half an artifact."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from datetime import timedelta

import psutil
import psycopg
import pytest
from django.conf import settings
from django.utils import timezone

from experiments.actions.retrain_surface import retrain_surface
from inference.actions.cancel_training import CannotCancelError, cancel_training
from inference.models import TrainingRun
from inference.serving.artifact import check_artifact
from inference.tasks import run_training
from tests.support.fast_lane import test_database_url
from tests.support.learning import train
from tests.support.ranking import make_decisions, make_rank_surface, write_decisions
from tests.support.servers import WARM
from tests.support.waiting import wait_until
from tests.support.warm_python import called_by

# "make test" kills once, and the method whose checkpoints hold most; BAKEOFF_TEST_KILLS=20 is the full
# proof, of both methods.
KILLS = int(os.environ.get("BAKEOFF_TEST_KILLS", "1"))
METHODS = ["adalora", "full"][: 2 if KILLS > 1 else 1]


def start(run: TrainingRun) -> subprocess.Popen:
    """Start an attempt, and wait for its first word: before it, the process only imports."""
    TrainingRun.objects.filter(pk=run.pk).update(
        state="running", lease=run.lease + 1, heartbeat_at=timezone.now(), message=""
    )
    run.refresh_from_db()
    process = subprocess.Popen(
        [WARM, "-m", "inference.training_process", str(run.pk), str(run.lease)],
        stderr=subprocess.PIPE,
    )
    begun = TrainingRun.objects.filter(pk=run.pk).exclude(message="")
    wait_until(lambda: begun.exists() or process.poll() is not None, "the attempt begins")
    return process


def artifacts() -> set[str]:
    """Names of what is visible; what is still being written begins with a dot."""
    return {f.name for f in settings.BAKEOFF.artifacts.iterdir() if not f.name.startswith(".")}


@pytest.mark.parametrize("method", METHODS)
def test_a_run_killed_again_and_again_ends_the_same(desk, method, monkeypatch):
    params = {"method": method, "epochs": 4.0 * KILLS, "batch": 16, "rate": 1e-3}
    monkeypatch.setenv("BAKEOFF_CHECKPOINT_SECONDS", "0.2")
    whole = train(desk.surface, "bert", **params).version
    rng, before = random.Random(0), artifacts()
    run = retrain_surface(surface=desk.surface, algorithm="bert", trigger="a test", params=params)
    killed = 0
    while killed < KILLS:
        process = start(run)
        time.sleep(rng.uniform(0.0, 1.5))
        if process.poll() is not None:
            break
        called_by(psutil.Process(process.pid)).kill()
        assert process.wait() == -signal.SIGKILL
        killed += 1
        for digest in artifacts() - before:  # no half artifact is ever visible
            check_artifact(settings.BAKEOFF.artifacts, digest)
    run.refresh_from_db()
    if run.state == TrainingRun.State.RUNNING:
        stale = timezone.now() - timedelta(minutes=5)
        TrainingRun.objects.filter(pk=run.pk).update(heartbeat_at=stale)
        run_training(run.pk)
        run.refresh_from_db()
    assert killed > 0
    assert run.version is not None, run.message
    assert run.version.artifact_sha256 == whole.artifact_sha256
    for metric in ("accuracy", "log_score", "f1"):
        assert run.version.gate["rows"][metric] == whole.gate["rows"][metric]


def test_a_policy_killed_before_it_is_registered_is_learnt_again(shop, monkeypatch):
    """At the worst moment: its artifact is whole, and its version is not there yet."""
    monkeypatch.setenv("DATABASE_URL", test_database_url())
    surface = make_rank_surface(shop.project)
    write_decisions(shop, surface, make_decisions(220))
    run = retrain_surface(surface=surface, algorithm="linear-thompson", trigger="a test")
    before = artifacts()
    with psycopg.connect(test_database_url()) as connection:
        # Who registers a version locks its surface's row: this attempt waits there until it is killed.
        sql = "SELECT 1 FROM inference_surface WHERE id = %s FOR NO KEY UPDATE"
        connection.execute(sql, [surface.pk])
        process = start(run)
        waits = "SELECT 1 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"
        ours = [connection.info.backend_pid]
        wait_until(
            lambda: connection.execute(waits, ours).fetchone() or process.poll() is not None,
            "the version is to be registered",
        )
        assert process.poll() is None, process.stderr.read()
        called_by(psutil.Process(process.pid)).kill()
        assert process.wait() == -signal.SIGKILL
    learnt = artifacts() - before
    for digest in learnt:
        check_artifact(settings.BAKEOFF.artifacts, digest)
    run.refresh_from_db()
    assert (run.state, run.version) == (TrainingRun.State.RUNNING, None)
    assert not surface.versions.exists()
    stale = timezone.now() - timedelta(minutes=5)
    TrainingRun.objects.filter(pk=run.pk).update(heartbeat_at=stale)
    run_training(run.pk)
    run.refresh_from_db()
    assert run.state == TrainingRun.State.PASSED, run.message
    assert run.version.artifact_sha256 in learnt
    assert surface.versions.count() == 1


def test_a_cancelled_run_ends_and_publishes_nothing(desk):
    run = retrain_surface(
        surface=desk.surface,
        algorithm="bert",
        trigger="a test",
        params={"epochs": 2000.0, "most_steps": 100_000},
    )
    process = start(run)
    deadline = time.monotonic() + 60
    while run.progress == 0 and time.monotonic() < deadline:
        time.sleep(0.2)
        run.refresh_from_db()
    cancel_training(run=run, by="a test")
    assert process.wait(timeout=20) != 0
    run.refresh_from_db()
    assert (run.state, run.version) == (TrainingRun.State.CANCELLED, None)
    assert not desk.surface.versions.exists()
    with pytest.raises(CannotCancelError, match="is cancelled, must be queued or running"):
        cancel_training(run=run, by="a test")
