"""Erasure, export and retention reach the archive."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pyarrow.parquet as pq
import pytest
from django.db import transaction

from bakeoff.accounts.models import Project
from experiments.actions.erase_archived import erase_archived, expire_archive
from experiments.actions.erase_unit import CannotEraseError, erase_unit
from experiments.actions.export_unit import CannotExportUnitError, export_unit
from experiments.actions.maintain_partitions import maintain_partitions
from experiments.archive.files import write_rows
from experiments.archive.locks import lock_project
from experiments.archive.place import ArchiveError
from experiments.archive.state import check_file
from experiments.models import ArchivedMonth, Event, Link, Slate
from tests.support import archives, builders
from tests.support.archives import other_process

MONTHS = iter(date(2010 + n // 12, n % 12 + 1, 1) for n in range(36))


@pytest.fixture
def place(shop, tmp_path, monkeypatch):
    """An archive that holds a month of the shop, of three units."""
    month, place = next(MONTHS), archives.folder(tmp_path)
    archives.use_archive(monkeypatch, place.url)
    archives.make_month(shop, month)
    archives.archive(month, place)
    yield place
    ArchivedMonth.objects.filter(project=shop.project).delete()


def units(place, shop) -> list[list[str]]:
    files = archives.files_of(shop)
    return [pq.read_table(place.root / row.name)["unit_id"].to_pylist() for row in files]


def erase(shop, unit: str) -> dict[str, int]:
    return erase_unit(project_id=shop.project.pk, unit_id=unit, by="a test").rows


def test_a_unit_is_erased_from_the_archive_too(shop, place):
    before = [(row.rows, row.digest) for row in archives.files_of(shop)]
    assert erase(shop, "u1")["archived"] == 2
    assert units(place, shop) == [["u0", "u2"]] * 2
    after = archives.files_of(shop)
    assert [row.rows for row in after] == [2, 2]
    assert all(row.digest != was for row, (_rows, was) in zip(after, before, strict=True))
    assert [check_file(place, row) for row in after] == ["", ""]
    assert erase(shop, "nobody")["archived"] == 0
    assert [row.digest for row in archives.files_of(shop)] == [row.digest for row in after]


def test_all_ids_of_a_person_are_erased(shop, place):
    Link.objects.create(
        project=shop.project, anonymous_id="u0", user_id="u2", unit_id="u2", other_unit_id="u0"
    )
    assert erase(shop, "u0")["archived"] == 4
    assert units(place, shop) == [["u1"]] * 2


def test_an_erasure_that_was_cut_off_is_done_again(shop, place):
    """Killed after the first file and before its row: the file says which one it replaced."""
    with transaction.atomic():
        erase_archived(project_id=shop.project.pk, unit_ids=["u1"], place=place)
        transaction.set_rollback(True)
    assert units(place, shop) == [["u0", "u2"]] * 2
    assert [row.rows for row in archives.files_of(shop)] == [3, 3]
    assert erase(shop, "u1")["archived"] == 0
    assert [check_file(place, row) for row in archives.files_of(shop)] == ["", ""]
    assert [row.rows for row in archives.files_of(shop)] == [2, 2]


def test_rows_of_an_older_backup_know_a_file_that_was_rewritten_since(shop, place):
    backed_up = {row.pk: (row.rows, row.digest) for row in archives.files_of(shop)}
    erase(shop, "u0")
    erase(shop, "u1")
    for pk, (rows, digest) in backed_up.items():
        ArchivedMonth.objects.filter(pk=pk).update(rows=rows, digest=digest)
    assert [check_file(place, row) for row in archives.files_of(shop)] == ["", ""]
    assert [row.rows for row in archives.files_of(shop)] == [1, 1]


def test_a_file_of_somebody_else_is_refused(shop, place):
    events, slates = archives.files_of(shop)
    table = pq.read_table(place.root / events.name)
    schema = table.schema.remove_metadata()
    write_rows(place.root / events.name, schema, table.replace_schema_metadata().to_batches()[:0])
    assert "is not the file that was archived" in check_file(place, events)
    (place.root / slates.name).write_bytes((place.root / slates.name).read_bytes()[:100])
    assert "is cut or damaged" in check_file(place, slates)
    with pytest.raises(CannotEraseError, match=r"the archive may hold the unit: .* is cut or damaged"):
        erase(shop, "u1")


def test_what_cannot_be_erased_from_the_archive_is_not_erased_at_all(shop, place):
    builders.make_slate(shop, "u1")
    (place.root / archives.files_of(shop)[0].name).unlink()
    with pytest.raises(CannotEraseError, match="cannot be read: it is not there"):
        erase(shop, "u1")
    assert Slate.objects.filter(project=shop.project, unit_id="u1").exists()
    with pytest.raises(CannotExportUnitError, match="the archive may hold more of the unit"):
        export_unit(project_id=shop.project.pk, unit_id="u1")


def test_the_api_says_so(shop, place, lane):
    (place.root / archives.files_of(shop)[0].name).unlink()
    for path, code in (("export", "cannot_export"), ("erase", "cannot_erase")):
        answer = lane.post(f"/v1/units/{path}", {"unit_id": "u1"}, shop.secret)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, code)


def test_a_month_that_is_written_and_not_dropped_is_written_anew_after_an_erasure(shop, place):
    """The archiving was killed in between: its file would bring the unit back."""
    month = next(MONTHS)
    archives.make_month(shop, month)
    plan = archives.plans_of(month)[0]

    class Killed(archives.Proxy):
        def fetch(self, name, file):
            super().fetch(name, file)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archives.archive_one(plan, Killed(place))
    pending = ArchivedMonth.objects.get(project=shop.project, archived_at__isnull=True)
    assert place.size(pending.name)
    assert erase(shop, "u1")["archived"] == 2
    assert place.size(pending.name) is None
    assert not ArchivedMonth.objects.filter(pk=pending.pk).exists()
    archives.archive(month, place)
    assert Event.objects.filter(project=shop.project).count() == 0
    assert units(place, shop) == [["u0", "u2"]] * 4


def test_an_erasure_waits_for_the_file_of_its_project(shop, place, monkeypatch):
    monkeypatch.setattr("experiments.archive.locks.WAIT_SECONDS", 0.1)
    with (
        other_process(lambda: lock_project(shop.project.pk)),
        pytest.raises(CannotEraseError, match="a month of the project is being archived: try again"),
    ):
        erase(shop, "u1")
    assert erase(shop, "u1")["archived"] == 2


def test_an_export_has_archived_rows(shop, place):
    builders.make_slate(shop, "u2")
    exported = export_unit(project_id=shop.project.pk, unit_id="u2")
    (event,) = exported["archived_events"]
    assert (event["unit_id"], event["properties"]) == ("u2", {"é": [2]})
    (slate,) = exported["archived_slates"]
    assert slate["context"] == {"n": 2}
    assert len(exported["slates"]) == 1
    assert "xid" not in event


def test_retention_deletes_files_of_which_no_row_is_left(shop, place):
    (newest, _) = (row.last_received_at for row in archives.files_of(shop))
    days = {shop.project.pk: 40}
    on_time = newest + timedelta(days=40)
    others = dict.fromkeys(Project.objects.values_list("pk", flat=True), 36500)
    assert expire_archive(retention=others | days, now=on_time, place=place) == 0
    later = on_time + timedelta(days=1)
    assert expire_archive(retention=others | days, now=later, place=place) == 2
    assert archives.files_of(shop) == []
    assert list(place.root.rglob("*.parquet")) == []


def test_files_of_a_project_that_is_gone_are_deleted(shop, place):
    archives.of_gone_project(place, month=date(2009, 1, 1))
    maintain_partitions(datetime(2009, 12, 1, tzinfo=UTC))
    assert {row.split("/")[1] for row in archives.names_in(place)} == {f"project={shop.project.pk}"}
    assert len(archives.names_in(place)) == 2


def test_a_place_that_denies_stops_no_other_clean_up(shop, place, monkeypatch, caplog):
    archives.of_gone_project(place, month=date(2009, 2, 1))
    archives.use_archive(monkeypatch, "s3://none/there")
    monkeypatch.setattr("experiments.actions.maintain_partitions.archive_place", lambda: Denying(place))
    maintain_partitions(datetime(2009, 12, 1, tzinfo=UTC))
    assert "the archive is not cleaned up: denied: events/project=2000000000" in caplog.text
    ArchivedMonth.objects.filter(month=date(2009, 2, 1)).delete()


class Denying(archives.Proxy):
    def delete(self, name):
        raise ArchiveError(f"denied: {name}")
