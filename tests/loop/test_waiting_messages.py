"""While workers are behind, what is asked for again and again waits once: no backlog grows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bakeoff.beat import SteadyScheduler
from bakeoff.celery import app
from experiments.tasks import take_due_look, take_due_looks
from inference.cache import cache_client
from inference.message_marks import message_key
from inference.models import Item, Surface, TrainingRun
from inference.queues import QUEUES
from inference.sending import send_once
from tests.support import builders
from tests.support.broker import broker, full_broker, lose_messages, messages
from tests.support.builders import QUICK_POLICY

TICKS = 5


@pytest.fixture(autouse=True)
def quiet(tables):
    lose_messages()
    yield
    lose_messages()


def waiting() -> dict[str, int]:
    return {queue: broker().llen(queue) for queue in QUEUES}


def test_ticks_of_beat_wait_once_each():
    scheduler = SteadyScheduler(app=app)
    for _ in range(TICKS):
        scheduler._due_at.clear()  # every entry is due
        scheduler.tick()
    assert sum(waiting().values()) == len(app.conf.beat_schedule)
    take_due_looks.apply()
    scheduler._due_at.clear()
    scheduler.tick()
    assert sum(waiting().values()) == len(app.conf.beat_schedule) + 1  # what has begun is sent again


# They send nothing, and delete what other tests keep.
TIDY = {"clean_stored_artifacts", "keep_partitions"}
SENDING = sorted(
    name
    for name in {entry["task"] for entry in app.conf.beat_schedule.values()}
    if name.rpartition(".")[2] not in TIDY
)


def test_no_task_of_the_schedule_sends_for_a_row_what_waits_for_it_already(shop):
    """Everything is due on one surface: a look, a challenger, a retraining, a run, an item's vector."""
    app.loader.import_default_modules()
    experiment = shop.run_experiment(**QUICK_POLICY)
    Surface.objects.filter(pk=shop.surface.pk).update(retrain_algorithm="popularity")
    builders.make_version(shop.surface, [1] * 10, algorithm="ease")
    ago = timezone.now() - timedelta(minutes=5)
    run = TrainingRun.objects.create(surface=shop.surface, algorithm="ease", trigger="a test")
    TrainingRun.objects.filter(pk=run.pk).update(queued_at=ago)
    Item.objects.filter(project=shop.project, item_id="i0").update(vector_due_at=ago)
    for name in SENDING:
        app.tasks[name]()
    once = waiting()
    assert [experiment.pk] in messages("analysis")
    assert messages("default").count([shop.surface.pk]) == 2  # to send on, and to retrain
    assert messages("train") == [[run.pk]]
    assert once["embed"] > 0
    for _ in range(TICKS):
        for name in SENDING:
            app.tasks[name]()
    assert waiting() == once


def test_a_task_that_has_begun_may_be_asked_for_again():
    name = take_due_look.name
    assert [send_once(name, 1), send_once(name, 1), send_once(name, 2)] == [True, False, True]
    take_due_look.apply(args=[1])
    assert send_once(name, 1)
    assert messages("analysis") == [[1], [2], [1]]


def test_a_message_that_was_lost_is_sent_again_within_a_minute():
    send_once(take_due_look.name, 1)
    broker().flushdb()
    assert not send_once(take_due_look.name, 1)
    assert 0 < cache_client().ttl(message_key(take_due_look.name, [1])) <= 60


def test_what_the_broker_refused_does_not_count_as_waiting(monkeypatch):
    with full_broker():  # the cache on the same server takes no mark either
        assert not send_once(take_due_look.name, 1)

    def refuse(*_, **__):
        raise OSError("the broker is away")

    with monkeypatch.context() as away:
        away.setattr(app, "send_task", refuse)
        assert not send_once(take_due_look.name, 1)
    assert send_once(take_due_look.name, 1)
    lose_messages()
    scheduler = SteadyScheduler(app=app)
    with monkeypatch.context() as away:
        away.setattr(app.amqp, "send_task_message", refuse)
        scheduler.tick()
    assert sum(waiting().values()) == 0
    scheduler._due_at.clear()
    scheduler.tick()
    assert sum(waiting().values()) == len(app.conf.beat_schedule)
