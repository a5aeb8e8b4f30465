"""Reports and exports read a replica: here the same rows, by connections of its own that cannot write."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from django.db import OperationalError, connection, transaction
from django.http import Http404
from django.test.utils import CaptureQueriesContext

from bakeoff.dashboard.replica_pages import COOKIE
from experiments import replica
from experiments.actions.export_rows import export_rows
from experiments.actions.put_export import put_export
from experiments.archive.place import FolderPlace
from experiments.replica import read_from_replica
from experiments.scorecards.experiment_records import open_experiment
from tests.support import builders
from tests.support.builders import Rows
from tests.support.dashboard import report_path, sign_in

OWN = "-c application_name=replica -c default_transaction_read_only=on"
WHO = "SELECT current_setting('application_name')"


@contextmanager
def _replica(settings, **changes):
    database = settings.DATABASES["default"]
    settings.REPLICA_DATABASE = {
        **database, **changes, "OPTIONS": {**database.get("OPTIONS", {}), "options": OWN}
    }  # fmt: skip
    replica._handler.cache_clear()
    replica._Pause.until = 0.0
    try:
        yield replica._handler()["default"]
    finally:
        replica._handler()["default"].close()
        replica._handler.cache_clear()
        replica._Pause.until = 0.0


@pytest.fixture
def second(tables, settings):
    with _replica(settings) as database:
        yield database


@pytest.fixture
def away(tables, settings):
    with _replica(settings, HOST="/nowhere") as database:
        yield database


def who() -> str:
    with connection.cursor() as cursor:
        cursor.execute(WHO)
        return cursor.fetchone()[0]


def test_work_reads_there_and_nothing_is_written_there(second):
    assert read_from_replica(who) == "replica"
    assert who() != "replica"

    def write() -> str:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE IF NOT EXISTS written ()")
            return who()

    assert read_from_replica(write) != "replica"  # refused there, and done where it may be
    assert who() != "replica"


def test_a_transaction_sees_what_it_wrote(second):
    with transaction.atomic():
        assert read_from_replica(who) != "replica"


def test_without_a_replica_everything_is_read_from_the_primary(tables, settings):
    settings.REPLICA_DATABASE = None
    assert read_from_replica(who) != "replica"
    assert replica.primary_position() is None


def test_one_that_is_away_is_named_once_and_not_tried_by_each(away, caplog):
    assert read_from_replica(who) != "replica"
    assert read_from_replica(who) != "replica"
    lines = [one.getMessage() for one in caplog.records if one.name == replica.__name__]
    assert len(lines) == 1
    assert "the primary is read for 15 s in place of its replica: connection" in lines[0]


def test_what_its_recovery_cancels_is_read_again(second, caplog):
    def cancelled() -> str:
        if who() == "replica":
            raise OperationalError("canceling statement due to conflict with recovery")
        return who()

    assert read_from_replica(cancelled) != "replica"
    assert "due to conflict with recovery" in caplog.text


def test_what_is_not_there_yet_is_looked_for_on_the_primary(second):
    def find() -> str:
        if who() == "replica":
            raise Http404
        return who()

    assert read_from_replica(find, missing=Http404) != "replica"
    with pytest.raises(Http404):
        read_from_replica(find)


def test_one_that_is_behind_is_left_until_it_has_caught_up(second, caplog, monkeypatch):
    monkeypatch.setattr(replica, "_LAG", "SELECT 61.0::float8")
    monkeypatch.setattr(replica, "CATCH_UP_SECONDS", 0.0)
    monkeypatch.setattr(replica, "_REACHED", "SELECT %s::pg_lsn IS NULL")
    assert read_from_replica(who) != "replica"
    assert "it has not come as far as" in caplog.text
    replica._Pause.until = 0.0
    # An old last commit is no lag where the primary has none that is newer.
    monkeypatch.setattr(replica, "_REACHED", "SELECT %s::pg_lsn IS NOT NULL")
    assert read_from_replica(who) == "replica"


@pytest.mark.parametrize("page", ["", "report.csv", "report.json"])
def test_a_report_is_read_there_but_not_by_who_has_just_changed_it(second, decided, page):
    client, address = sign_in(decided.project, role="analyst"), report_path(decided, page)
    with CaptureQueriesContext(second) as there:
        assert client.get(address).status_code == 200
    assert len(there) > 3
    assert client.post(report_path(decided, "comments/"), {"text": "one"}).status_code == 302
    assert client.cookies[COOKIE]["max-age"] == 30
    with CaptureQueriesContext(second) as there:
        assert client.get(address).status_code == 200
    assert not len(there)


@pytest.mark.parametrize("page", ["impact/", "impact.csv", "plan/"])
def test_impact_and_planner_are_read_there(second, decided, page):
    address = f"/p/{decided.project.slug}/{page}"
    if page == "plan/":
        address += f"?surface={decided.surface_id}&primary={decided.primary.metric_id}&change=10"
        address += "&treatment_share=50&rule=group_sequential&allocation=100"
    with CaptureQueriesContext(second) as there:
        assert sign_in(decided.project).get(address).status_code == 200
    assert len(there) > 0


def test_who_may_see_a_report_is_asked_of_the_primary(second, decided):
    other = sign_in(builders.make_project())
    with CaptureQueriesContext(second) as there:
        assert other.get(report_path(decided, "")).status_code == 404
    assert not len(there)


def test_an_export_is_read_there_only_when_it_has_come_as_far(
    second, project, tmp_path, caplog, monkeypatch
):
    builders.write(Rows(events=[builders.event(project)]))
    export = put_export(project=project, folder=tmp_path / "a", every_seconds=None, by="ann")
    monkeypatch.setattr(replica, "CATCH_UP_SECONDS", 0.0)
    with CaptureQueriesContext(second) as there:
        assert export_rows(export=export) == 1  # it says nothing of positions: it is no standby
    assert "FROM experiments_event" not in str(there.captured_queries)
    assert "it has not come as far as" in caplog.text
    replica._Pause.until = 0.0
    monkeypatch.setattr(replica, "_REACHED", "SELECT %s::pg_lsn IS NOT NULL")
    export = put_export(project=project, folder=tmp_path / "b", every_seconds=None, by="ann")
    with CaptureQueriesContext(second) as there:
        assert export_rows(export=export) == 1
    assert "experiments_event" in str(there.captured_queries)


def test_records_are_counted_there_only_when_it_has_come_as_far(second, decided, tmp_path, monkeypatch):
    monkeypatch.setattr(replica, "CATCH_UP_SECONDS", 0.0)
    scans = "FROM experiments_exposure"
    for reached, is_read in (("IS NULL", False), ("IS NOT NULL", True)):
        replica._Pause.until = 0.0
        monkeypatch.setattr(replica, "_REACHED", f"SELECT %s::pg_lsn {reached}")
        with CaptureQueriesContext(second) as there:
            opened = open_experiment(decided, place=FolderPlace(tmp_path), folder=tmp_path)
        assert (scans in str(there.captured_queries)) is is_read
        assert opened.records.exposures.count().to_pyarrow().as_py() > 0
