"""Whether a fail-over of PostgreSQL keeps what was acknowledged, as the primary is set up now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.database_address import has_several_hosts

if TYPE_CHECKING:
    import psycopg

# `local` and `off` answer before a standby has a commit, whatever stands in synchronous_standby_names.
_WAITS = ("on", "remote_apply", "remote_write")
_READ = """SELECT current_setting('synchronous_standby_names'), current_setting('synchronous_commit'),
    (SELECT count(*) FROM pg_stat_replication)"""


def fail_over_risk(connection: psycopg.Connection, address: str) -> str | None:
    """Return why a fail-over can lose acknowledged rows, or None: it cannot, or none is planned.

    Args:
        connection: to the primary.
        address: the setting DATABASE_URL; several hosts in it say that a fail-over is planned.
    """
    if not has_several_hosts(address):
        return None
    names, commit, _ = _row(connection)
    if not names:
        return (
            "synchronous_standby_names is empty: a fail-over can lose commits that were acknowledged. "
            "Name the standbys in it."
        )
    if commit not in _WAITS:
        return (
            f"synchronous_commit == '{commit}', must be on: a fail-over can lose commits that were "
            "acknowledged."
        )
    return None


def describe_standbys(connection: psycopg.Connection) -> str | None:
    """Return who follows this primary and how, or None where nobody does and nobody should."""
    names, commit, count = _row(connection)
    if not names and not count:
        return None
    if names and commit in _WAITS:
        return f"standbys connected: {count}; a commit waits for {names}"
    return f"standbys connected: {count}; no commit waits for one, so a fail-over can lose some"


def _row(connection: psycopg.Connection) -> tuple[str, str, int]:
    row: Any = connection.execute(_READ).fetchone()
    names, commit, count = row
    return str(names), str(commit), int(count)
