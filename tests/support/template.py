"""A cluster with all tables, made once in a run: servers of workers and of platforms start as its copies.

Migrating again for each worker and each platform would prove the same each time. A start with nothing
is proved by tests/embedded/test_supervisor.py.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# Names its folder; not set in a benchmark, whose platforms begin with nothing.
VARIABLE = "BAKEOFF_TESTS_TEMPLATE"
PARTS = ("postgres", "migrated")
TEST_DATABASE = "test_bakeoff"


def make_template(folder: Path) -> None:
    """Make it, unless it is there; whoever comes second waits."""
    folder.mkdir(exist_ok=True)
    with (folder / "making").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            variables = os.environ | {"BAKEOFF_HOME": str(folder)}
            command, top = [sys.executable, "-m", __name__], Path(__file__).parents[2]
            subprocess.run(command, env=variables, cwd=top, check=True)
            (folder / "ready").touch()


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
