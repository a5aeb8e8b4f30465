"""`bakeoff move`: the bundled database goes to another PostgreSQL, and the experiment in it goes on."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

from bakeoff.backup.move_database import DRAFT
from bakeoff.embedded.home import prepare_home
from bakeoff.embedded.postgres import BINARIES
from bakeoff.environment import run_folder_of
from experiments.actions.look_at_experiment import look_at_experiment
from tests.support import builders
from tests.support.backups import LATER, go_on_in, move, without_servers
from tests.support.debian_servers import AS_NOBODY, Server, free_port
from tests.support.fast_lane import test_database_url
from tests.support.waiting import wait_until


@dataclass
class Managed:
    """A PostgreSQL 18 of somebody else's, which speaks TCP."""

    server: Server

    def url(self, database: str, user: str = "owner") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.server.port}/{database}"

    def make(self, database: str) -> str:
        with psycopg.connect(self.url("postgres", "bakeoff"), autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {database} OWNER owner")
        return self.url(database)


@pytest.fixture(scope="module")
def managed():
    folder = Path(tempfile.mkdtemp(prefix="mg-"))
    data, port = folder / "data", free_port()
    subprocess.run(
        [*AS_NOBODY, BINARIES / "initdb", "-D", data, "-U", "bakeoff", "--auth=trust", "--no-sync",
         "--encoding=UTF8", "--locale=C.UTF-8"],
        check=True, capture_output=True,
    )  # fmt: skip
    command = [
        *AS_NOBODY,
        str(BINARIES / "postgres"),
        "-D",
        str(data),
        "-p",
        str(port),
        "-k",
        str(folder),
    ]
    server = Server(
        "managed", [*command, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"], folder, port
    )
    server.start()
    one = Managed(server)
    wait_until(lambda: _takes(one), "it takes connections")
    with psycopg.connect(one.url("postgres", "bakeoff"), autocommit=True) as admin:
        admin.execute("CREATE ROLE owner LOGIN")
        admin.execute("CREATE ROLE guest LOGIN")
    yield one
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def _takes(one: Managed) -> bool:
    try:
        psycopg.connect(one.url("postgres", "bakeoff")).close()
    except psycopg.OperationalError:
        return False
    return True


def test_the_database_moves_and_its_experiment_goes_on(prepare, console, shop, managed):
    home, experiment = prepare(console, shop)
    target = managed.make("moved")
    _refusals(home, managed, target)
    _killed_while_it_restores(home, target)
    done = move(home, target)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^ +[1-9][0-9,]*  experiments_exposure$", done.stdout, re.MULTILINE)
    assert "Set DATABASE_URL to it" in done.stdout
    assert not (home / "cache" / DRAFT).exists()
    # A second call finds the rows of the first, counts them again and says the same.
    again = move(home, target)
    assert (again.stdout, again.stderr) == (done.stdout, "")
    number, action, result = go_on_in(home, target, experiment.pk)
    # The platform that was never moved says the same of the same rows, to the last bit.
    builders.visits(experiment, LATER, unit_id="later-{variant}-{n}")
    look = look_at_experiment(experiment_id=experiment.pk)
    assert (number, action) == (look.number, look.action)
    assert result == json.loads(json.dumps(look.result))
    # The target has gone on: it is nobody's copy any more.
    refused = move(home, target)
    assert refused.returncode == 1
    assert "tables in the database == " in refused.stderr


def _refusals(home: Path, managed: Managed, target: str) -> None:
    socket = f"postgresql:///bakeoff?host={run_folder_of(home)}&user=bakeoff"
    full = managed.make("taken")
    with psycopg.connect(full, autocommit=True) as database:
        database.execute("CREATE TABLE shoes (id int)")
    for address, variables, sentence in (
        (socket, {}, "--to is the database that is to be moved, must be another."),
        (full, {}, "--to: tables in the database == 1, must be 0: name an empty one."),
        (managed.url("moved", "guest"), {}, "--to: 'guest' may make no tables: GRANT CREATE"),
        ("postgresql://a:hunter2@127.0.0.1:1/x", {}, "--to: connection failed"),
        ("postgresql//nowhere:hunter2", {}, "--to cannot be parsed, must be like postgresql://"),
        (target, {"DATABASE_URL": test_database_url()}, "`bakeoff move` moves the bundled database"),
        (target, {"BAKEOFF_HOME": str(home / "none")}, "has no database: there is nothing to move."),
    ):
        done = move(home, address, **variables)
        assert done.returncode == 1
        assert sentence in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert "hunter2" not in done.stdout + done.stderr
    with prepare_home(replace(settings.BAKEOFF, home=home)):
        assert "is in use by process" in move(home, target).stderr


def _killed_while_it_restores(home: Path, target: str) -> None:
    """Nothing of it is left there, and the next call is not in its way."""
    tools = home / "tools"
    tools.mkdir()
    (tools / "pg_dump").symlink_to(BINARIES / "pg_dump")
    hangs = tools / "pg_restore"
    # All rows are there and not committed yet: then it waits for ever.
    hangs.write_text(
        f"""#!/bin/sh
"{BINARIES}/pg_restore" --no-owner --no-privileges -f - "$5" | sed '1iBEGIN;' > "{tools}/rows.sql"
(cat "{tools}/rows.sql"; echo "\\\\! touch {tools}/began"; sleep 600) | exec "{BINARIES}/psql" -q {target!r}
"""
    )
    hangs.chmod(0o700)
    killed = subprocess.Popen(
        [sys.executable, "-m", "bakeoff", "move", "--to", target, "--tools", str(tools)],
        env=without_servers() | {"BAKEOFF_HOME": str(home)}, start_new_session=True,
    )  # fmt: skip
    wait_until((tools / "began").exists)
    assert (home / "cache" / DRAFT).exists()
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    wait_until(lambda: not _sessions(target), "the server has noticed")
    with psycopg.connect(target) as database:
        assert database.execute("SELECT to_regclass('experiments_event')").fetchone() == (None,)


def _sessions(target: str) -> int:
    with psycopg.connect(target) as database:
        others = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = 'moved' AND pid <> pg_backend_pid()"
        )
        return database.execute(others).fetchone()[0]
