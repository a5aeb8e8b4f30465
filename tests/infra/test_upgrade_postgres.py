"""`bakeoff upgrade`: a home of PostgreSQL 15 becomes one of the bundled major, and goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from django.conf import settings

from bakeoff.embedded.home import prepare_home
from bakeoff.embedded.postgres import BINARIES
from bakeoff.environment import run_folder_of
from tests.support.backups import go_on, servers_of
from tests.support.debian_servers import AS_NOBODY, POSTGRES_BINARIES
from tests.support.waiting import wait_until

# By the settings of the home: tables, an experiment with a look behind it, and rows not counted yet.
PREPARE = """
from bakeoff.embedded.migrate import migrate
from bakeoff.environment import read_environment
migrate(read_environment())
from tests.support import builders
from tests.support.backups import prepare_experiment
shop = builders.make_shop()
print(prepare_experiment(shop).pk)
"""
STATE = """
SELECT (SELECT count(*) FROM experiments_event), (SELECT count(*) FROM experiments_exposure),
    (SELECT count(*) FROM experiments_slate), (SELECT max(number) FROM experiments_look)
"""


def variables(home: Path) -> dict[str, str]:
    """Nothing names another PostgreSQL than the home's."""
    others = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return others | {"BAKEOFF_HOME": str(home)}


def python(home: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", *arguments],
        env=variables(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def bakeoff(home: Path, *arguments: object, **more: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "bakeoff", *map(str, arguments)],
        env=variables(home) | more, capture_output=True, text=True, check=False,
    )  # fmt: skip


def control(home: Path, *arguments: str) -> None:
    options = f"-c listen_addresses= -c fsync=off -k '{run_folder_of(home)}'"
    subprocess.run(
        [*AS_NOBODY, POSTGRES_BINARIES / "pg_ctl", "-D", home / "postgres", "-w", "-l", home / "log15",
         "-o", options, *arguments],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture
def home15(tables):
    """A home whose cluster PostgreSQL 15 made, and whose server was killed; its experiment's key."""
    home = Path(tempfile.mkdtemp(prefix="b u-"))  # a socket's path is short
    prepare_home(replace(settings.BAKEOFF, home=home)).close()
    subprocess.run(
        [*AS_NOBODY, POSTGRES_BINARIES / "initdb", "-D", home / "postgres", "-U", "bakeoff",
         "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
        check=True, capture_output=True,
    )  # fmt: skip
    control(home, "start")
    with psycopg.connect(url(home, "postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE bakeoff")
    experiment = int(python(home, PREPARE).split()[-1])
    with psycopg.connect(url(home)) as connection:
        before = connection.execute(STATE).fetchone()
    os.kill(int((home / "postgres" / "postmaster.pid").read_text().splitlines()[0]), signal.SIGKILL)
    yield home, experiment, before
    shutil.rmtree(home, ignore_errors=True)


def url(home: Path, database: str = "bakeoff") -> str:
    return f"postgresql:///{database}?host={quote(str(run_folder_of(home)), safe='')}&user=bakeoff"


def bundled_state(home: Path) -> tuple:
    """The same of the home's database, by the bundled server."""
    with servers_of(home) as address, psycopg.connect(address) as connection:
        return connection.execute(STATE).fetchone()


def test_a_home_of_postgres_15_is_upgraded_and_its_experiment_goes_on(home15, tmp_path):
    home, experiment, before = home15
    refused = bakeoff(home, "up", "--port", "0")
    assert refused.returncode == 1
    assert "is of PostgreSQL 15, must be 18 as bundled: run `bakeoff upgrade` once." in refused.stderr
    _refusals(home, tmp_path)
    _killed(home, tmp_path)
    done = bakeoff(home, "upgrade")
    assert done.returncode == 0, done.stderr
    assert "The database is of PostgreSQL 18, was 15." in done.stdout
    assert (
        bakeoff(home, "upgrade").stdout
        == "The database is of the bundled major already: nothing to do.\n"
    )
    assert {path.name for path in home.glob("postgres*")} == {"postgres", "postgres-15"}
    assert bundled_state(home) == before
    with servers_of(home):
        _, number, _, result = go_on(home, experiment)
    assert (number, result["action"]) == (2, "ship")
    # 300 before the first look, 50 that PostgreSQL 15 committed after it, 200 of now: ids of transactions
    # went on.
    assert result["comparisons"][0]["effect"]["control_n"] == 300 + 50 + 200
    # The old cluster is as it was: PostgreSQL 15 starts it.
    (home / "postgres").rename(home / "postgres-18")
    (home / "postgres-15").rename(home / "postgres")
    control(home, "start")
    with psycopg.connect(url(home)) as connection:
        assert connection.execute(STATE).fetchone() == before
    control(home, "-m", "fast", "stop")


def _refusals(home: Path, tmp_path: Path) -> None:
    """Each is one sentence, and the cluster stays at its place."""
    empty = tmp_path / "empty"
    empty.mkdir()
    (home / "postgres-15").mkdir()
    for arguments, more, sentence in (
        (["--old-programs", empty], {}, f"No programs of PostgreSQL 15 in {empty}: name their folder"),
        (["--old-programs", BINARIES], {}, "holds the programs of PostgreSQL 18, must be 15"),
        ([], {"DATABASE_URL": "postgresql://a@127.0.0.1:1/b"}, "names a server of your own"),
        ([], {}, f"{home / 'postgres-15'} exists, of an earlier upgrade: move it elsewhere first."),
        ([], {"BAKEOFF_HOME": str(tmp_path / "new")}, "holds no cluster of PostgreSQL."),
    ):
        done = bakeoff(home, "upgrade", *arguments, **more)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert sentence in done.stderr
    (home / "postgres-15").rmdir()
    log = home / "postgres" / "pg_wal"
    log.rename(tmp_path / "pg_wal")
    log.symlink_to(tmp_path / "pg_wal")
    assert f"{log} is a link, must be a folder of the home" in bakeoff(home, "upgrade").stderr
    log.unlink()
    (tmp_path / "pg_wal").rename(log)
    assert (home / "postgres" / "PG_VERSION").read_text() == "15\n"


def _killed(home: Path, tmp_path: Path) -> None:
    """A call that is killed while the copy's server starts leaves the cluster, and can be repeated."""
    hangs = tmp_path / "hangs"
    hangs.mkdir()
    for name in ("postgres", "pg_controldata"):
        (hangs / name).symlink_to(POSTGRES_BINARIES / name)
    (hangs / "pg_ctl").write_text('#!/bin/sh\ntouch "$(dirname "$0")/began"\nexec sleep 600\n')
    (hangs / "pg_ctl").chmod(0o755)
    call = subprocess.Popen(
        [sys.executable, "-m", "bakeoff", "upgrade", "--old-programs", str(hangs)],
        env=variables(home), start_new_session=True,
    )  # fmt: skip
    wait_until((hangs / "began").exists)
    os.killpg(call.pid, signal.SIGKILL)
    call.wait()
    assert (home / "postgres" / "PG_VERSION").read_text() == "15\n"
    assert (home / "postgres.upgrade").is_dir()


def test_an_upgrade_that_was_killed_in_its_last_step_is_ended_by_the_next(home15):
    home, _, before = home15
    assert bakeoff(home, "upgrade").returncode == 0
    # As after the first of its two renames.
    draft = home / "postgres.upgrade"
    (draft / "old").mkdir(parents=True)
    (draft / "old" / "PG_VERSION").write_text("15\n")
    (home / "postgres").rename(draft / "new")
    refused = bakeoff(home, "up", "--port", "0")
    assert "An upgrade of PostgreSQL was interrupted: run `bakeoff upgrade` again." in refused.stderr
    done = bakeoff(home, "upgrade")
    assert "The database is of PostgreSQL 18, was 15." in done.stdout, done.stderr
    assert bundled_state(home) == before
