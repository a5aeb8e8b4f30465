"""Training data in an object store: two homes are two machines, which share nothing else."""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import replace

import pytest
from django.conf import settings as django_settings
from django.db import transaction
from django.urls import reverse

from bakeoff.accounts.models import AuditEntry
from bakeoff.backup import restore_backup, take_backup
from bakeoff.environment import read_environment
from experiments.actions.erase_unit import CannotEraseError, erase_unit
from inference.actions.clean_artifacts import clean_artifacts
from inference.actions.queue_training import freeze_rows
from inference.models import ArtifactStore, Snapshot, TrainingRun
from inference.serving.remote_store import RemoteStoreError, remote_of, use_remote
from inference.serving.store import make_store_id
from inference.training.snapshot import (
    Examples,
    Likes,
    SnapshotDestroyedError,
    read_snapshot,
    write_snapshot,
)
from inference.training.snapshot_files import delete_old_snapshots, destroy_snapshot, move_snapshots
from tests.support import builders
from tests.support.learning import make_likes

HOUR = 3600.0


class Homes:
    """The folders of snapshots of two machines before one store."""

    def __init__(self, folder) -> None:
        self.bucket = folder / "bucket"
        self.bucket.mkdir()
        self.url = f"file://{self.bucket}"
        self.stored = self.bucket / "snapshots"
        self.a, self.b = folder / "a" / "snapshots", folder / "b" / "snapshots"
        self.join()

    def join(self) -> None:
        for home in (self.a.parent, self.b.parent):
            use_remote(home / "snapshots", self.url)
            use_remote(home / "artifacts", self.url)

    def leave(self) -> None:
        for home in (self.a.parent, self.b.parent):
            use_remote(home / "snapshots", "")
            use_remote(home / "artifacts", "")

    def away(self) -> None:
        self.bucket.rename(self.bucket.with_name("elsewhere"))

    def clean(self) -> None:
        home = self.a.parent
        clean_artifacts(artifacts=home / "artifacts", checkpoints=home / "none", snapshots=self.a)


@pytest.fixture
def homes(tmp_path):
    pair = Homes(tmp_path)
    yield pair
    pair.leave()


@pytest.fixture
def on_a(homes, settings):
    """This process runs on machine a."""
    settings.BAKEOFF = replace(django_settings.BAKEOFF, home=homes.a.parent)
    return homes


def files_of(homes) -> set[str]:
    """What lies on the machines' disks."""
    return {path.name for folder in (homes.a, homes.b) for path in folder.glob("*")}


def test_what_one_machine_froze_another_reads_and_neither_keeps(homes):
    likes = make_likes()
    digest = write_snapshot(homes.a, likes)
    assert [path.name for path in homes.stored.iterdir()] == [f"{digest}.parquet"]
    assert read_snapshot(homes.b, digest, Likes).item_ids == likes.item_ids
    assert files_of(homes) == set()
    other = write_snapshot(homes.b, make_likes(seed=1))
    (homes.stored / f"{other}.parquet").replace(homes.stored / f"{digest}.parquet")
    with pytest.raises(SnapshotDestroyedError, match="was changed since"):
        read_snapshot(homes.a, digest, Likes)


def test_the_settings_name_the_store_of_both(monkeypatch, tmp_path):
    monkeypatch.setenv("BAKEOFF_HOME", str(tmp_path))
    monkeypatch.setenv("BAKEOFF_ARTIFACTS", f"file://{tmp_path}")
    environment = read_environment()
    assert remote_of(environment.snapshots).url == remote_of(environment.artifacts).url
    monkeypatch.setenv("BAKEOFF_ARTIFACTS", "")
    assert remote_of(read_environment().snapshots) is None


def test_an_erasure_on_one_machine_leaves_nothing_for_another(on_a, tables):
    shop = builders.make_shop()
    likes = make_likes()
    unit = likes.unit_ids[0]
    rest = [n for n, one in enumerate(likes.unit_ids) if one != unit]
    others = Likes(
        *([column[n] for n in rest] for column in (likes.unit_ids, likes.item_ids, likes.liked_at))
    )
    held, stays = (freeze_rows(shop.surface, rows).sha256 for rows in (likes, others))
    assert erase_unit(project_id=shop.project.pk, unit_id=unit, by="a test").snapshots == 1
    with pytest.raises(SnapshotDestroyedError, match="a unit in it was erased"):
        read_snapshot(on_a.b, held, Likes)
    assert read_snapshot(on_a.b, stays, Likes).unit_ids == others.unit_ids
    assert json.loads((on_a.stored / f"{held}.tombstone.json").read_text())["sha256"] == held
    # A copy of before the store was set, on a machine that was off, does not come back.
    on_a.leave()
    assert write_snapshot(on_a.b, likes) == held
    on_a.join()
    with pytest.raises(SnapshotDestroyedError):
        read_snapshot(on_a.b, held, Likes)
    move_snapshots(on_a.b)
    assert files_of(on_a) == set()
    assert {path.name for path in on_a.stored.iterdir()} == {
        f"{held}.tombstone.json", f"{stays}.parquet",
    }  # fmt: skip


@pytest.mark.parametrize("has_store", [True, False], ids=["store", "folder"])
def test_an_erasure_that_was_rolled_back_is_completed_by_the_next(on_a, tables, has_store):
    if not has_store:
        on_a.leave()
    shop, likes = builders.make_shop(), make_likes()
    snapshot = freeze_rows(shop.surface, likes)

    def erase():
        return erase_unit(project_id=shop.project.pk, unit_id=likes.unit_ids[0], by="a test")

    def fail():
        with transaction.atomic():
            erase()
            raise ConnectionError

    with pytest.raises(ConnectionError):
        fail()
    snapshot.refresh_from_db()
    assert snapshot.destroyed_at is None
    with pytest.raises(SnapshotDestroyedError):  # no roll-back brings an object back
        read_snapshot(on_a.a, snapshot.sha256, Likes)
    assert erase().snapshots == 1
    snapshot.refresh_from_db()
    assert snapshot.destroyed_at is not None
    entry = AuditEntry.objects.get(project=shop.project, action="erase")
    assert entry.detail["snapshots"] == 1
    assert erase().snapshots == 0


def test_a_store_that_is_away_is_a_sentence_and_changes_nothing(on_a, tables):
    shop = builders.make_shop()
    snapshot = freeze_rows(shop.surface, make_likes())
    on_a.away()
    with pytest.raises(RemoteStoreError, match=r"file://.* does not exist: make its bucket"):
        read_snapshot(on_a.b, snapshot.sha256, Likes)
    with pytest.raises(CannotEraseError, match="training data may hold the unit: file://"):
        erase_unit(project_id=shop.project.pk, unit_id="ann", by="a test")
    snapshot.refresh_from_db()
    assert snapshot.destroyed_at is None


def test_what_was_there_before_the_store_is_read_and_moved_once(on_a, tables):
    on_a.leave()
    ArtifactStore.objects.update_or_create(
        pk=1, defaults={"store_id": make_store_id(on_a.a.parent / "artifacts")}
    )
    shop = builders.make_shop()
    likes = make_likes()
    digest = freeze_rows(shop.surface, likes).sha256
    on_a.join()
    assert read_snapshot(on_a.a, digest, Likes).unit_ids == likes.unit_ids
    with pytest.raises(SnapshotDestroyedError):
        read_snapshot(on_a.b, digest, Likes)
    on_a.clean()
    assert files_of(on_a) == set()
    assert read_snapshot(on_a.b, digest, Likes).unit_ids == likes.unit_ids
    assert move_snapshots(on_a.a) == 0


@pytest.mark.parametrize("has_store", [True, False], ids=["store", "folder"])
def test_what_no_row_names_is_deleted_after_a_week(on_a, tables, monkeypatch, has_store):
    if not has_store:
        on_a.leave()
    ArtifactStore.objects.update_or_create(
        pk=1, defaults={"store_id": make_store_id(on_a.a.parent / "artifacts")}
    )
    TrainingRun.objects.filter(state__in=TrainingRun.ACTIVE).update(state="cancelled")  # other tests'
    shop = builders.make_shop()
    named = freeze_rows(shop.surface, make_likes()).sha256
    unnamed, new = (write_snapshot(on_a.a, make_likes(seed=n)) for n in (101, 102))
    folder = on_a.stored if has_store else on_a.a
    for digest in (named, unnamed):
        os.utime(folder / f"{digest}.parquet", (HOUR, HOUR))
    on_a.clean()
    assert {path.stem for path in folder.glob("*.parquet")} == {named, new}
    Snapshot.objects.filter(sha256=named).update(destroyed_at=builders.now())
    on_a.clean()
    assert {path.stem for path in folder.glob("*.parquet")} == {new}


def test_a_snapshot_that_is_used_again_is_new_again(homes):
    for folder in (homes.stored, homes.a):
        digest = write_snapshot(homes.a, make_likes())
        file = folder / f"{digest}.parquet"
        os.utime(file, (HOUR, HOUR))
        assert write_snapshot(homes.a, make_likes()) == digest
        assert file.stat().st_mtime > HOUR
        homes.leave()


def test_what_another_clean_up_took_meanwhile_is_passed_over(homes):
    homes.a.mkdir(parents=True)
    for suffix in (".parquet", ".tombstone.json"):
        # Listed, and not there any more when it is opened.
        (homes.a / f"{'a' * 64}{suffix}").symlink_to("gone")
    assert move_snapshots(homes.a) == 0
    assert delete_old_snapshots(homes.a, math.inf, lambda _digest: False) == 0


def test_what_is_erased_while_it_is_moved_does_not_come_back(homes, monkeypatch):
    homes.leave()
    digest = write_snapshot(homes.b, make_likes())
    homes.join()
    remote = remote_of(homes.b)
    put_file = remote.put_file

    def put_after_erasure(key, file):
        destroy_snapshot(homes.a, digest, destroyed_at=builders.now())  # by the other machine
        put_file(key, file)

    monkeypatch.setattr(remote, "put_file", put_after_erasure)
    move_snapshots(homes.b)
    assert files_of(homes) == set()
    assert [path.name for path in homes.stored.iterdir()] == [f"{digest}.tombstone.json"]


@pytest.mark.parametrize("has_store", [True, False], ids=["store", "folder"])
def test_what_is_frozen_anew_while_the_clean_up_looks_at_it_stays(homes, has_store):
    if not has_store:
        homes.leave()
    digest = write_snapshot(homes.a, make_likes())
    file = (homes.stored if has_store else homes.a) / f"{digest}.parquet"
    os.utime(file, (HOUR, HOUR))

    def is_named(_digest):
        write_snapshot(homes.a, make_likes())  # its row comes later
        return False

    assert delete_old_snapshots(homes.a, 2 * HOUR, is_named) == 0
    assert file.exists()
    assert delete_old_snapshots(homes.a, math.inf, lambda _digest: False) == 1


def test_a_backup_goes_on_without_what_is_destroyed_while_it_is_copied(homes, tmp_path, monkeypatch):
    stays, goes = (write_snapshot(homes.a, make_likes(seed=n)) for n in (0, 1))
    home = replace(django_settings.BAKEOFF, home=homes.b.parent)
    remote = remote_of(homes.b)
    size_of = remote.size_of

    def size_before_erasure(key):
        size = size_of(key)
        if goes in key:
            destroy_snapshot(homes.a, goes, destroyed_at=builders.now())
        return size

    monkeypatch.setattr(remote, "size_of", size_before_erasure)
    (tmp_path / "snapshots").mkdir()
    take_backup._fetch_snapshots(home, tmp_path)
    assert {path.name for path in tmp_path.glob("snapshots/*.parquet")} == {f"{stays}.parquet"}


def test_a_backup_holds_them_and_a_restore_fills_another_store(homes, tmp_path):
    likes = make_likes()
    digest = write_snapshot(homes.a, likes)
    make_store_id(homes.b.parent / "artifacts")
    home = replace(django_settings.BAKEOFF, home=homes.b.parent)
    draft = tmp_path / "backup"
    (draft / "snapshots").mkdir(parents=True)
    take_backup._fetch_snapshots(home, draft)
    assert [path.name for path in (draft / "snapshots").iterdir()] == [f"{digest}.parquet"]
    assert files_of(homes) == set()  # none in the home, where no erasure would reach it
    other = tmp_path / "other"
    other.mkdir()
    use_remote(homes.b, f"file://{other}")
    use_remote(homes.b.parent / "artifacts", f"file://{other}")
    restore_backup._copy_home(home, draft)
    restore_backup._upload_artifacts(home)
    assert files_of(homes) == set()
    assert read_snapshot(homes.b, digest, Likes).unit_ids == likes.unit_ids


def run_with_noise(shop, digest) -> TrainingRun:
    noise = {
        "examined": 9,
        "count": 1,
        "rows": [
            {
                "row": 0, "stated": "a", "likely": "b",
                "probability": 0.9, "stated_probability": 0.1,
            }
        ],
    }  # fmt: skip
    shop.champion.gate = {"passed": True, "about": {"label_noise": noise}}
    shop.champion.save(update_fields=["gate"])
    return TrainingRun.objects.create(
        surface=shop.surface, algorithm="linear", state="passed", version=shop.champion,
        snapshot=Snapshot.objects.create(surface=shop.surface, sha256=digest, rows=1, units=1),
    )  # fmt: skip


def test_a_run_page_downloads_training_data_where_their_texts_are_wanted(on_a, tables, client):
    rows = Examples([""], ["where is my parcel"], [{}], ["a"], [HOUR])
    run = run_with_noise(builders.make_shop(), write_snapshot(on_a.a, rows))
    client.force_login(builders.make_root())
    url = reverse("run", args=[run.pk])
    page = client.get(url).content.decode()
    assert "where is my parcel" not in page
    assert '<a href="?texts=1">Show</a>' in page
    assert "where is my parcel" in client.get(url, {"texts": 1}).content.decode()
    # A moment after it did not answer, nobody waits for it again.
    remote = remote_of(on_a.a)
    remote._away_until, remote._why = time.monotonic() + 60, "it does not answer"
    page = client.get(url, {"texts": 1}).content.decode()
    assert "where is my parcel" not in page
    assert "it does not answer" in page


def test_a_run_page_shows_itself_while_the_store_is_away(on_a, tables, client):
    shop = builders.make_shop()
    run = run_with_noise(shop, "a" * 64)
    on_a.away()
    client.force_login(builders.make_root())
    sentence = f"{on_a.url} does not exist: make its bucket or folder first."
    page = client.get(reverse("run", args=[run.pk]), {"texts": 1})
    assert page.status_code == 200
    assert sentence in page.content.decode()
    page = client.post(
        reverse("feedback", args=[shop.project.slug]), {"queue_run": run.pk}, follow=True
    ).content.decode()
    assert sentence in page
