"""Whether a process of this version can work on the database's tables.

The version of a schema is the set of its migrations. A process of another version would fail at the
first column that was renamed, one request at a time; so it is refused when it starts. A migration whose
name ends with `_expand` only adds what older processes leave alone: they may start and go on beside it,
so that a release with no other migrations is rolled out while the platform serves.

WrongSchemaError    the database is of another version; the message is one sentence with the remedy
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from bakeoff import __version__
from bakeoff.database_address import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CONNECT_SECONDS = 10
# In the name, since that is what an older process can read of a migration that it does not have.
EXPANDS = "_expand"


class WrongSchemaError(Exception):
    """The database is older or newer than this version, or cannot be brought up to date now."""


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


@dataclass(frozen=True, slots=True)
class Difference:
    """What tells a database's migrations from those of this version, each as `app.name`, in order.

    Attributes:
        missing: those that the database lacks; all of them where it has no tables or is away.
        newer: those that this version does not know.
    """

    missing: tuple[str, ...]
    newer: tuple[str, ...]

    @property
    def is_empty_database(self) -> bool:
        """Whether the database has no migration of this version."""
        return len(self.missing) == len(list(migration_files()))


def only_expands(migrations: Iterable[str]) -> bool:
    """Return whether processes without these migrations can work beside them."""
    return all(name.endswith(EXPANDS) for name in migrations)


def compare_schema(database_url: str) -> Difference:
    """Compare the database's migrations with those of this version.

    Args:
        database_url: a libpq URL.

    Raises:
        WrongSchemaError: this is no address of a database.
        psycopg.OperationalError: the database is away.
    """
    known = [(app, path.stem) for app, path in migration_files()]
    with _connect(database_url) as connection:
        try:
            applied = _read_applied(connection, sorted({app for app, _ in known}))
        except psycopg.errors.UndefinedTable:
            applied = set()
    return Difference(
        tuple(f"{app}.{name}" for app, name in known if (app, name) not in applied),
        tuple(f"{app}.{name}" for app, name in sorted(applied - set(known))),
    )


def _connect(database_url: str) -> psycopg.Connection:
    try:
        return psycopg.connect(database_url, connect_timeout=CONNECT_SECONDS)
    except psycopg.ProgrammingError:  # whose text may hold the password
        raise WrongSchemaError(f"{unreadable('DATABASE_URL')}.") from None


def check_schema(database_url: str, *, may_be_older: bool = False) -> None:
    """Refuse a database of another version.

    Does nothing while the database is away or has no tables yet, and where it is newer by migrations
    that only add.

    Args:
        database_url: a libpq URL.
        may_be_older: for who is about to bring it up to date.

    Raises:
        WrongSchemaError: it is older, or newer.
    """
    try:
        difference = compare_schema(database_url)
    except psycopg.OperationalError:
        return
    if not only_expands(difference.newer):
        raise WrongSchemaError(
            f"The database is newer than Bakeoff {__version__} (it has {max(difference.newer)}): "
            "upgrade this process."
        )
    if may_be_older or difference.is_empty_database or not difference.missing:
        return  # without any the tables are still to be made, which is another sentence
    stop = "" if only_expands(difference.missing) else "stop what works on it, then "
    raise WrongSchemaError(
        f"The database is older than Bakeoff {__version__} (it lacks {max(difference.missing)}): "
        f"{stop}`bakeoff migrate` or `bakeoff up` brings it up to date."
    )


def _read_applied(connection: psycopg.Connection, apps: list[str]) -> set[tuple[str, str]]:
    rows = connection.execute(
        "SELECT app, name FROM django_migrations WHERE app = ANY(%s)", [apps]
    ).fetchall()
    return {(app, name) for app, name in rows}
