"""Whether the database's tables are those of this version: an upgrade is offline.

The version of a schema is the set of its migrations. A process of another version would fail at the
first column that was renamed, one request at a time; so it is refused when it starts.

WrongSchemaError    the database is of another version; the message is one sentence with the remedy
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from bakeoff import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECT_SECONDS = 10


class WrongSchemaError(Exception):
    """The database is older or newer than this version."""


def migration_files() -> Iterator[tuple[str, Path]]:
    """Yield the migrations of this version with their app, in order; imports no Django."""
    import experiments  # noqa: PLC0415  the two are apps of their own, beside this package
    import inference  # noqa: PLC0415

    folders = {app: Path(__file__).parent / app for app in ("accounts", "alerts")} | {
        package.__name__: Path(package.__file__ or "").parent for package in (experiments, inference)
    }
    for app, folder in folders.items():
        for path in sorted((folder / "migrations").glob("[0-9]*.py")):
            yield app, path


def check_schema(database_url: str, *, may_be_older: bool = False) -> None:
    """Compare the database's migrations with those of this version.

    Does nothing while the database is away or has no tables yet.

    Args:
        database_url: a libpq URL.
        may_be_older: for who is about to bring it up to date.

    Raises:
        WrongSchemaError: it is older, or newer.
    """
    known = {(app, path.stem) for app, path in migration_files()}
    try:
        with psycopg.connect(database_url, connect_timeout=CONNECT_SECONDS) as connection:
            applied = _read_applied(connection, sorted({app for app, _ in known}))
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
        return
    if newer := applied - known:
        raise WrongSchemaError(
            f"The database is newer than Bakeoff {__version__} (it has {_last(newer)}): upgrade this "
            "process."
        )
    # Without any the tables are still to be made, which is another sentence.
    if applied and not may_be_older and (missing := known - applied):
        raise WrongSchemaError(
            f"The database is older than Bakeoff {__version__} (it lacks {_last(missing)}): stop what "
            "works on it, then `bakeoff migrate` or `bakeoff up` brings it up to date."
        )


def _read_applied(connection: psycopg.Connection, apps: list[str]) -> set[tuple[str, str]]:
    rows = connection.execute(
        "SELECT app, name FROM django_migrations WHERE app = ANY(%s)", [apps]
    ).fetchall()
    return {(app, name) for app, name in rows}


def _last(migrations: set[tuple[str, str]]) -> str:
    return ".".join(max(migrations))
