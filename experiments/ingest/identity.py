"""Which unit an anonymous id and a user's id are: one rule, applied once to each pair.

The rule (docs/identity.md). Two ids that come together for the first time:

    the anonymous id came with another user's id before   nothing changes; the user keeps a unit of
                                                          their own (a shared device)
    the anonymous id is new                               it stands for the user's unit from now on
    the user's id is new                                  it stands for the anonymous id's unit
    both were met before                                  nothing changes; on this device the unit
                                                          stays that of the anonymous id

By a public key, which everybody can read, one more rule: an id that is known as a user's is never taken
for an anonymous one, nor an anonymous one for a user's, so nobody can put two people together. Then
nothing changes; the user keeps a unit of their own.

So no unit that met a variant ever turns into another: what an id stands for is decided before its
first fact is kept and never changes. An answer may therefore be kept for as long as one likes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import AsyncConnection

RESOLVE = """SELECT alias, unit_id FROM experiments_link
    WHERE project_id = %s AND alias = ANY(%s)"""

# Logins are rare: one at a time in a project keeps chains (an alias of an alias) impossible.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('bakeoff link'), %s::int)"
_KNOWN = """SELECT unit_id FROM experiments_link
    WHERE project_id = %(project)s AND anonymous_id = %(anonymous)s AND user_id = %(user)s"""


def _is_known(name: str) -> str:
    """SQL: whether anything is known of an id, or another id stands for it."""
    return f"""(EXISTS (SELECT 1 FROM experiments_event
            WHERE project_id = %(project)s AND unit_id = %({name})s)
        OR EXISTS (SELECT 1 FROM experiments_slate
            WHERE project_id = %(project)s AND unit_id = %({name})s)
        OR EXISTS (SELECT 1 FROM experiments_exposure AS met
            JOIN experiments_experiment AS running ON running.id = met.experiment_id
            WHERE running.project_id = %(project)s AND running.state = 'running'
                AND met.unit_id = %({name})s)
        OR EXISTS (SELECT 1 FROM experiments_link
            WHERE project_id = %(project)s
                AND (alias = %({name})s OR unit_id = %({name})s OR other_unit_id = %({name})s)))"""


def _unit_of(name: str) -> str:
    return f"""coalesce((SELECT unit_id FROM experiments_link
        WHERE project_id = %(project)s AND alias = %({name})s), %({name})s)"""


# Whether the anonymous id is known as a user's, or the user's as an anonymous one.
_IS_ANOTHERS = """EXISTS (SELECT 1 FROM experiments_link
        WHERE project_id = %(project)s AND user_id = %(anonymous)s)
    OR EXISTS (SELECT 1 FROM experiments_unit
        WHERE project_id = %(project)s AND unit_id = %(anonymous)s)
    OR EXISTS (SELECT 1 FROM experiments_link
        WHERE project_id = %(project)s AND anonymous_id = %(user)s)"""
_LINK = f"""
    WITH known AS (
        SELECT {_unit_of("anonymous")} AS anonymous_unit, {_unit_of("user")} AS user_unit,
            {_is_known("anonymous")} AS anonymous_met, {_is_known("user")} AS user_met,
            EXISTS (SELECT 1 FROM experiments_link WHERE project_id = %(project)s
                AND anonymous_id = %(anonymous)s AND user_id <> %(user)s) AS shared,
            NOT %(trusted)s AND ({_IS_ANOTHERS}) AS refused
    ), decided AS (
        SELECT CASE WHEN shared OR refused THEN NULL WHEN NOT anonymous_met THEN %(anonymous)s
                WHEN NOT user_met THEN %(user)s END AS alias,
            CASE WHEN shared OR refused OR NOT anonymous_met THEN user_unit
                ELSE anonymous_unit END AS unit_id,
            CASE WHEN refused THEN '' WHEN shared THEN anonymous_unit
                WHEN anonymous_met AND user_met THEN user_unit ELSE '' END AS other
        FROM known
    )
    INSERT INTO experiments_link (project_id, anonymous_id, user_id, alias, unit_id, other_unit_id)
    SELECT %(project)s, %(anonymous)s, %(user)s, alias, unit_id, CASE WHEN other = unit_id THEN ''
        ELSE other END FROM decided
    RETURNING unit_id"""


async def link(
    connection: AsyncConnection, project: int, anonymous: str, user: str, *, trusted: bool = False
) -> str:
    """Apply the rule to a pair, if that was not done before; return the unit of both together.

    Args:
        connection: in autocommit mode.
        project: whose ids they are.
        anonymous: of a device or browser.
        user: of a person who is logged in.
        trusted: whether a secret key says so.
    """
    values = {"project": project, "anonymous": anonymous, "user": user, "trusted": trusted}
    # Without the lock first: almost every pair was linked before.
    known = await (await connection.execute(_KNOWN, values)).fetchone()
    if known is not None:
        return str(known[0])
    async with connection.transaction():
        # Looked up again under the lock: another process may have linked the pair meanwhile.
        await connection.execute(_LOCK, [project])
        row = await (await connection.execute(_KNOWN, values)).fetchone()
        if row is None:
            row = await (await connection.execute(_LINK, values)).fetchone()
    assert row is not None  # noqa: S101  an insert without a condition returns its row
    return str(row[0])


async def unit_of_pair(connection: AsyncConnection, project: int, anonymous: str, user: str) -> str:
    """Return the unit of a pair as far as it is known, and link nothing."""
    values = {"project": project, "anonymous": anonymous, "user": user}
    known = await (await connection.execute(_KNOWN, values)).fetchone()
    if known is not None:
        return str(known[0])
    return (await resolve(connection, project, [anonymous])).get(anonymous, anonymous)


async def resolve(connection: AsyncConnection, project: int, ids: Sequence[str]) -> dict[str, str]:
    """Return the unit of those ids that stand for another."""
    rows = await (await connection.execute(RESOLVE, [project, list(ids)])).fetchall()
    return dict(rows)
