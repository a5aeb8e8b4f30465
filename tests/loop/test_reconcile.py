"""Rows say what is due: what the broker loses is sent again, and sent twice it is done once."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import InterfaceError, OperationalError
from django.test import RequestFactory
from django.utils import timezone
from redis.exceptions import RedisError

from bakeoff.api.application import api
from bakeoff.dashboard.health import health_issues
from experiments.actions.mark_units import mark_all_units, surfaces_to_mark
from experiments.actions.reconcile import reconcile
from inference.actions.load_items import ItemDraft, load_items
from inference.cache import cache_client
from inference.encoders.item_vectors import settle_vectors
from inference.models import Item, TrainingRun
from inference.queues import read_queues
from inference.serving.keys import dirty_key, marked_key
from inference.tasks import embed_items
from tests.support import builders
from tests.support.broker import broker, full_broker, lose_messages, messages
from tests.support.builders import make_version

AGO = timedelta(minutes=5)


@pytest.fixture(autouse=True)
def quiet(empty_platform):
    """No message and nothing due of the tests before."""
    lose_messages()
    Item.objects.update(vector_due_at=None)
    TrainingRun.objects.filter(state__in=TrainingRun.ACTIVE).update(state="failed")


def queued(shop, **fields) -> TrainingRun:
    run = TrainingRun.objects.create(
        surface=shop.surface, algorithm="popularity", trigger="a test", **fields
    )
    TrainingRun.objects.filter(pk=run.pk).update(queued_at=timezone.now() - AGO)
    return run


def test_a_lost_run_is_sent_again_and_once(shop):
    run = queued(shop)
    assert reconcile() == 1
    assert messages("train") == [[run.pk]]
    assert reconcile() == 0  # its message waits: a worker will come to it
    lose_messages()
    assert reconcile() == 1
    assert messages("train") == [[run.pk]]


def test_an_abandoned_run_is_sent_again_and_a_live_one_is_not(shop):
    run = queued(shop, state="running", heartbeat_at=timezone.now())
    assert reconcile() == 0
    TrainingRun.objects.filter(pk=run.pk).update(heartbeat_at=timezone.now() - AGO)
    assert reconcile() == 1
    assert messages("train") == [[run.pk]]


def test_a_message_that_is_on_its_way_is_not_sent_twice(shop):
    TrainingRun.objects.create(surface=shop.surface, algorithm="popularity", trigger="a test")
    assert reconcile() == 0


def test_items_without_vectors_are_sent_again_until_they_have_them(shop, tiny_bert):
    load_items(project_id=shop.project.pk, items=[ItemDraft("new", "A new one")])
    item = Item.objects.get(project=shop.project, item_id="new")
    assert reconcile() == 0  # just loaded: its message is on its way
    Item.objects.filter(pk=item.pk).update(vector_due_at=timezone.now() - AGO)
    assert reconcile() == 1
    assert messages("embed") == [[[item.pk]]]
    lose_messages()
    assert reconcile() == 0  # left alone for a moment
    embed_items([item.pk])
    item.refresh_from_db()
    assert item.vector_due_at is None


def test_items_that_nobody_can_embed_are_asked_for_less_and_less_often_and_named(shop):
    item = shop.project.items.first()
    for minutes in (15, 600):
        long_ago = timezone.now() - timedelta(minutes=minutes)
        shop.project.items.filter(pk=item.pk).update(updated_at=long_ago, vector_due_at=long_ago)
        lose_messages()
        assert reconcile() == 1
        item.refresh_from_db()
        pause = item.vector_due_at - timezone.now()
        assert (
            timedelta(minutes=min(minutes, 60) - 2) < pause <= timedelta(minutes=min(minutes, 60) + 1)
        )
    whats = [issue.what for issue in health_issues(shop.project)]
    assert "the texts of 1 items have waited for embedding for more than 10 minutes" in whats


def test_an_item_that_changed_while_it_was_embedded_stays_due(shop):
    load_items(project_id=shop.project.pk, items=[ItemDraft("i0", "First")])
    before = Item.objects.get(project=shop.project, item_id="i0")
    load_items(project_id=shop.project.pk, items=[ItemDraft("i0", "Second")])
    settle_vectors([before])
    before.refresh_from_db()
    assert before.vector_due_at is not None


def test_a_full_broker_refuses_nobody_and_the_work_is_sent_later(lane, shop):
    with full_broker():
        answer = lane.client.put(
            "/v1/items",
            json={"items": [{"item_id": "late", "title": "Late"}]},
            headers={"X-API-Key": shop.secret},
        )
    assert (answer.status_code, answer.json()) == (200, {"written": 1})
    assert messages("embed") == []
    item = Item.objects.get(project=shop.project, item_id="late")
    Item.objects.filter(pk=item.pk).update(vector_due_at=timezone.now() - AGO)
    assert reconcile() == 1
    assert messages("embed") == [[[item.pk]]]


def test_a_training_and_a_start_are_accepted_while_the_broker_and_the_cache_are_full(lane, shop):
    _click(shop, "u1")
    experiment = shop.define(make_version(shop.surface, [1] * 10))
    headers = {"X-API-Key": shop.secret}
    with full_broker():
        trained = lane.client.post(
            "/v1/surfaces/home-feed/training-runs", json={"algorithm": "ease"}, headers=headers
        )
        started = lane.client.post(f"/v1/experiments/{experiment.key}/start", headers=headers)
    assert (trained.status_code, trained.json()["state"]) == (202, "queued")
    assert started.status_code == 200
    assert messages("train") == []
    TrainingRun.objects.filter(pk=trained.json()["id"]).update(queued_at=timezone.now() - AGO)
    assert reconcile() == 1
    assert messages("train") == [[trained.json()["id"]]]
    assert cache_client().sismember(dirty_key(shop.surface.pk), "u1")


@pytest.mark.parametrize(
    "error", [OperationalError("server closed"), RedisError("away"), InterfaceError("closed")]
)
def test_a_server_that_is_away_is_said_in_the_one_error_shape(error):
    answer = api.on_exception(RequestFactory().get("/v1/surfaces"), error)
    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert json.loads(answer.content)["error"]["code"] == "unavailable"


def test_units_are_marked_again_when_the_cache_was_lost(shop):
    from tests.support.builders import make_slate

    make_slate(shop, "u1")
    _click(shop, "u1")
    mark_all_units(surface=shop.surface)
    assert shop.surface not in surfaces_to_mark()
    cache_client().delete(dirty_key(shop.surface.pk), marked_key(shop.surface.pk))
    assert shop.surface in surfaces_to_mark()
    reconcile()
    assert cache_client().sismember(dirty_key(shop.surface.pk), "u1")
    assert shop.surface not in surfaces_to_mark()


def test_units_are_marked_again_for_a_version_that_came_back(shop):
    _click(shop, "u1")
    mark_all_units(surface=shop.surface)
    cache_client().delete(dirty_key(shop.surface.pk))
    shop.surface.versions.filter(pk=shop.champion.pk).update(alias="retired")
    other = make_version(shop.surface, [1] * 10, alias="champion")
    assert mark_all_units(surface=shop.surface) == 1
    shop.surface.versions.filter(pk=other.pk).update(alias="retired")
    shop.surface.versions.filter(pk=shop.champion.pk).update(alias="champion")
    assert mark_all_units(surface=shop.surface) == 1  # what it had precomputed has grown old
    assert mark_all_units(surface=shop.surface) == 0


def test_queues_are_those_of_the_broker_with_their_age(shop):
    queued(shop)
    reconcile()
    queues = {queue.name: queue for queue in read_queues()}
    assert queues["train"].waiting == broker().llen("train") == 1
    assert 0 <= queues["train"].oldest_seconds < 600
    assert (queues["embed"].waiting, queues["embed"].oldest_seconds) == (0, None)


def _click(shop, unit: str) -> None:
    event = builders.event(shop.project, unit=unit, event_id=f"{unit}-click", item_id="i1")
    builders.write(builders.Rows(events=[event]))
