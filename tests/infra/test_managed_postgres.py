"""Backups from and to a managed PostgreSQL, which wants TLS: the bundled programs have none of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from psycopg.conninfo import make_conninfo

from experiments.actions.look_at_experiment import look_at_experiment
from tests.support import builders
from tests.support.backups import LATER, go_on_in, move, prepare_experiment, restore
from tests.support.schema_contents import catalogue
from tests.support.tls_postgres import CutWire, TlsPostgres

MIGRATE = """
import django; django.setup()
from bakeoff.embedded.migrate import migrate
from bakeoff.environment import read_environment
migrate(read_environment())
"""
EVENTS = "SELECT event_id, unit_id, occurred_at FROM experiments_event ORDER BY event_id"
CLOCK = "pg_current_xact_id"  # a restored database counts on from where it came from
CUT_AFTER = 60_000  # more than any of our own questions needs, less than a dump


@pytest.fixture(scope="module", params=[15, 18])
def managed(request, tmp_path_factory):
    one = TlsPostgres(tmp_path_factory.mktemp("m"), request.param)
    one.use(days=5)
    yield one
    one.server.stop()


@pytest.fixture(scope="module")
def bundled_backup(empty_platform, console, shared_lane, tmp_path_factory):
    """Of the bundled server, which is an 18: a shop with an experiment."""
    prepare_experiment(builders.make_shop())
    folder = tmp_path_factory.mktemp("backup") / "bundled"
    console("backup", folder)
    return folder


@pytest.fixture(scope="module")
def source(managed, bundled_backup):
    """Where a platform has its rows: the variables that name it."""
    with tempfile.TemporaryDirectory(prefix="bf-") as folder:  # a socket's path is short
        done = restore(bundled_backup, Path(folder) / "home", DATABASE_URL=managed.url())
        assert done.returncode == 0, done.stderr
        cache = f"unix://{settings.BAKEOFF.run_folder / 'valkey.sock'}?db=6"
        yield {
            "DATABASE_URL": managed.url(),
            "REDIS_URL": cache,
            "BAKEOFF_HOME": str(Path(folder) / "home"),
        }


@pytest.fixture
def home():
    with tempfile.TemporaryDirectory(prefix="bf-") as folder:  # a socket's path is short
        yield Path(folder) / "home"


def backup(place: Path, variables: dict[str, str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "bakeoff", "backup", str(place)], env=os.environ | variables,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def rows(url: str, query: str = EVENTS) -> list[tuple]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def empty_database(managed: TlsPostgres, name: str) -> str:
    with psycopg.connect(managed.url("postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    return managed.url(name)


def through(wire: CutWire, url: str) -> str:
    return make_conninfo(url, port=wire.port)


def test_backed_up_and_restored_over_tls(managed, source, home, folder):
    done = backup(folder / "one", source)
    assert done.returncode == 0, done.stderr
    # One that asks for the client's certificate, too.
    bare = empty_database(managed, "guarded")
    refused = restore(folder / "one", home, DATABASE_URL=bare)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert "requires a valid client certificate" in refused.stderr
    target = f"{bare}&{managed.own_certificate()}"
    restored = restore(folder / "one", home, DATABASE_URL=target)
    assert restored.returncode == 0, restored.stderr
    assert rows(target) == rows(source["DATABASE_URL"]) != []
    # The program's sessions spoke TLS to the server, whose rules know no other way.
    assert rows(target, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [(True,)]
    # And into the bundled one, which is of a later major.
    assert restore(folder / "one", home.with_name("bundled")).returncode == 0
    assert not list(Path(tempfile.gettempdir()).glob("bf-*/.s.PGSQL.5432"))


def test_what_is_not_trusted_is_refused_in_one_sentence(managed, source, home, folder):
    assert backup(folder / "one", source).returncode == 0
    target = empty_database(managed, "untrusted")

    def refusals(url: str) -> list[str]:
        lines = []
        for done in (
            backup(folder / "two", source | {"DATABASE_URL": url}),
            restore(folder / "one", home, DATABASE_URL=url),
        ):
            assert done.returncode == 1
            assert "p@ss" not in done.stderr + done.stdout
            lines += done.stderr.splitlines()
        assert not (folder / "two").exists()
        return lines

    for url, sentence in (
        (managed.url("untrusted", "other.pem"), "certificate verify failed"),
        (make_conninfo(target, sslmode="disable", sslrootcert=""), "no encryption"),
        (
            make_conninfo(target, channel_binding="require"),
            "channel_binding == require, must be prefer",
        ),
    ):
        lines = refusals(url)
        assert len(lines) == 2, lines
        assert all(sentence in line for line in lines), lines
    managed.use(days=-1)
    try:
        lines = refusals(target)
        assert len(lines) == 2, lines
        assert all("certificate verify failed" in line for line in lines), lines
    finally:
        managed.use(days=5)
    assert restore(folder / "one", home, DATABASE_URL=target).returncode == 0


def test_a_cut_in_the_middle_leaves_nothing_and_the_next_call_is_whole(managed, source, home, folder):
    port = managed.server.port
    with CutWire(port, to_client=CUT_AFTER) as wire:
        cut = source | {"DATABASE_URL": through(wire, source["DATABASE_URL"])}
        done = backup(folder / "one", cut)
    assert (done.returncode, wire.cuts) == (1, 1), done.stderr
    assert "pg_dump: " in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(folder.glob("*one*"))
    assert backup(folder / "one", source).returncode == 0
    target = empty_database(managed, "cut")
    with CutWire(port, to_server=CUT_AFTER) as wire:
        done = restore(folder / "one", home, DATABASE_URL=through(wire, target))
    assert (done.returncode, wire.cuts) == (1, 1), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert rows(target, "SELECT to_regclass('experiments_event')") == [(None,)]
    done = restore(folder / "one", home, DATABASE_URL=target)
    assert done.returncode == 0, done.stderr
    assert rows(target) == rows(source["DATABASE_URL"])
    assert json.loads((folder / "one" / "manifest.json").read_text())["counts"]["experiments_event"]


def test_the_bundled_database_moves_there_and_its_experiment_goes_on(prepare, console, shop, managed):
    home, experiment = prepare(console, shop)
    target = empty_database(managed, "moved")
    untrusted = move(home, managed.url("moved", "other.pem"))
    assert (untrusted.returncode, len(untrusted.stderr.splitlines())) == (1, 1)
    assert "--to: " in untrusted.stderr
    assert "certificate verify failed" in untrusted.stderr
    with CutWire(managed.server.port, to_server=CUT_AFTER) as wire:
        cut = move(home, through(wire, target))
    assert (cut.returncode, wire.cuts, len(cut.stderr.splitlines())) == (1, 1, 1), cut.stderr
    assert rows(target, "SELECT to_regclass('experiments_event')") == [(None,)]
    done = move(home, target)
    assert done.returncode == 0, done.stderr
    number, action, result = go_on_in(home, target, experiment.pk)
    builders.visits(experiment, LATER, unit_id="later-{variant}-{n}")
    look = look_at_experiment(experiment_id=experiment.pk)
    assert (number, action) == (look.number, look.action)
    assert result == json.loads(json.dumps(look.result))


@pytest.mark.parametrize("managed", [15], indirect=True)
def test_tables_of_a_later_major_are_those_that_migrations_make(managed, source):
    migrated = empty_database(managed, "migrated")
    done = subprocess.run(
        [sys.executable, "-c", MIGRATE], env=os.environ | source | {"DATABASE_URL": migrated},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    restored, migrations = catalogue(source["DATABASE_URL"]), catalogue(migrated)
    for part, lines in migrations.items():
        for ours in (restored[part], lines):
            ours[:] = [line for line in ours if CLOCK not in line]
        assert restored[part] == lines, part
    assert len(migrations["columns"]) > 100
