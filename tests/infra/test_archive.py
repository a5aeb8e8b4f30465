"""The archive in S3, as moto's server speaks it."""

from __future__ import annotations

from datetime import date

import pytest

from experiments.actions.erase_unit import CannotEraseError, erase_unit
from experiments.archive.place import ArchiveError, MissingFileError, StorePlace, open_place
from experiments.archive.state import archived_rows, check_file, missing_files
from experiments.models import ArchivedMonth, Event
from tests.support import archives

MONTHS = iter(date(2003, n, 1) for n in range(1, 13))


@pytest.fixture
def month(shop):
    one = next(MONTHS)
    archives.make_month(shop, one)
    yield one
    ArchivedMonth.objects.filter(project=shop.project).delete()


def test_months_are_moved_read_rewritten_and_deleted(shop, month, s3, monkeypatch):
    place = open_place("s3://shop/shop")
    archives.use_archive(monkeypatch, place.url)
    assert isinstance(place, StorePlace)
    archives.archive(month, place)
    assert Event.objects.filter(project=shop.project).count() == 0
    assert [check_file(place, row) for row in archives.files_of(shop)] == ["", ""]
    rows = archived_rows(place, shop.project.pk, ["u1"])
    assert [row["unit_id"] for row in (*rows["events"], *rows["slates"])] == ["u1", "u1"]
    assert erase_unit(project_id=shop.project.pk, unit_id="u1", by="a test").rows["archived"] == 2
    assert archived_rows(place, shop.project.pk, ["u1"]) == {"events": [], "slates": []}
    assert [check_file(place, row) for row in archives.files_of(shop)] == ["", ""]
    name = archives.files_of(shop)[0].name
    place.delete(name)
    place.delete(name)
    assert list(missing_files(place)) == [
        f"s3://shop/shop/{name} is missing: copy it back from your backup of the archive."
    ]
    with pytest.raises(MissingFileError, match=f"s3://shop/shop/{name} is not there"):
        place.open(name)


def test_a_store_that_is_away_drops_nothing(shop, month, s3, monkeypatch):
    place = open_place("s3://shop/other")
    s3.stop()
    with pytest.raises(ArchiveError, match="s3://shop/other does not answer"):
        archives.archive(month, place)
    assert Event.objects.filter(project=shop.project).count() == 3


def test_a_bucket_that_there_is_not_is_named(shop, month, s3):
    with pytest.raises(ArchiveError, match="s3://none/shop does not exist: make its bucket"):
        archives.archive(month, open_place("s3://none/shop"))
    assert Event.objects.filter(project=shop.project).count() == 3


def test_an_erasure_needs_the_store(shop, month, s3, monkeypatch):
    place = open_place("s3://shop/third")
    archives.use_archive(monkeypatch, place.url)
    archives.archive(month, place)
    s3.stop()
    with pytest.raises(
        CannotEraseError, match="the archive may hold the unit: s3://shop/third does not"
    ):
        erase_unit(project_id=shop.project.pk, unit_id="u1", by="a test")
