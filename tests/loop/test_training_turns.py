"""One queue for all projects: what a person asked for goes first, then projects in turn."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from inference import tasks
from inference.models import TrainingRun
from inference.training.turns import candidates_for, in_turn
from inference.training.waiting import waiting_of
from tests.support import builders, commands


@pytest.fixture
def nothing_queued(tables):
    """Of other tests: what they left waits for nobody."""
    TrainingRun.objects.filter(state__in=("queued", "running")).update(state="failed")


def queue(shop, trigger, algorithm="als", **fields):
    return TrainingRun.objects.create(
        surface=shop.surface, algorithm=algorithm, trigger=trigger, **fields
    )


def train_all(monkeypatch, messages):
    """Handle messages as one worker does; return which runs trained, in their order."""
    trained = []

    def train(run_id):
        taken = TrainingRun.objects.filter(pk=run_id, state="queued").update(
            state="passed", started_at=timezone.now(), ended_at=timezone.now()
        )
        trained.extend([run_id] * taken)
        return bool(taken)

    monkeypatch.setattr(tasks, "train_in_child", train)
    for message in messages:
        tasks.train_in_turn(message.pk)
    return trained


def test_a_persons_run_goes_before_scheduled_ones_and_projects_take_turns(nothing_queued, monkeypatch):
    one, other = builders.make_shop(), builders.make_shop()
    auto = [queue(one, "schedule", name) for name in ("als", "ease", "item-knn")]
    drift = queue(other, "drift", "als")
    by_hand = queue(other, "ann", "ease")
    messages = [*auto, drift, by_hand]
    # The person's first; then the project that has trained least recently, and so in turn.
    assert train_all(monkeypatch, messages) == [
        by_hand.pk,
        auto[0].pk,
        drift.pk,
        auto[1].pk,
        auto[2].pk,
    ]
    assert train_all(monkeypatch, messages) == []  # messages that come again start nothing


def test_a_scheduled_run_that_has_waited_for_hours_counts_as_asked_for(nothing_queued):
    one, other = builders.make_shop(), builders.make_shop()
    scheduled, drift = queue(one, "schedule"), queue(one, "drift", "ease")
    by_keys = queue(other, "a key", "ease"), queue(one, "a key", "item-knn")
    assert list(in_turn()) == [*by_keys, scheduled, drift]
    for run, hours in ((scheduled, 7), (drift, 5)):
        TrainingRun.objects.filter(pk=run.pk).update(queued_at=timezone.now() - timedelta(hours=hours))
    assert list(in_turn()) == [scheduled, *by_keys, drift]


def test_a_project_that_trained_lately_waits_for_the_others(nothing_queued):
    one, other = builders.make_shop(), builders.make_shop()
    ended = {"state": "passed", "ended_at": timezone.now()}
    queue(one, "ann", "ease", started_at=timezone.now(), **ended)
    queue(other, "ann", "ease", started_at=timezone.now() - timedelta(hours=2), **ended)
    first, second = queue(one, "ann"), queue(other, "ben")
    assert list(in_turn()) == [second, first]
    assert waiting_of(first).ahead == 1
    assert waiting_of(second).ahead == 0


def test_a_scheduled_run_says_that_a_persons_comes_before_it(nothing_queued):
    one, other = builders.make_shop(), builders.make_shop()
    scheduled = queue(one, "schedule")
    queue(other, "ann")
    show = ["runs", "show", str(scheduled.pk), "--project", one.project.slug]
    assert "and 1 queued before it" in " ".join(commands.run(*show).split())


def test_a_run_that_was_interrupted_goes_on_by_its_own_message(nothing_queued):
    shop = builders.make_shop()
    long_ago = timezone.now() - timedelta(days=1)
    broken = queue(shop, "schedule", state="running", started_at=long_ago, heartbeat_at=long_ago)
    waits = queue(builders.make_shop(), "ann")
    assert candidates_for(broken.pk) == [broken.pk]
    assert candidates_for(waits.pk) == [waits.pk]
