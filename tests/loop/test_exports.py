"""Records as Parquet: each row once, whatever is cut off, by command and by the schedule."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pyarrow.parquet as pq
import pytest
from django.utils import timezone

from bakeoff.accounts.models import AuditEntry
from experiments.actions import export_rows as module
from experiments.actions.export_rows import due_exports, export_rows
from experiments.actions.put_export import CannotExportError, end_export, put_export
from experiments.actions.stop_experiment import stop_experiment
from experiments.models import DataExport
from experiments.tasks import export_due_rows
from tests.support import builders
from tests.support.builders import Rows


def put(shop, folder, every=None) -> DataExport:
    return put_export(project=shop.project, folder=folder, every_seconds=every, by="a test")


def rows_of(folder, table: str) -> list[dict]:
    return [
        row
        for file in sorted((folder / table).glob("*.parquet"))
        for row in pq.read_table(file).to_pylist()
    ]


def send(shop, *ids: str) -> None:
    builders.write(
        Rows(
            events=[
                builders.event(shop.project, event_id=one, properties={"at": "home"}) for one in ids
            ]
        )
    )


def test_rows_are_written_once_and_later_ones_join_them(shop, tmp_path):
    other = builders.make_project()
    experiment = shop.run_experiment()
    send(shop, "e1", "e2")
    builders.write(Rows(events=[builders.event(other, event_id="elsewhere")]))
    builders.write(Rows(exposures=[builders.exposure(experiment.treatments[0], unit="u1")]))
    stop_experiment(experiment=experiment, by="a test")
    export = put(shop, tmp_path / "out")
    first = export_rows(export=export)
    assert {row["event_id"] for row in rows_of(tmp_path / "out", "events")} == {"e1", "e2"}
    (exposure,) = rows_of(tmp_path / "out", "exposures")
    assert (exposure["experiment"], exposure["variant"], exposure["unit_id"]) == (
        experiment.key,
        "treatment",
        "u1",
    )
    assert orjson.loads(rows_of(tmp_path / "out", "events")[0]["properties"]) == {"at": "home"}
    decisions = rows_of(tmp_path / "out", "decisions")
    assert {row["experiment"] for row in decisions} <= {experiment.key, None}
    assert first == 3 + len(decisions)
    assert export_rows(export=export) == 0
    send(shop, "e3")
    assert export_rows(export=export) == 1
    assert sorted(row["event_id"] for row in rows_of(tmp_path / "out", "events")) == ["e1", "e2", "e3"]
    export.refresh_from_db()
    assert (export.rows, export.pending) == (first + 1, None)


def test_a_run_that_was_cut_off_leaves_no_row_out_and_none_twice(shop, tmp_path, monkeypatch):
    """Cut off after the files and before the positions: what comes meanwhile is not in the same files."""
    send(shop, "e1")
    export = put(shop, tmp_path)
    real = module.ParquetFolder.put

    def fail_after_events(store, name, schema, batches):
        real(store, name, schema, batches)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module.ParquetFolder, "put", fail_after_events)
        with pytest.raises(OSError, match="No space"):
            export_rows(export=export)
    send(shop, "e2")
    assert export_rows(export=export) == 1
    assert [row["event_id"] for row in rows_of(tmp_path, "events")] == ["e1"]
    assert export_rows(export=export) == 1
    assert [row["event_id"] for row in rows_of(tmp_path, "events")] == ["e1", "e2"]
    assert [file.name for file in tmp_path.rglob(".*")] == []


def test_a_transaction_that_commits_late_is_not_left_out(shop, tmp_path, other_connection):
    export = put(shop, tmp_path)
    other_connection.execute("BEGIN")
    other_connection.execute("SELECT pg_current_xact_id()")  # it has its number, and will commit later
    send(shop, "later number")
    assert export_rows(export=export) == 0  # above the watermark
    other_connection.execute("COMMIT")
    assert export_rows(export=export) == 1


@pytest.fixture
def other_connection(tables):
    import psycopg

    from tests.support.fast_lane import test_database_url

    with psycopg.connect(test_database_url(), autocommit=True) as one:
        yield one


def test_a_folder_is_one_projects_and_what_lies_in_it_is_known(shop, tmp_path):
    put(shop, tmp_path)
    with pytest.raises(CannotExportError, match="must not be another project's"):
        put_export(project=builders.make_project(), folder=tmp_path, every_seconds=None, by="a test")
    send(shop, "e1")
    export_rows(export=DataExport.objects.get(folder=str(tmp_path)))
    end_export(export=DataExport.objects.get(folder=str(tmp_path)), by="a test")
    with pytest.raises(CannotExportError, match="must hold no Parquet files"):
        put(shop, tmp_path)
    assert [row["event_id"] for row in rows_of(tmp_path, "events")] == ["e1"]
    actions = AuditEntry.objects.filter(project=shop.project, subject=str(tmp_path))
    assert list(actions.order_by("id").values_list("action", flat=True)) == ["export", "end export"]


@pytest.mark.parametrize("every", [0, 59, 31 * 24 * 3600 + 1])
def test_a_schedule_has_bounds(shop, tmp_path, every):
    with pytest.raises(CannotExportError, match=f"every == {every}, must be 60 to"):
        put(shop, tmp_path, every)
    assert not DataExport.objects.filter(project=shop.project).exists()


def test_the_schedule_writes_what_is_due_and_a_failure_is_its_own(shop, tmp_path):
    broken, well = put(shop, tmp_path / "broken", 60), put(shop, tmp_path / "well", 60)
    put(shop, tmp_path / "by hand")
    assert [one.pk for one in due_exports() if one.project_id == shop.project.pk] == [
        broken.pk,
        well.pk,
    ]
    (tmp_path / "broken").rmdir()
    (tmp_path / "broken").write_text("a file")
    send(shop, "e1")
    export_due_rows()
    well.refresh_from_db()
    broken.refresh_from_db()
    assert (well.rows, broken.rows) == (1, 0)
    assert broken.pending is not None
    assert well not in due_exports()
    DataExport.objects.filter(pk=well.pk).update(finished_at=timezone.now() - timedelta(seconds=61))
    assert well in due_exports()


def test_by_the_console_script(shop, tmp_path, console):
    send(shop, "e1", "e2")
    project = ("--project", shop.project.slug)
    done = console("export", "data", "--to", tmp_path / "out", "--every", "3600", *project)
    assert f"2 rows written to {tmp_path / 'out'}." in done.stdout
    (row,) = orjson.loads(console("export", "list", "--json", *project).stdout)
    assert (row["folder"], row["rows"], row["every_seconds"]) == (str(tmp_path / "out"), 2, 3600)
    assert (
        "must be 60 to"
        in console("export", "data", "--to", tmp_path, "--every", "5", *project, status=2).output
    )
    assert "must be one of" in console("export", "stop", tmp_path / "no", *project, status=2).output
    (tmp_path / "file").write_text("")
    assert (
        "cannot be made"
        in console("export", "data", "--to", tmp_path / "file", *project, status=2).output
    )
    console("export", "stop", tmp_path / "out", *project)
    assert orjson.loads(console("export", "list", "--json", *project).stdout) == []
