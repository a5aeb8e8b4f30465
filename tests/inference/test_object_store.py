"""Artifacts in an object store: two homes are two machines, which share nothing else."""

from __future__ import annotations

import shutil
import threading
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.conf import settings as django_settings
from django.db import connection
from psycopg.conninfo import make_conninfo

from bakeoff.backup import restore_backup, take_backup
from bakeoff.backup.manifest import BackupError
from bakeoff.gateway.config.versions import VersionLoader
from experiments.actions.mark_units import mark_all_units, surfaces_to_mark
from experiments.actions.reconcile import reconcile
from experiments.assignment import VersionReference
from inference.actions import due_places, embed_images
from inference.actions.clean_artifacts import clean_artifacts
from inference.actions.place_items import place_items
from inference.models import ArtifactStore, FetchedImage, ModelVersion, TrainingRun
from inference.outages import is_outage
from inference.serving import remote_store, store
from inference.serving.artifact import ArtifactError, check_artifact, save_artifact
from inference.serving.models import open_model
from inference.serving.remote_store import (
    RemoteStoreError,
    StoreAwayError,
    StoreSettingError,
    parse_url,
    remote_of,
    use_remote,
)
from inference.serving.store import ForeignStoreError, check_store, make_store_id, read_store_id
from inference.tasks import place_missing_items
from tests.support import builders
from tests.support.artifacts import draft_artifact
from tests.support.broker import lose_messages, messages
from tests.support.config_checks import check
from tests.support.fast_lane import test_database_url
from tests.support.learning import train


class Machines:
    """Two machines before one store."""

    def __init__(self, folder) -> None:
        self.bucket = folder / "bucket"
        self.bucket.mkdir()
        self.url = f"file://{self.bucket}"
        self.a, self.b = folder / "a" / "artifacts", folder / "b" / "artifacts"
        for root in (self.a, self.b):
            use_remote(root, self.url)

    def away(self) -> None:
        self.bucket.rename(self.bucket.with_name("elsewhere"))

    def back(self) -> None:
        self.bucket.with_name("elsewhere").rename(self.bucket)


@pytest.fixture
def machines(tmp_path):
    pair = Machines(tmp_path)
    yield pair
    for root in (pair.a, pair.b):
        use_remote(root, "")


def clean(root) -> int:
    return clean_artifacts(artifacts=root, checkpoints=root / "none", snapshots=root / "none")


def test_what_one_machine_trains_another_serves(learner, machines, settings, monkeypatch):
    settings.BAKEOFF = replace(django_settings.BAKEOFF, home=machines.a.parent)
    monkeypatch.setenv("BAKEOFF_HOME", str(machines.a.parent))
    monkeypatch.setenv("BAKEOFF_ARTIFACTS", machines.url)
    run = train(learner, "popularity")
    assert run.state == TrainingRun.State.PASSED, run.message
    digest = run.version.artifact_sha256
    assert (machines.a / digest).is_dir()
    assert not (machines.b / digest).exists()
    loader = VersionLoader(machines.b)
    served = loader.load(VersionReference(run.version.pk, run.version.label, digest))
    assert served.ranker.item_ids
    check_artifact(machines.b, digest)
    assert not list(machines.b.glob(".new-*"))


def test_an_item_is_placed_on_a_machine_that_has_no_version_yet(tables, machines, settings, s3):
    settings.BAKEOFF = replace(django_settings.BAKEOFF, home=machines.a.parent)
    shop = builders.make_shop(items=3)
    digest = save_artifact(machines.a, draft_artifact(items=3, seed=77))  # that no other test reads
    shop.surface.versions.update(artifact_sha256=digest)
    shop.project.items.update(group_id="shirt")
    new = shop.project.items.create(item_id="new", group_id="shirt")
    root, handler = s3
    settings.BAKEOFF = replace(django_settings.BAKEOFF, home=root.parent)
    handler.status, handler.code = 400, "Broken"
    with pytest.raises(ArtifactError, match="does not answer"):  # so its task is sent again
        place_items([new])
    settings.BAKEOFF = replace(django_settings.BAKEOFF, home=machines.b.parent)
    machines.away()
    assert place_items([new]) == 0
    machines.back()
    assert place_items([new]) == 1
    assert {name for name, _ in new.neighbours} == set(shop.items)


def test_what_could_not_be_placed_is_placed_when_the_store_is_back(
    tables, machines, settings, s3, monkeypatch
):
    settings.BAKEOFF = replace(django_settings.BAKEOFF, home=machines.a.parent)
    shop = builders.make_shop(items=3)
    digest = save_artifact(machines.a, draft_artifact(items=3, seed=79))  # that no other test reads
    shop.surface.versions.update(artifact_sha256=digest)
    shop.project.items.update(group_id="shirt")
    new = shop.project.items.create(item_id="new", group_id="shirt", image_url="http://a.test/new.png")
    image = FetchedImage(project=shop.project, url=new.image_url)
    monkeypatch.setattr(embed_images, "fetch_due_images", lambda **_: [image])
    monkeypatch.setattr(due_places, "PAUSE_SECONDS", 0.0)
    root, handler = s3
    settings.BAKEOFF = replace(django_settings.BAKEOFF, home=root.parent)
    handler.status, handler.code = 400, "Broken"
    lose_messages()
    mark_all_units(surface=shop.surface)
    assert shop.surface not in surfaces_to_mark()  # its units are not marked again and again
    assert messages("embed") == [[shop.project.pk]]
    with pytest.raises(ArtifactError, match="does not answer"):
        place_missing_items(shop.project.pk)
    assert embed_images.embed_images_for(seconds=1.0) == 1
    new.refresh_from_db()
    assert new.vector_due_at is not None  # it is sent again as a new item is
    settings.BAKEOFF = replace(django_settings.BAKEOFF, home=machines.a.parent)
    lose_messages()
    reconcile()
    assert [shop.project.pk] in messages("embed")
    assert place_missing_items(shop.project.pk) == 1
    assert due_places.send_due_places() == 0


def test_a_version_waits_for_the_store_and_what_is_cached_serves(machines):
    cached, later = (save_artifact(machines.a, draft_artifact(seed=n)) for n in range(2))
    open_model(machines.b, cached)
    machines.away()
    loader = VersionLoader(machines.b)
    assert loader.load(VersionReference(1, "a@1", cached)).model is not None
    assert loader.load(VersionReference(2, "a@2", later)).model is None  # the ladder answers
    assert f"artifact {later[:12]} is missing from {machines.b}" in loader.problems[later]
    machines.back()
    assert loader.load(VersionReference(2, "a@2", later)).model is not None
    assert later not in loader.problems


@pytest.mark.parametrize("content", [b"", b"damaged"])
@pytest.mark.parametrize("name", ["items.json", "item_vectors.npy", "manifest.json"])
def test_what_is_cut_or_changed_is_never_served(machines, name, content):
    digest = save_artifact(machines.a, draft_artifact())
    stored = machines.bucket / "artifacts" / digest / name
    whole = stored.read_bytes()
    stored.write_bytes(content or whole[: len(whole) // 2])
    with pytest.raises(ArtifactError, match=r"was changed|is not what its manifest says"):
        open_model(machines.b, digest)
    assert not [path for path in machines.b.glob("*") if path.is_dir()]
    stored.write_bytes(whole)
    open_model(machines.b, digest)


def test_an_upload_that_is_cut_off_is_not_seen(machines):
    digest = save_artifact(machines.a, draft_artifact())
    (machines.bucket / "artifacts" / digest / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match=f"artifact {digest[:12]} is not in file://"):
        open_model(machines.b, digest)
    assert save_artifact(machines.a, draft_artifact()) == digest  # again: it is completed
    open_model(machines.b, digest)


def test_a_store_belongs_to_one_platform(machines, tables, tmp_path):
    ArtifactStore.objects.all().delete()
    check_store(test_database_url(), machines.a)
    assert read_store_id(machines.b) == read_store_id(machines.a)
    check_store(test_database_url(), machines.b)
    foreign = tmp_path / "c"
    ArtifactStore.objects.update(store_id=make_store_id(foreign))
    use_remote(foreign, machines.url)
    with pytest.raises(ForeignStoreError, match="holds another platform's artifacts"):
        check_store(test_database_url(), foreign)
    use_remote(foreign, "")


def test_what_no_version_names_is_deleted_in_the_store_too(machines, tables, monkeypatch):
    ArtifactStore.objects.update_or_create(pk=1, defaults={"store_id": make_store_id(machines.a)})
    TrainingRun.objects.filter(state__in=TrainingRun.ACTIVE).update(state="cancelled")  # other tests'
    shop = builders.make_shop()
    named, unnamed = (save_artifact(machines.a, draft_artifact(seed=n)) for n in range(2))
    ModelVersion.objects.filter(pk=shop.champion.pk).update(artifact_sha256=named)
    stored = machines.bucket / "artifacts"
    assert clean(machines.a) == 0
    assert {path.name for path in stored.iterdir()} == {named, unnamed}
    monkeypatch.setattr("inference.actions.clean_artifacts._cutoff", lambda: 2e10)
    shutil.rmtree(machines.a / named)  # not cached here, and needed all the same
    clean(machines.a)
    assert (stored / named / "manifest.json").exists()
    assert not list((stored / unnamed).glob("*"))


def test_a_backup_holds_what_the_store_has_and_a_restore_fills_another(machines, tmp_path):
    digest = save_artifact(machines.a, draft_artifact())
    make_store_id(machines.a)
    home = replace(django_settings.BAKEOFF, home=machines.b.parent)
    take_backup._fetch_artifacts(home)
    check_artifact(machines.b, digest)
    other = tmp_path / "other"
    other.mkdir()
    make_store_id(machines.b)
    use_remote(machines.b, f"file://{other}")
    restore_backup._upload_artifacts(home)
    use_remote(tmp_path / "c", f"file://{other}")
    check_artifact(tmp_path / "c", digest)
    use_remote(tmp_path / "c", "")
    (other / "store_id").write_text("another's")
    with pytest.raises(BackupError, match="holds another platform's artifacts"):
        restore_backup._upload_artifacts(home)
    use_remote(machines.b, "file:///nowhere/at/all")
    with pytest.raises(BackupError, match="does not exist: make its bucket or folder first"):
        take_backup._fetch_artifacts(home)


class Denying(BaseHTTPRequestHandler):
    """A store that answers each request with one status and code."""

    status, code = 403, "AccessDenied"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = f"<Error><Code>{self.code}</Code><Message>no</Message></Error>".encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815  the base's names

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def s3(tmp_path, monkeypatch):
    """A root before an S3 that answers as `Denying` is set."""
    handler = type("Handler", (Denying,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in {
        "AWS_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    remote_store._open.cache_clear()
    root = tmp_path / "artifacts"
    use_remote(root, "s3://models/shop")
    yield root, handler
    use_remote(root, "")
    server.shutdown()
    server.server_close()
    remote_store._open.cache_clear()


@pytest.mark.parametrize(
    ("status", "code", "sentence", "passes"),
    [
        (403, "AccessDenied", "s3://models/shop denies access: its credentials must allow", False),
        (404, "NoSuchBucket", "s3://models/shop does not exist: make its bucket", False),
        (400, "Broken", "s3://models/shop does not answer: ", True),
    ],
)
def test_a_store_that_refuses_says_so_in_a_sentence(s3, status, code, sentence, passes):
    root, handler = s3
    handler.status, handler.code = status, code
    with pytest.raises(
        ArtifactError, match="artifact [0-9a-f]{12} is not stored: " + sentence
    ) as caught:
        save_artifact(root, draft_artifact())
    assert "\n" not in str(caught.value)
    assert is_outage(caught.value) == passes  # a run waits for what passes, and ends with what does not
    with pytest.raises(RemoteStoreError, match=sentence):
        remote_of(root).probe()


def test_the_check_of_settings_names_stores_that_deny(s3):
    done = check(BAKEOFF_ARTIFACTS="s3://models/shop", BAKEOFF_ARCHIVE="s3://cold/shop")
    why = "denies access: its credentials must allow to list, read, write and delete."
    assert (done.returncode, done.stdout.splitlines()) == (
        1, [f"BAKEOFF_ARTIFACTS: s3://models/shop {why}", f"BAKEOFF_ARCHIVE: s3://cold/shop {why}"],
    )  # fmt: skip


def test_nobody_waits_twice_for_a_store_that_is_away(s3):
    root, handler = s3
    handler.status, handler.code = 400, "Broken"
    with pytest.raises(ArtifactError, match="does not answer") as first:
        check_artifact(root, "a" * 64)
    handler.status, handler.code = 403, "AccessDenied"
    with pytest.raises(ArtifactError) as second:
        check_artifact(root, "a" * 64)
    assert str(first.value) == str(second.value)
    assert isinstance(second.value.__cause__, StoreAwayError)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://models", "must begin with one of"),
        ("models/shop", "must begin with one of"),
        ("s3://", "must be like s3://bucket/prefix"),
        ("file://", "must be like s3://bucket/prefix"),
        ("file://folder/there", "must be like s3://bucket/prefix"),
        ("s3://key:secret@models", "credentials are the library's own variables"),
    ],
)
def test_a_setting_that_names_no_store_is_refused(url, sentence):
    with pytest.raises(StoreSettingError, match=sentence) as caught:
        parse_url(url)
    assert "secret@" not in str(caught.value)
    assert parse_url("s3://models/shop/") == "s3://models/shop"
    assert parse_url("") == ""


@pytest.mark.parametrize("count", [1, 2], ids=["one machine", "two machines"])
def test_processes_that_start_at_once_agree_on_one_store(tables, machines, monkeypatch, count):
    """Each reads that there is none before another has made it, as slow machines do."""
    ArtifactStore.objects.all().delete()
    roots = [machines.a, machines.b][:count] * (4 // count)
    all_read, write = threading.Barrier(len(roots), timeout=5), store._write_id

    def write_late(artifacts, store_id):
        with suppress(threading.BrokenBarrierError):
            all_read.wait()
        write(artifacts, store_id)

    monkeypatch.setattr(store, "_write_id", write_late)
    refused = []

    def start(root):
        try:
            check_store(test_database_url(), root)
        except ForeignStoreError as error:
            refused.append(error)

    threads = [threading.Thread(target=start, args=[root]) for root in roots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == []
    stored = ArtifactStore.objects.get().store_id
    assert {read_store_id(root) for root in roots} == {stored}


def test_two_platforms_that_take_an_empty_store_at_once_are_told_apart(machines, tables, monkeypatch):
    """Each reads that the store is nobody's before the other has written, as slow machines do."""
    ArtifactStore.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS second CASCADE")
        cursor.execute("CREATE SCHEMA second")
        cursor.execute(
            "CREATE TABLE second.inference_artifactstore "
            "(LIKE public.inference_artifactstore INCLUDING ALL)"
        )
    second = make_conninfo(test_database_url(), options="-c search_path=second")
    both_read, read = threading.Barrier(2, timeout=5), remote_store.RemoteStore.read

    def read_late(remote, key):
        content = read(remote, key)
        if content is None:
            with suppress(threading.BrokenBarrierError):
                both_read.wait()
        return content

    monkeypatch.setattr(remote_store.RemoteStore, "read", read_late)
    refused = []

    def start(url, root):
        try:
            check_store(url, root)
        except ForeignStoreError as error:
            refused.append(str(error))

    platforms = ((test_database_url(), machines.a), (second, machines.b))
    threads = [threading.Thread(target=start, args=platform) for platform in platforms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM second.inference_artifactstore")
        owned = cursor.fetchone()[0] + ArtifactStore.objects.count()
        cursor.execute("DROP SCHEMA second CASCADE")
    assert owned == 1  # who was refused has no store
    (sentence,) = refused
    assert f"{machines.url} holds another platform's artifacts (id == " in sentence
    assert sentence.endswith("set BAKEOFF_ARTIFACTS to a prefix of its own.")
    winner = (machines.bucket / "store_id").read_text().strip()
    assert winner in {str(read_store_id(root)) for root in (machines.a, machines.b)}
