"""A cluster with all tables: servers of workers and of platforms start as its copies.

Migrating again for each run, worker and platform would prove the same each time: it is made when the
migrations or what they import change, and once a day, for the months' partitions. Making it proves a
start with nothing: by what `bakeoff up` calls, in a folder where nothing is.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

# Names its folder; not set in a benchmark, whose platforms begin with nothing.
VARIABLE = "BAKEOFF_TESTS_TEMPLATE"
PARTS = ("postgres", "migrated")
TEST_DATABASE = "test_bakeoff"
TOP = Path(__file__).parents[2]
PREFIX = f"bakeoff-template-{os.getuid()}-"
# What a migrated cluster is made of: folders, and single modules that migrations and servers call.
SUFFIXES = {".py", ".sql"}
FOLDERS = {"migrations", "models", "embedded"}
MODULES = {"models.py", "readable_times.py", "partitions.py", "transaction_clock.py", "template.py"}
MAX_AGE_SECONDS = 2 * 86400


def template_folder() -> Path:
    """Return where the template of this code and this day is, or will be."""
    digest = hashlib.sha256(f"{sys.prefix} {datetime.now(UTC).date()}".encode())
    for room in ("platform", "experiments", "inference", "tests/support"):
        files = (file for file in (TOP / room).rglob("*") if file.suffix in SUFFIXES)
        for file in sorted(files):
            if FOLDERS.intersection(file.parts) or file.name in MODULES:
                digest.update(file.read_bytes())
    return Path(tempfile.gettempdir()) / f"{PREFIX}{digest.hexdigest()[:16]}"


def make_template(folder: Path) -> None:
    """Make it, unless it is there; whoever comes second waits."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return
        _delete_old(folder.parent)
        scratch = Path(tempfile.mkdtemp(prefix="bf-"))  # a socket's path is short
        variables = os.environ | {"BAKEOFF_HOME": str(scratch)}
        subprocess.run([sys.executable, "-m", __name__], env=variables, cwd=TOP, check=True)
        scratch.rename(folder)  # whole, or not there


def _delete_old(parent: Path) -> None:
    for old in parent.glob(f"{PREFIX}*"):
        if time.time() - old.stat().st_mtime > MAX_AGE_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
            old.with_suffix(".lock").unlink(missing_ok=True)


def copy_template(home: Path, *, enter: Sequence[str] = ()) -> None:
    """Put a copy into a home.

    Args:
        home: has no cluster yet.
        enter: starts a command where the home's disk is.
    """
    folder = Path(os.environ[VARIABLE])
    make_template(folder)
    parts = [str(folder / part) for part in PARTS]
    subprocess.run([*enter, "cp", "-a", *parts, str(home)], check=True)


def main() -> None:
    """Make a cluster in the home of this process, and stop its server in good order."""
    import psycopg

    from bakeoff.embedded.home import prepare_home
    from bakeoff.embedded.migrate import migrate
    from bakeoff.embedded.postgres import start_postgres
    from bakeoff.environment import read_environment

    environment = read_environment()
    prepare_home(environment)
    server = start_postgres(environment)
    migrate(environment)
    admin = environment.database_url.replace("///bakeoff?", "///postgres?")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {TEST_DATABASE} TEMPLATE bakeoff")
    server.request_stop()
    server.wait_or_kill(60)


if __name__ == "__main__":
    main()
