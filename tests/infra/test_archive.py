"""The archive in S3, as moto's server speaks it."""

from __future__ import annotations

from datetime import date

import pytest

from experiments.actions.erase_unit import CannotEraseError, erase_unit
from experiments.archive.place import ArchiveError, MissingFileError, StorePlace, open_place
from experiments.archive.state import archived_rows, check_file, missing_files
from experiments.models import ArchivedMonth, Event
from inference.serving import remote_store
from tests.support import archives

boto3 = pytest.importorskip("boto3")
moto_server = pytest.importorskip("moto.server")
MONTHS = iter(date(2003, n, 1) for n in range(1, 13))


@pytest.fixture
def server(monkeypatch):
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    for name, value in {
        "AWS_ENDPOINT": endpoint, "AWS_ALLOW_HTTP": "true", "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    remote_store._open.cache_clear()
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket="cold")
    yield server
    remote_store._open.cache_clear()
    server.stop()


@pytest.fixture
def month(shop):
    one = next(MONTHS)
    archives.make_month(shop, one)
    yield one
    ArchivedMonth.objects.filter(project=shop.project).delete()


def test_months_are_moved_read_rewritten_and_deleted(shop, month, server, monkeypatch):
    place = open_place("s3://cold/shop")
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
        f"s3://cold/shop/{name} is missing: copy it back from your backup of the archive."
    ]
    with pytest.raises(MissingFileError, match=f"s3://cold/shop/{name} is not there"):
        place.open(name)


def test_a_store_that_is_away_drops_nothing(shop, month, server, monkeypatch):
    place = open_place("s3://cold/other")
    server.stop()
    with pytest.raises(ArchiveError, match="s3://cold/other does not answer"):
        archives.archive(month, place)
    assert Event.objects.filter(project=shop.project).count() == 3


def test_a_bucket_that_there_is_not_is_named(shop, month, server):
    with pytest.raises(ArchiveError, match="s3://none/shop does not exist: make its bucket"):
        archives.archive(month, open_place("s3://none/shop"))
    assert Event.objects.filter(project=shop.project).count() == 3


def test_an_erasure_needs_the_store(shop, month, server, monkeypatch):
    place = open_place("s3://cold/third")
    archives.use_archive(monkeypatch, place.url)
    archives.archive(month, place)
    server.stop()
    with pytest.raises(
        CannotEraseError, match="the archive may hold the unit: s3://cold/third does not"
    ):
        erase_unit(project_id=shop.project.pk, unit_id="u1", by="a test")
