"""A training process that is killed, frozen or asked to stop: its run ends as a person would expect."""

from __future__ import annotations

import threading
from datetime import timedelta

import psutil
import psycopg
import pytest
from django.db import OperationalError, connection, connections
from django.utils import timezone

from experiments.actions.retrain_if_due import CLAIM, retrain_if_due
from experiments.actions.retrain_surface import retrain_surface
from experiments.tasks import retrain_scheduled_surface
from inference import outages
from inference.actions import train_in_child
from inference.actions.train_in_child import MAX_ATTEMPTS, claim_training, stop_child
from inference.models import Surface, TrainingRun
from inference.tasks import run_training
from tests.support.broker import lose_messages, messages
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("cold_trainings")  # they are killed and stopped by their pid
PAUSE = timedelta(days=1)


def begin(run: TrainingRun) -> tuple[threading.Thread, psutil.Process]:
    """Train in a thread, as a worker does; return it with the child that it started."""

    def work() -> None:
        run_training(run.pk)
        connections.close_all()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    wait_until(lambda: train_in_child._children, "the child has started")
    return thread, psutil.Process(train_in_child._children[0].pid)


def queue(surface: Surface, **options) -> TrainingRun:
    return retrain_surface(surface=surface, algorithm="popularity", trigger="a test", **options)


def test_a_killed_child_is_taken_up_again_and_its_run_ends_well(learner):
    lose_messages()
    run = queue(learner)
    lose_messages()
    thread, child = begin(run)
    child.kill()
    thread.join(60)
    run.refresh_from_db()
    assert (run.state, run.attempts) == (TrainingRun.State.QUEUED, 1)
    assert "killed by signal 9, as the kernel does when memory is full" in run.message
    assert messages("train") == [[run.pk]]
    run_training(run.pk)
    run.refresh_from_db()
    assert (run.state, run.attempts) == (TrainingRun.State.PASSED, 2), run.message


def test_a_worker_that_is_asked_to_stop_gives_its_run_back(learner):
    run = queue(learner)
    thread, _ = begin(run)
    stop_child()
    thread.join(60)
    run.refresh_from_db()
    assert (run.state, run.attempts) == (TrainingRun.State.QUEUED, 0)


def test_a_database_that_is_away_when_the_child_ends_costs_no_attempt(learner, monkeypatch):
    monkeypatch.setattr(outages, "RETRY_SECONDS", 0.01)
    run, failures = queue(learner), [psycopg.errors.AdminShutdown("it ends")] * 2

    def fail(execute, sql, params, many, context):
        if (
            sql.startswith("UPDATE")
            and failures
            and train_in_child._children == []
            and stopped.is_set()
        ):
            raise OperationalError from failures.pop()
        return execute(sql, params, many, context)

    stopped = threading.Event()

    def stop() -> None:
        wait_until(lambda: train_in_child._children, "the child has started")
        stopped.set()
        stop_child()

    thread = threading.Thread(target=stop)
    thread.start()
    with connection.execute_wrapper(fail):
        train_in_child.train_in_child(run.pk)
    thread.join()
    run.refresh_from_db()
    assert not failures
    assert (run.state, run.attempts) == (TrainingRun.State.QUEUED, 0)


def test_a_frozen_child_is_killed_and_its_run_taken_up_again(learner, monkeypatch):
    monkeypatch.setattr(train_in_child, "CHECK_SECONDS", 0.1)
    run = queue(learner)
    thread, child = begin(run)
    child.suspend()
    stale = timezone.now() - timedelta(minutes=5)
    TrainingRun.objects.filter(pk=run.pk).update(heartbeat_at=stale)
    thread.join(60)
    run.refresh_from_db()
    assert run.state == TrainingRun.State.QUEUED
    assert "gave no sign of life for 60 s and was killed" in run.message


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_that_kills_its_process_again_and_again_fails_with_the_reason(learner, state):
    run = queue(learner)
    stale = timezone.now() - timedelta(minutes=5)
    TrainingRun.objects.filter(pk=run.pk).update(state=state, attempts=MAX_ATTEMPTS, heartbeat_at=stale)
    assert claim_training(run.pk) is None
    run.refresh_from_db()
    assert run.state == TrainingRun.State.FAILED
    assert run.message.startswith("its process died 3 times")


def test_a_run_is_claimed_once(learner):
    run = queue(learner)
    assert claim_training(run.pk) == 1
    assert claim_training(run.pk) is None


@pytest.mark.parametrize("state", ["failed", "cancelled", "skipped"])
def test_the_schedule_trains_again_after_a_run_that_came_to_no_answer(learner, state):
    first = queue(learner)
    TrainingRun.objects.filter(pk=first.pk).update(state=state)
    Surface.objects.filter(pk=learner.pk).update(retrain_algorithm="popularity")
    retrain_scheduled_surface(learner.pk)
    last = learner.training_runs.first()
    assert last != first
    assert (last.state, last.trigger) == (TrainingRun.State.QUEUED, "schedule")


def test_the_schedule_trains_again_with_other_parameters(learner):
    first = queue(learner)
    TrainingRun.objects.filter(pk=first.pk).update(state="passed")
    Surface.objects.filter(pk=learner.pk).update(
        retrain_algorithm="popularity", retrain_params={"half_life_days": 30.0}
    )
    retrain_scheduled_surface(learner.pk)
    assert learner.training_runs.first().state == TrainingRun.State.QUEUED


def due(surface: Surface, trigger: str = "schedule"):
    Surface.objects.filter(pk=surface.pk).update(retrain_algorithm="popularity")
    surface.refresh_from_db()
    return retrain_if_due(surface=surface, trigger=trigger, pause=PAUSE)


def test_drift_and_schedule_queue_one_run(learner):
    assert due(learner, "drift") is not None
    TrainingRun.objects.update(state="failed")
    assert due(learner, "schedule") is None


def test_a_schedule_that_meets_an_active_run_waits_for_its_end(learner):
    """A run by hand must not make a nightly schedule skip its night."""
    by_hand = queue(learner, params={"half_life_days": 3.0})
    assert due(learner) is None
    learner.refresh_from_db()
    assert learner.last_retrained_at is None
    TrainingRun.objects.filter(pk=by_hand.pk).update(state="passed")
    assert due(learner) is not None


def test_a_surface_that_another_process_claimed_is_left_alone_until_the_claim_is_old(learner):
    now = timezone.now()
    Surface.objects.filter(pk=learner.pk).update(retraining_until=now + CLAIM)
    assert due(learner) is None
    Surface.objects.filter(pk=learner.pk).update(retraining_until=now - CLAIM)
    assert due(learner) is not None


def test_a_clock_that_was_fast_does_not_stop_the_schedule(learner):
    ahead = timezone.now() + timedelta(hours=1)
    Surface.objects.filter(pk=learner.pk).update(last_retrained_at=ahead)
    assert due(learner) is not None
