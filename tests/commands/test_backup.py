"""A platform is backed up under load and restored elsewhere: nothing is lost, its experiment goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

from bakeoff.backup.manifest import DUMP, NAME, Manifest
from bakeoff.backup.remote_backup import UNFINISHED
from bakeoff.embedded.postgres import BINARIES
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.ingest.rows import Rows
from experiments.ingest.spill import STREAM
from experiments.ingest.statement import Payload
from inference.cache import cache_client
from inference.models import ModelVersion
from tests.support import builders
from tests.support.backups import LATER, go_on, prepare_experiment, restore, servers_of
from tests.support.fast_lane import test_database_url
from tests.support.waiting import wait_until


class Ledger:
    """Events that are sent again and again, and when each was acknowledged."""

    def __init__(self, lane, shop) -> None:
        self.lane, self.shop, self.acknowledged = lane, shop, {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            event = {"event_id": f"e{number}", "name": "click", "unit_id": f"u{number % 50}"}
            if self.lane.post("/v1/events", event, self.shop.public).status_code == 202:
                self.acknowledged[event["event_id"]] = time.monotonic()

    def __enter__(self):
        self._thread.start()
        wait_until(lambda: len(self.acknowledged) > 20)
        return self

    def __exit__(self, *_):
        wait_until(lambda: len(self.acknowledged) > 40)
        self._stop.set()
        self._thread.join()


@pytest.fixture(scope="module")
def other_home():
    home = Path(tempfile.mkdtemp(prefix="bf-"))  # a socket's path is short
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def backup_of_shop(console, shop, tmp_path):
    folder = tmp_path / "backup"
    console("backup", folder)
    return folder


def onto_the_tests(home: Path) -> dict[str, str]:
    """Variables of a restore into the database of these tests, which is full."""
    socket = settings.BAKEOFF.run_folder / "valkey.sock"
    return {"DATABASE_URL": test_database_url(), "REDIS_URL": f"unix://{socket}?db=5"}


def check_ledger(ledger: Ledger, url: str, started: float, ended: float, events: int) -> None:
    """All that was acknowledged before the backup is there, nothing of after it, nothing twice."""
    with psycopg.connect(url) as database:
        names = database.execute(
            "SELECT event_id FROM experiments_event WHERE project_id = %s", [ledger.shop.project.pk]
        ).fetchall()
        assert database.execute("SELECT count(*) FROM experiments_event").fetchone() == (events,)
    present = {name for (name,) in names}
    assert len(present) == len(names)
    before = {name for name, at in ledger.acknowledged.items() if at < started}
    assert len(before) > 20
    assert before <= present
    after = {name for name, at in ledger.acknowledged.items() if at > ended + 1}
    assert not after & present


@pytest.fixture
def one_commit_waits(shop):
    """A commit in the cache, as while PostgreSQL was away."""
    waiting = builders.event(shop.project, unit="u1", event_id="waits-in-the-cache")
    cache_client().delete(STREAM)
    cache_client().xadd(STREAM, Payload.of(Rows(events=[waiting])).as_fields())
    yield
    cache_client().delete(STREAM)


def test_backed_up_under_load_and_restored_elsewhere_it_goes_on(
    empty_platform, console, lane, shop, one_commit_waits, other_home, tmp_path
):
    busy, folder = builders.make_shop(), tmp_path / "backup"
    lane.refresh()
    experiment = prepare_experiment(shop)
    with Ledger(lane, busy) as ledger:
        started = time.monotonic()
        done = console(
            "backup", folder,
            BAKEOFF_KEY="sk_hunter2", BAKEOFF_WAREHOUSE="clickhouse://bi:hunter2@warehouse", BAKEOFF_DEVICE="cpu",
        )  # fmt: skip
        ended = time.monotonic()
    manifest = Manifest.read(folder)
    assert manifest.spilled == 1
    assert manifest.settings["BAKEOFF_DEVICE"] == "cpu"
    assert "hunter2" not in str(manifest.settings)
    assert "1 commits that wait" in done.output
    assert folder.stat().st_mode & 0o077 == 0
    restored = restore(folder, other_home)
    assert restored.returncode == 0, restored.stderr
    assert "`bakeoff up` starts it." in restored.stdout
    with servers_of(other_home) as url:
        check_ledger(ledger, url, started, ended, manifest.counts["experiments_event"])
        drained, number, action, result = go_on(other_home, experiment.pk)
    # The platform that was never interrupted says the same of the same rows, to the last bit.
    builders.visits(experiment, LATER, unit_id="later-{variant}-{n}")
    look = look_at_experiment(experiment_id=experiment.pk)
    assert (drained, number, action) == (1, look.number, look.action)
    assert result == json.loads(json.dumps(look.result))
    versions = ModelVersion.objects.filter(surface__project=shop.project)
    digests = versions.values_list("artifact_sha256", flat=True)
    assert all((other_home / "artifacts" / digest).is_dir() for digest in digests)
    # It is no empty home any more.
    again = restore(folder, other_home)
    assert again.returncode == 1
    assert "must be 0: restore into an empty one." in again.stderr


def test_a_restore_over_a_full_database_changes_nothing(backup_of_shop, rows, shop, tmp_path):
    home = tmp_path / "home"
    done = restore(backup_of_shop, home, **onto_the_tests(home))
    assert done.returncode == 1
    assert "Error: tables in the database == " in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (home / "artifacts" / "store_id").exists()
    assert rows("event", shop.project) == 0


def test_a_damaged_or_cut_backup_is_refused_before_anything_is_done(backup_of_shop, tmp_path):
    home = tmp_path / "home"
    dump = backup_of_shop / DUMP
    dump.write_bytes(dump.read_bytes()[:-1] + b"x")
    done = restore(backup_of_shop, home)
    assert done.returncode == 1
    assert f"{dump} is damaged: its SHA-256 must be " in done.stderr
    dump.unlink()
    assert f"{dump} is missing: the backup is not whole." in restore(backup_of_shop, home).stderr
    (backup_of_shop / NAME).unlink()
    assert (
        f"has no {NAME}: it is no backup, or one that was cut off."
        in restore(backup_of_shop, home).stderr
    )
    assert "is no folder, must be a backup." in restore(tmp_path / "nothing", home).stderr
    assert not home.exists()


def with_stamps(folder: Path, *, dies: bool = False) -> Path:
    """Programs whose dumps carry the mark of a newer minor of PostgreSQL, or end in the middle."""
    folder.mkdir()
    for name in ("psql", "pg_restore"):
        (folder / name).write_text(f'#!/bin/sh\nexec "{BINARIES / name}" "$@"\n')
        (folder / name).chmod(0o700)
    stamp = "ALTER TABLE ONLY public.accounts_project ALTER COLUMN name SET (pg_attver=26489112);"
    (folder / "pg_restore").write_text(f"""#!/bin/sh
case "$1" in
--section=pre-data) "{BINARIES}/pg_restore" "$@" && echo '{stamp}' ;;
--section=data) "{BINARIES}/pg_restore" "$@" {"| head -c 20000; echo 'pg_restore: error: cut off' >&2; exit 1" if dies else ""} ;;
*) echo "must not be called so: $*" >&2; exit 1 ;;
esac
""")
    return folder


def test_marks_of_a_newer_minor_are_left_out_and_half_a_dump_changes_nothing(
    backup_of_shop, shop, tmp_path
):
    home = Path(tempfile.mkdtemp(prefix="bf-"))
    try:
        cut = restore(backup_of_shop, home, tools=with_stamps(tmp_path / "cut", dies=True))
        assert (cut.returncode, len(cut.stderr.splitlines())) == (1, 1)
        assert cut.stderr.endswith("pg_restore: cut off.\n")
        done = restore(backup_of_shop, home, tools=with_stamps(tmp_path / "whole"))
        assert done.returncode == 0, done.stderr
        with servers_of(home) as url, psycopg.connect(url) as database:
            projects = {row[0] for row in database.execute("SELECT slug FROM accounts_project")}
            marks = "SELECT count(*) FROM pg_attribute WHERE attoptions IS NOT NULL"
            assert database.execute(marks).fetchone() == (0,)
        assert shop.project.slug in projects
    finally:
        shutil.rmtree(home, ignore_errors=True)


def test_a_backup_that_is_killed_leaves_no_folder_and_can_be_repeated(console, shop, tmp_path):
    tools, folder = tmp_path / "tools", tmp_path / "backup"
    tools.mkdir()
    hangs = tools / "pg_dump"
    hangs.write_text('#!/bin/sh\ntouch "$(dirname "$0")/began"\nexec sleep 600\n')
    hangs.chmod(0o700)
    killed = subprocess.Popen(
        [sys.executable, "-m", "bakeoff", "backup", str(folder), "--tools", str(tools)],
        env={**os.environ, "DATABASE_URL": test_database_url()}, start_new_session=True,
    )  # fmt: skip
    wait_until((tools / "began").exists)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    draft = folder.with_name(".backup.unfinished")
    assert draft.is_dir()
    assert not folder.exists()
    refused = console("restore", draft, status=1)
    assert "it is no backup, or one that was cut off" in refused.stderr
    console("backup", folder)
    assert not draft.exists()
    assert Manifest.read(folder).counts["accounts_project"] >= 1


def test_a_backup_that_cannot_be_made_is_one_sentence(console, shop, tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "file").touch()
    away = "postgresql://nobody:hunter2@127.0.0.1:1/bakeoff"
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments, variables, sentence in (
        ([taken], {}, f"{taken} exists and is not empty: name a new folder."),
        ([tmp_path / "a"], {"DATABASE_URL": away}, "PostgreSQL does not answer ("),
        ([tmp_path / "a"], {"REDIS_URL": "redis://127.0.0.1:1/0"}, "Redis does not answer ("),
        (
            [tmp_path / "a", "--tools", empty],
            {},
            f"{empty / 'pg_dump'} cannot be run: No such file or directory.",
        ),
        (["/proc/nowhere/backup"], {}, "/proc/nowhere/backup cannot be written: "),
    ):
        done = console("backup", *arguments, status=1, **variables)
        assert sentence in done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert "hunter2" not in done.output
    assert not (tmp_path / "a").exists()


def test_a_backup_goes_to_an_object_store_and_comes_back(console, shop, tmp_path):
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    place = f"file://{bucket}/one"
    (bucket / "one").mkdir()
    cut = restore(place, tmp_path / "empty")
    assert cut.stderr == f"Error: {place} has no {NAME}: it is no backup, or one that was cut off.\n"
    for name, what in (("photo.png", "other objects"), (UNFINISHED, "an upload that was cut off")):
        (bucket / "one" / name).touch()
        refused = console("backup", place, status=1)
        assert refused.stderr == f"Error: {place} holds {what} already: name a new prefix.\n"
        assert console("backup", f"file://{bucket}", status=1).stderr.count("other objects") == 1
        (bucket / "one" / name).unlink()
    done = console("backup", place)
    assert f"{place} holds the platform of " in done.output
    assert Manifest.read(bucket / "one").counts["accounts_project"] >= 1
    assert not (bucket / "one" / UNFINISHED).exists()
    again = console("backup", place, status=1)
    assert again.stderr == f"Error: {place} holds a backup already: name a new prefix.\n"
    home = Path(tempfile.mkdtemp(prefix="bf-"))
    try:
        restored = restore(place, home)
        assert restored.returncode == 0, restored.stderr
        assert [one.name for one in (home / "cache" / "backup").iterdir()] == ["lock"]
        with servers_of(home) as url, psycopg.connect(url) as database:
            assert shop.project.slug in {
                row[0] for row in database.execute("SELECT slug FROM accounts_project")
            }
    finally:
        shutil.rmtree(home, ignore_errors=True)
    (bucket / "one" / DUMP).unlink()
    lacks = restore(place, tmp_path / "empty")
    assert lacks.stderr == f"Error: {place} has no {DUMP}: the backup is not whole.\n"


def test_a_place_that_is_no_store_is_one_sentence(console, shop, tmp_path):
    for place, sentence in (
        ("ftp://host/one", "The place of a backup == 'ftp://host/one', must begin with one of "),
        ("s3://key@bucket/one", "The place of a backup must be a bucket and a prefix alone"),
        (f"file://{tmp_path}/nowhere/one", "does not exist: make its bucket or folder first."),
    ):
        for command in ("backup", "restore"):
            done = console(command, place, status=1)
            assert sentence in done.stderr
            assert len(done.stderr.splitlines()) == 1, done.stderr


def test_a_manifest_that_names_files_elsewhere_is_refused(tmp_path):
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    fields = {
        "format": 1, "version": "1", "server": 180006, "taken_at": "", "counts": {}, "spilled": 0,
        "settings": {},
    }  # fmt: skip
    for changes, sentence in (
        (
            {"files": {"../../../x": "0"}},
            f"{NAME} names '../../../x', must name files of the backup alone.",
        ),
        ({"files": {"a\0": "0"}}, "is damaged: embedded null byte."),
        ({"files": [1]}, "is damaged: "),
        ({"files": {}, "new": 1}, "is damaged: "),
        ({"files": {}, "format": 2}, "was made by a later version: upgrade Bakeoff first."),
    ):
        (bucket / NAME).write_text(json.dumps(fields | changes))
        done = restore(f"file://{bucket}", tmp_path / "home")
        assert done.returncode == 1
        assert sentence in done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr


def test_a_backup_without_an_artifact_that_rows_name_is_refused(console, shop, tmp_path):
    ModelVersion.objects.filter(pk=shop.champion.pk).update(artifact_sha256="0" * 64)
    done = console("backup", tmp_path / "backup", status=1)
    assert "artifacts missing in the home == 1 of " in done.stderr
    assert not (tmp_path / "backup").exists()
