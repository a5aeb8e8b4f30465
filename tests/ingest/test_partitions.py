"""Months are made ahead, hold what belongs to them, and are dropped behind."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from uuid_utils import uuid7

from experiments.ingest.partitions import (
    _add_months,
    drop_expired,
    make_partitions,
    missing_partitions,
    partitions_of,
)
from experiments.ingest.rows import Rows
from experiments.models import Event, EventId, Slate
from experiments.sql import min_uuid7
from tests.support import builders


@pytest.fixture
def database(tables):
    connection.ensure_connection()
    return connection.connection


def happen(project, at: datetime, event_id: str, *, received: datetime | None = None) -> None:
    received_at = (received or at).isoformat()
    row = builders.event(
        project, unit="u", at=at.isoformat(), event_id=event_id, received_at=received_at
    )
    builders.write(Rows(events=[row]))


def partition_of(table: str, where: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT tableoid::regclass::text FROM {table} WHERE {where}")
        return cursor.fetchone()[0]


def test_months_around_today_are_there_and_making_them_again_does_nothing(database):
    today = builders.now().date()
    assert not missing_partitions(database, today)
    assert make_partitions(database, today) == []
    assert f"experiments_event_{today:%Y_%m}" in partitions_of(database, "experiments_event")


def test_rows_go_where_they_belong(database, shop):
    now = builders.now()
    happen(shop.project, now, "now")
    happen(shop.project, datetime(2001, 5, 5, tzinfo=UTC), "old")
    slate = builders.make_slate(shop, "u")
    assert partition_of("experiments_event", "event_id = 'now'") == f"experiments_event_{now:%Y_%m}"
    assert partition_of("experiments_event", "event_id = 'old'") == "experiments_event_default"
    where = f"recommendation_id = '{slate}'"
    assert partition_of("experiments_slate", where) == f"experiments_slate_{now:%Y_%m}"


def test_a_month_that_is_made_late_takes_its_rows_from_the_default_partition(database, project):
    happen(project, datetime(2031, 7, 31, 23, 59, 59, 999999, tzinfo=UTC), "july")
    happen(project, datetime(2031, 8, 1, tzinfo=UTC), "august")
    make_partitions(database, date(2031, 8, 15))
    for name, month in (("july", "2031_07"), ("august", "2031_08")):
        where = f"event_id = '{name}' AND project_id = {project.pk}"
        assert partition_of("experiments_event", where) == f"experiments_event_{month}"
    happen(project, datetime(2031, 8, 2, tzinfo=UTC), "august")
    assert Event.objects.filter(project=project).count() == 2


def test_an_id_counts_once_across_partitions(project, database):
    now = builders.now()
    for days in (0, 45, 400):
        happen(project, now - timedelta(days=days), "same")
    assert Event.objects.get(project=project).occurred_at == now


def test_retention_drops_months_and_deletes_what_one_project_keeps_shorter(database, tables):
    shops = {days: builders.make_shop(items=3) for days in (40, 100)}
    now = datetime(2035, 6, 20, tzinfo=UTC)
    ages = (10, 50, 120, 200)
    for month in ("2034-12-15", "2035-03-15", "2035-06-15"):
        make_partitions(database, date.fromisoformat(month))
    for shop in shops.values():
        for age in ages:
            happen(shop.project, now - timedelta(days=age), f"{age} days")
            moment = now - timedelta(days=age)
            served = UUID(int=min_uuid7(moment).int + shop.project.pk)
            builders.make_slate(shop, "u", recommendation_id=str(served), served_at=moment.isoformat())
    dropped = drop_expired(database, {shop.project.pk: days for days, shop in shops.items()}, now)
    assert {"experiments_event_2034_12", "experiments_slate_2034_12"} <= set(dropped.partitions)
    assert "experiments_event_2035_06" not in dropped.partitions
    for days, shop in shops.items():
        remaining = [f"{age} days" for age in ages if age <= days]
        ids = EventId.objects.filter(project=shop.project).values_list("event_id", flat=True)
        events = Event.objects.filter(project=shop.project).values_list("event_id", flat=True)
        assert set(ids) == set(events) == set(remaining)
        assert Slate.objects.filter(project=shop.project).count() == len(remaining)
    make_partitions(database, builders.now().date())


def test_a_log_of_the_past_is_kept_from_when_it_was_loaded(database, project):
    now = datetime(2036, 6, 20, tzinfo=UTC)
    make_partitions(database, date(2036, 3, 1))
    happen(project, now - timedelta(days=150), "of a month", received=now)
    happen(project, datetime(1998, 1, 1, tzinfo=UTC), "of the past century", received=now)
    happen(project, now - timedelta(days=150), "old")
    dropped = drop_expired(database, {project.pk: 60}, now)
    assert "experiments_event_2036_01" in dropped.partitions
    for model in (Event, EventId):
        names = model.objects.filter(project=project).values_list("event_id", flat=True)
        assert set(names) == {"of a month", "of the past century"}
    drop_expired(database, {project.pk: 60}, now + timedelta(days=61))
    assert not Event.objects.filter(project=project).exists()
    make_partitions(database, builders.now().date())


def test_without_projects_nothing_is_dropped(database):
    assert drop_expired(database, {}, builders.now()).partitions == []


def test_a_uuid_lies_between_the_bounds_of_its_moment():
    for _ in range(1000):
        before = builders.now() - timedelta(milliseconds=1)
        moment_id = UUID(str(uuid7()))
        after = builders.now() + timedelta(milliseconds=1)
        assert min_uuid7(before) <= moment_id < min_uuid7(after)


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.integers(-200, 200))
def test_months_add_up(day, count):
    month = day.replace(day=1)
    assert _add_months(_add_months(month, count), -count) == month
