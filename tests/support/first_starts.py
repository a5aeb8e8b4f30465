"""First starts on a database that is made here: by the snapshot, and by every migration."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg

from bakeoff.schema_version import migration_files
from tests.support.schema_contents import plain, schema_contents
from tests.support.schema_snapshot import dump, migrate_fully, render_snapshot
from tests.support.servers import WARM

SECONDS = 300


def start_migration(url: str, home: Path) -> subprocess.Popen:
    """Start `bakeoff migrate` on a database, in a home of its own."""
    return subprocess.Popen(
        [WARM, "-m", "bakeoff", "migrate", "--offline"], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"DATABASE_URL": url, "BAKEOFF_HOME": str(home)},
    )  # fmt: skip


def finish_migration(process: subprocess.Popen) -> str:
    """Wait for it to end well, and return what it printed."""
    printed, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, errors
    return printed


def check_ways(make: Callable[[str], str], folder: Path) -> None:
    """Check that a first start makes what all migrations make, also where the snapshot is behind.

    Args:
        make: makes a database of this name, and returns its URL.
        folder: for homes.
    """
    by_migrations, first_start, behind = make("by_migrations"), make("first_start"), make("behind")
    *_, before, _ = [path.stem for app, path in migration_files() if app == "experiments"]
    migrate_fully(by_migrations, "experiments", before)
    snapshot = render_snapshot(by_migrations)
    assert before in snapshot
    with psycopg.connect(behind) as connection:
        connection.execute(snapshot)
    migrate_fully(by_migrations)
    contents, dumps = {}, {}
    for url in (by_migrations, first_start, behind):
        assert "First run." in finish_migration(
            start_migration(url, folder / url.rpartition("/")[2][:8])
        )
        contents[url], dumps[url] = schema_contents(url), plain(dump(url, "--schema-only"))
    for url in (first_start, behind):
        for name, rows in contents[by_migrations].items():
            different = set(contents[url][name]).symmetric_difference(rows)
            assert contents[url][name] == rows, f"{url}: {name}: {sorted(different)}"
        assert dumps[url] == dumps[by_migrations]
    assert len(contents[first_start]["columns"]) > 500  # it compared something
