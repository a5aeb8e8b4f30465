"""Write the schema snapshot of a first start (decision 0081): `python -m tests.support.schema_snapshot`.

Run it after a migration that a snapshot names was changed, and when tests say that it is far behind.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import psycopg

from bakeoff.embedded.postgres import BINARIES
from bakeoff.embedded.schema_snapshot import SNAPSHOT
from bakeoff.schema_version import migration_files

TOP = Path(__file__).parents[2]
# Every other table is empty when the last migration has been applied.
SEEDED = ("django_content_type", "auth_permission", "django_migrations", "experiments_transactionclock")
_DUMP = ("pg_dump", "--no-owner", "--no-privileges", "--no-comments", "--schema=public")
# Of psql, of the dump's own session, of a server's minor, or what a first start's role may not do.
_LEFT_OUT = re.compile(r"--|\\|SET |SELECT pg_catalog\.set_config|CREATE SCHEMA|.* SET \(pg_attver=|$")
# A sequence that nobody has taken a number from starts so anyway.
_UNUSED = re.compile(r"SELECT pg_catalog\.setval\(.*, 1, false\);")


def migrate_fully(url: str, *arguments: str) -> None:
    """Apply migrations one after the other, as an existing database does.

    Args:
        url: of a database, which may be empty.
        arguments: of Django's `migrate`: an app and the last of its migrations; all without any.
    """
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0", *arguments],
        cwd=TOP, env=os.environ | {"DATABASE_URL": url}, check=True,
    )  # fmt: skip


def dump(url: str, *options: str) -> str:
    """Return what the bundled `pg_dump` says of a database, without schema, session and blank lines."""
    done = subprocess.run(
        [BINARIES / _DUMP[0], *_DUMP[1:], *options, url], check=True, capture_output=True, text=True
    )
    # Names without their schema are made in the first one of the search path, as migrations do.
    lines = [re.sub(r"\bpublic\.", "", line) for line in done.stdout.splitlines()]
    return "".join(f"{line}\n" for line in lines if not _LEFT_OUT.match(line))


def render_snapshot(url: str) -> str:
    """Return the script that makes a migrated database again."""
    with psycopg.connect(url) as connection:
        applied = connection.execute("SELECT app, name FROM django_migrations ORDER BY id").fetchall()
        _check_empty(connection)
    files = {f"{app}.{path.stem}": path for app, path in migration_files()}
    named = [f"{app}.{name}" for app, name in applied]
    head = [f"-- {name} {digest_of(files[name])}\n" for name in named if name in files]
    # Foreign keys are checked when the transaction ends, so rows are the last: no table may be changed
    # while a check of it is due.
    rows = dump(url, "--data-only", "--rows-per-insert=1000", *(f"--table={one}" for one in SEEDED[:2]))
    values = ",\n".join(f"\t('{app}', '{name}', now())" for app, name in applied)
    clock = import_module("experiments.migrations.0014_transaction_clock")
    return "".join(
        [
            "-- Written by `python -m tests.support.schema_snapshot`: do not edit.\n",
            *head,
            dump(url, "--schema-only"),
            rows,
            f"INSERT INTO django_migrations (app, name, applied) VALUES\n{values};\n",
            f"{clock.FIRST.strip()};\n",
            *_used_sequences(url),
        ]
    )


def digest_of(migration: Path) -> str:
    """Return what a snapshot says of a migration that it stands for."""
    return hashlib.sha256(migration.read_bytes()).hexdigest()[:16]


def named_migrations() -> dict[str, str]:
    """Return the digests of our migrations that the snapshot stands for, by `app.name`."""
    lines = re.findall(r"^-- (\w+\.\w+) ([0-9a-f]{16})$", SNAPSHOT.read_text(), re.MULTILINE)
    return dict(lines)


def _check_empty(connection: psycopg.Connection) -> None:
    rows = connection.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    for (table,) in rows.fetchall():
        if table not in SEEDED and connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone():
            raise SystemExit(f"{table} has rows: say here how a snapshot makes them.")


def _used_sequences(url: str) -> Iterator[str]:
    # Those of the two dumped tables have been set with their rows, that of migrations by its insert.
    dumped = tuple(f"'{table}_id_seq'" for table in SEEDED)
    for line in dump(url, "--data-only", "--column-inserts").splitlines(keepends=True):
        if "setval(" in line and not _UNUSED.match(line) and not any(one in line for one in dumped):
            yield line


def main() -> None:
    """Make a cluster, apply every migration, and write the snapshot."""
    with tempfile.TemporaryDirectory(prefix="bf-") as home:
        os.environ["BAKEOFF_HOME"] = home
        os.environ.pop("DATABASE_URL", None)
        from bakeoff.embedded.home import prepare_home
        from bakeoff.embedded.postgres import start_postgres
        from bakeoff.environment import read_environment

        environment = read_environment()
        lock = prepare_home(environment)
        server = start_postgres(environment)
        try:
            migrate_fully(environment.database_url)
            SNAPSHOT.write_text(render_snapshot(environment.database_url), encoding="utf-8")
        finally:
            server.request_stop()
            server.wait_or_kill(60)
            lock.close()


if __name__ == "__main__":
    main()
