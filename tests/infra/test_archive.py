"""The archive in S3, as moto's server speaks it."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import obstore
import pytest
from django.urls import reverse

from bakeoff.dashboard import store_health
from experiments.actions.archive_months import check_owner
from experiments.actions.erase_unit import CannotEraseError, erase_unit
from experiments.archive.place import ID_FILE, ArchiveError, MissingFileError, StorePlace, open_place
from experiments.archive.state import archived_rows, check_file, missing_files
from experiments.models import ArchivedMonth, Event
from inference.models import ArtifactStore
from inference.serving import remote_store
from inference.serving.remote_store import RemoteStore
from tests.support import archives, builders
from tests.support.config_checks import check

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


def test_the_check_of_settings_tries_the_archive(s3):
    done = check(BAKEOFF_ARCHIVE="s3://shop/cold")
    assert (done.returncode, done.stdout) == (
        0, "The settings are right, and the servers answer.\n",
    )  # fmt: skip
    bucket = remote_store._open("s3://shop")
    left = [one for batch in obstore.list(bucket, "cold") for one in batch]
    assert left == []
    done = check(BAKEOFF_ARCHIVE="s3://none/cold")
    assert (done.returncode, done.stdout) == (
        1, "BAKEOFF_ARCHIVE: s3://none/cold does not exist: make its bucket or folder first.\n",
    )  # fmt: skip
    s3.stop()
    done = check(BAKEOFF_ARCHIVE="s3://shop/cold")
    assert done.returncode == 1
    assert done.stdout.startswith("BAKEOFF_ARCHIVE: s3://shop/cold does not answer: ")
    assert done.stdout.count("\n") == 1


def test_the_health_page_names_an_archive_that_is_away_before_a_month_is_there(
    shop, s3, monkeypatch, client
):
    ArchivedMonth.objects.all().delete()
    archives.use_archive(monkeypatch, "s3://shop/cold")
    store_health.forget_problems()
    assert store_health.store_problems() == ()
    s3.stop()
    store_health.forget_problems()
    client.force_login(builders.make_root())
    page = client.get(reverse("health")).content.decode()
    store_health.forget_problems()
    assert "s3://shop/cold does not answer" in page
    assert "BAKEOFF_ARCHIVE" in page
    assert "bakeoff config check" in page  # the remedy


def test_of_two_platforms_that_claim_at_once_the_second_is_refused(tables, s3, monkeypatch):
    """The second has read that the archive is nobody's when the first one writes."""
    first, second = RemoteStore("s3://shop/nobodys"), open_place("s3://shop/nobodys")
    read, claimed = RemoteStore.read, []

    def read_early(remote, key):
        content = read(remote, key)
        if remote is not first and not claimed:
            claimed.append(first.claim(ID_FILE, "the first\n"))
        return content

    monkeypatch.setattr(RemoteStore, "read", read_early)
    ArtifactStore.objects.get_or_create(id=1, defaults={"store_id": uuid4()})
    with pytest.raises(ArchiveError, match=r"is another platform's archive \(id == the first, must"):
        check_owner(second)
    assert claimed == ["the first\n"]
    assert first.claim(ID_FILE, "the first\n") == "the first\n"


def test_an_erasure_needs_the_store(shop, month, s3, monkeypatch):
    place = open_place("s3://shop/third")
    archives.use_archive(monkeypatch, place.url)
    archives.archive(month, place)
    s3.stop()
    with pytest.raises(
        CannotEraseError, match="the archive may hold the unit: s3://shop/third does not"
    ):
        erase_unit(project_id=shop.project.pk, unit_id="u1", by="a test")
