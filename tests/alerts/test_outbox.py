"""The outbox: an alert is there if and only if its fact is, and once while its cause lasts."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction

from bakeoff.accounts.models import AuditEntry
from bakeoff.alerts.models import Alert, Delivery
from bakeoff.alerts.outbox import record_alert, resolve_alerts
from experiments.actions.maintain_partitions import maintain_partitions
from tests.support import alerts, builders


def record(project, **fields) -> bool:
    alert = {"event": "verdict", "subject": "trial-1", "summary": "Shipped.", **fields}
    return record_alert(project.pk, **alert)


def test_an_alert_is_written_with_its_fact(project):
    with transaction.atomic():
        AuditEntry.objects.create(project=project, actor="a", action="ship", subject="trial-1")
        assert record(project, detail={"lift": 0.03}, path="/dashboard/x")
    alert = Alert.objects.get(project=project)
    assert (alert.event, alert.detail, alert.path) == ("verdict", {"lift": 0.03}, "/dashboard/x")
    assert alert.id.version == 7
    assert alert.fanned_out_at is None


def test_a_fact_that_is_rolled_back_takes_its_alert_along(project):
    with transaction.atomic():
        record(project)
        transaction.set_rollback(True)
    assert not Alert.objects.filter(project=project).exists()


def test_an_alert_with_a_key_is_written_once_until_its_cause_is_gone(project):
    assert record(project, dedupe_key="worker:w1")
    assert not record(project, dedupe_key="worker:w1")
    assert record(project, dedupe_key="worker:w2")
    assert record(builders.make_project(), dedupe_key="worker:w1")
    assert resolve_alerts("worker:w1", project_ids=[project.pk]) == 1
    assert record(project, dedupe_key="worker:w1")
    assert Alert.objects.filter(project=project, dedupe_key="worker:w1").count() == 2


def test_two_that_notice_the_same_at_once_write_one_alert(project):
    written: list[bool] = []
    both = threading.Barrier(2)

    def notice() -> None:
        with transaction.atomic():
            both.wait(30)
            written.append(record(project, dedupe_key="buffer"))
        connection.close()

    threads = [threading.Thread(target=notice) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(written) == [False, True]


def test_long_texts_are_cut_and_an_unknown_event_is_refused(project):
    record(project, subject="s" * 300, summary="t" * 5000)
    alert = Alert.objects.get(project=project)
    assert (len(alert.subject), len(alert.summary)) == (200, 4000)
    with pytest.raises(ValueError, match="event == 'party', must be one of"):
        record(project, event="party")


def test_old_alerts_are_deleted_unless_they_wait_to_be_delivered(project):
    now = builders.now()
    ages = {"young": 80, "old": 91, "waiting": 91, "once": 91}
    for subject, days in ages.items():
        record(project, subject=subject, dedupe_key="drift" if subject == "once" else "")
        at = now - timedelta(days=days)
        Alert.objects.filter(project=project, subject=subject).update(created_at=at, fanned_out_at=at)
    hook = alerts.subscribe(project, "https://hooks.example/bakeoff")
    Delivery.objects.create(
        alert=Alert.objects.get(project=project, subject="waiting"), subscription=hook
    )
    maintain_partitions(now)
    subjects = Alert.objects.filter(project=project).values_list("subject", flat=True)
    assert set(subjects) == {"young", "waiting", "once"}
    project.retention_days = 30
    project.save()
    maintain_partitions(now)
    assert set(subjects.all()) == {"waiting", "once"}
    resolve_alerts("drift", project_ids=[project.pk])
    maintain_partitions(now)
    assert set(subjects.all()) == {"waiting"}
    hook.delete()
