"""Quotas that are used up this month, as they are read with the serving config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bakeoff.accounts.usage_kinds import QUOTAS, begin_of, month_of, next_month

if TYPE_CHECKING:
    from datetime import date, datetime

    import psycopg

_USED = ", ".join(
    f"coalesce({' + '.join(f'u.{name}' for name in names)}, 0)::bigint" for names in QUOTAS.values()
)
# The months' rows alone: how many entries wait to be added depends on the workers.
_QUOTAS = f"""SELECT q.project_id, {", ".join(f"q.{name}" for name in QUOTAS)}, {_USED}
    FROM accounts_quota AS q LEFT JOIN accounts_monthlyusage AS u
        ON u.project_id = q.project_id AND u.month = %s"""


@dataclass(frozen=True, slots=True)
class UsedUp:
    """A quota that refuses.

    Attributes:
        quota: answers, events or tokens.
        used: in the month.
        limit: of it.
        month: its first day.
        until: when the next begins, in seconds since 1970: it refuses no longer, however old this is.
    """

    quota: str
    used: int
    limit: int
    month: date
    until: float


def read_used_up(connection: psycopg.Connection, now: datetime) -> dict[tuple[int, str], UsedUp]:
    """Read which quotas are used up in the month of a moment, by project and quota."""
    month = month_of(now)
    until = begin_of(next_month(month)).timestamp()
    used_up = {}
    for project, *values in connection.execute(_QUOTAS, [month]):
        limits, used = values[: len(QUOTAS)], values[len(QUOTAS) :]
        for quota, limit, count in zip(QUOTAS, limits, used, strict=True):
            if limit is not None and count >= limit:
                used_up[project, quota] = UsedUp(quota, count, limit, month, until)
    return used_up
