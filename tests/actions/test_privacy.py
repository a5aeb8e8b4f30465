"""Erasure and export: everything of a person, under each id, and nothing of another."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection

from experiments.actions.erase_unit import CannotEraseError, erase_unit
from experiments.actions.export_unit import export_unit
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.mark_units import history_of
from experiments.ingest.spill import STREAM
from experiments.models import Event, EventId, Exposure, Link, Observation, SegmentsAtStart, Slate
from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from experiments.training_data.signals import likes_of
from inference.cache import cache_client
from inference.models import Snapshot
from inference.serving.keys import recent_key
from inference.training.snapshot import Likes, SnapshotDestroyedError, read_snapshot, write_snapshot
from tests.support import builders


@pytest.fixture
def past(lane, shop):
    """An experiment in which ann (with her phone) and ben did things, looked at once."""
    experiment = shop.run_experiment(promote=False, window_seconds=0.001)
    lane.refresh()
    SegmentsAtStart.objects.bulk_create(
        SegmentsAtStart(experiment=experiment, unit_id=unit, segments=["plan=pro"])
        for unit in ("ann", "ben")
    )

    def ask(**ids):
        body = {"surface": "home-feed", "k": 2, **ids}
        return lane.post("/v1/recommend", body, shop.public).json()

    for ids in (
        {"anonymous_id": "phone"},
        {"anonymous_id": "phone", "unit_id": "ann"},
        {"unit_id": "ben"},
    ):
        slate = ask(**ids)
        item = slate["items"][0]["item_id"]
        reference = {"recommendation_id": slate["recommendation_id"], **ids}
        lane.post(
            "/v1/events", {"name": "click", "event_id": str(ids), "item_id": item, **ids}, shop.public
        )
        lane.post("/v1/feedback", {**reference, "kind": "text", "value": "nice"}, shop.public)
    look_at_experiment(experiment_id=experiment.pk, now=builders.now() + timedelta(minutes=1))
    return experiment


def left(shop, unit):
    tables = {"event": "unit_id", "slate": "unit_id", "exposure": "unit_id", "feedback": "unit_id"}
    with connection.cursor() as cursor:
        counts = {}
        for table, column in tables.items():
            cursor.execute(
                f"SELECT count(*) FROM experiments_{table} WHERE project_id = %s AND {column} = %s",
                [shop.project.pk, unit],
            )
            counts[table] = cursor.fetchone()[0]
    for name, model in {"observation": Observation, "segments": SegmentsAtStart}.items():
        counts[name] = model.objects.filter(experiment__project=shop.project, unit_id=unit).count()
    return counts


@pytest.mark.parametrize("name", ["ann", "phone"])
def test_erasure_takes_everything_of_one_person(past, shop, name):
    recent = recent_key(history_of(shop.surface), "phone")
    assert cache_client().exists(recent)
    erased = erase_unit(project_id=shop.project.pk, unit_id=name, by="a test")
    assert (erased.ids, erased.rows["events"], erased.rows["slates"]) == (2, 2, 2)
    assert not any(left(shop, "phone").values())
    assert not any(left(shop, "ann").values())
    assert not Link.objects.filter(project=shop.project).exists()
    assert not cache_client().exists(recent)
    assert all(left(shop, "ben").values())
    entry = shop.project.audit_entries.get(action="erase")
    assert name not in json.dumps([entry.subject, entry.detail])


def test_totals_stay_and_the_look_can_still_be_recomputed(past, shop):
    before = {t.pk: (t.n, t.sum_value) for t in past.totals.all()}
    erase_unit(project_id=shop.project.pk, unit_id="ann", by="a test")
    assert {t.pk: (t.n, t.sum_value) for t in past.totals.all()} == before
    look = past.looks.last()
    again = take_look(LookInput.from_json(look.inputs)).as_json()
    assert json.loads(json.dumps(again)) == look.result
    look_at_experiment(experiment_id=past.pk, now=builders.now() + timedelta(minutes=2))
    assert {t.pk: (t.n, t.sum_value) for t in past.totals.all()} == before


def test_a_late_retry_does_not_bring_an_erased_event_back(past, shop, lane, rows):
    erase_unit(project_id=shop.project.pk, unit_id="ben", by="a test")
    ids = {"unit_id": "ben"}
    again = {"name": "click", "event_id": str(ids), "item_id": "i0", **ids}
    assert lane.post("/v1/events", again, shop.public).json()["duplicates"] == 1
    assert not Event.objects.filter(project=shop.project, unit_id="ben").exists()
    assert EventId.objects.filter(project=shop.project, event_id=str(ids)).exists()


def test_snapshots_that_hold_the_unit_are_destroyed(past, shop):
    folder = settings.BAKEOFF.snapshots
    likes = likes_of(shop.surface)
    held = write_snapshot(folder, likes)
    keep = [n for n, unit in enumerate(likes.unit_ids) if unit == "ben"]
    other = write_snapshot(
        folder,
        type(likes)(*[[column[n] for n in keep] for column in (likes.unit_ids, likes.item_ids, likes.liked_at)]),
    )  # fmt: skip
    for digest in (held, other):
        Snapshot.objects.create(surface=shop.surface, sha256=digest, rows=1, units=1)
    assert erase_unit(project_id=shop.project.pk, unit_id="ann", by="a test").snapshots == 1
    with pytest.raises(SnapshotDestroyedError, match="a unit in it was erased"):
        read_snapshot(folder, held, Likes)
    assert read_snapshot(folder, other, Likes).unit_ids == ["ben"]
    assert json.loads((folder / f"{held}.tombstone.json").read_text())["sha256"] == held
    assert Snapshot.objects.get(sha256=held).destroyed_at
    assert "phone" not in likes_of(shop.surface).unit_ids


def test_export_names_everything_and_nobody_else(past, shop, lane):
    data = export_unit(project_id=shop.project.pk, unit_id="ann")
    assert data["unit_ids"] == ["ann", "phone"]
    assert {name: len(data[name]) for name in ("events", "slates", "exposures", "feedback", "links")} == {
        "events": 2, "slates": 2, "exposures": 1, "feedback": 2, "links": 1,
    }  # fmt: skip
    answer = lane.client.post(
        "/v1/units/export", json={"unit_id": "ann"}, headers={"X-API-Key": shop.secret}
    )
    assert "ben" not in answer.text
    assert answer.json()["events"][0]["name"] == "click"


def test_a_shared_device_keeps_people_apart(lane, shop):
    for user in ("ann", "ben"):
        body = {"surface": "home-feed", "anonymous_id": "tv", "unit_id": user}
        lane.post("/v1/recommend", body, shop.public)
    assert export_unit(project_id=shop.project.pk, unit_id="ben")["unit_ids"] == ["ben"]
    erase_unit(project_id=shop.project.pk, unit_id="ben", by="a test")
    assert set(Slate.objects.filter(project=shop.project).values_list("unit_id", flat=True)) == {"ann"}


def test_it_is_refused_while_rows_are_spilled_that_cannot_be_drained(shop, monkeypatch):
    import experiments.actions.erase_unit as module

    cache_client().xadd(STREAM, {"events": b"[]"})
    monkeypatch.setattr(module, "drain", lambda *_: 0)
    try:
        with pytest.raises(CannotEraseError, match="spilled commits == 1"):
            erase_unit(project_id=shop.project.pk, unit_id="ann", by="a test")
    finally:
        cache_client().delete(STREAM)


def test_erasure_over_http_reports_and_refuses(past, shop, lane):
    headers = {"X-API-Key": shop.secret}
    report = lane.client.post("/v1/units/erase", json={"unit_id": "ben"}, headers=headers)
    assert report.status_code == 200
    assert report.json()["rows"]["events"] == 1
    assert lane.client.post("/v1/units/erase", json={"unit_id": ""}, headers=headers).status_code == 400
    public = {"X-API-Key": shop.public}
    assert (
        lane.client.post("/v1/units/erase", json={"unit_id": "ann"}, headers=public).status_code == 401
    )
    assert Exposure.objects.filter(project=shop.project, unit_id="phone").exists()
