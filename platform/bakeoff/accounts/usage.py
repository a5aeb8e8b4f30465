"""What a project used, by month, and what is left of its quota.

Guarantees: what is read is what was committed, to the last row: the month's rows and the entries that
are not yet added to them are read in one statement.
"""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from django.db import connection

from bakeoff.accounts.models import Quota
from bakeoff.accounts.usage_kinds import COUNTS, QUOTAS, begin_of, month_of, next_month

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date, datetime

    from bakeoff.accounts.models import Project

_COLUMNS = ", ".join(COUNTS)
_SUMS = ", ".join(f"sum({name})::bigint" for name in COUNTS)
_READ = f"""SELECT month, {_SUMS} FROM (
        SELECT month, {_COLUMNS} FROM accounts_monthlyusage WHERE project_id = %(project)s
        UNION ALL
        SELECT month, {_COLUMNS} FROM accounts_usageentry WHERE project_id = %(project)s) AS used
    GROUP BY month ORDER BY month DESC"""
_READ_ALL = f"""SELECT p.slug, month, {_SUMS} FROM (
        SELECT project_id, month, {_COLUMNS} FROM accounts_monthlyusage
        UNION ALL
        SELECT project_id, month, {_COLUMNS} FROM accounts_usageentry) AS used
    JOIN accounts_project AS p ON p.id = used.project_id
    WHERE %(month)s::date IS NULL OR month = %(month)s::date
    GROUP BY p.slug, month ORDER BY month DESC, p.slug"""
CSV_COLUMNS = ("project", "month", *COUNTS)


@dataclass(frozen=True, slots=True)
class MonthOfUsage:
    """What was committed in a calendar month, in UTC.

    Attributes:
        month: its first day.
        answers: recommendations, lists, labels, decisions and comparisons that were recorded.
        events: that were accepted, rewards among them.
        feedback: pieces that were accepted.
        generations: that were recorded, however they ended.
        tokens_in: of their messages.
        tokens_out: of their answers.
    """

    month: date
    answers: int = 0
    events: int = 0
    feedback: int = 0
    generations: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def used(self, quota: str) -> int:
        """Return how much of a quota it used."""
        return sum(int(getattr(self, name)) for name in QUOTAS[quota])

    def as_json(self) -> dict[str, Any]:
        """Return it as API, command and file show it."""
        return asdict(self) | {"month": f"{self.month:%Y-%m}"}


@dataclass(frozen=True, slots=True)
class QuotaState:
    """How a quota stands this month.

    Attributes:
        quota: answers, events or tokens.
        limit: None where there is none.
        used: this month.
    """

    quota: str
    limit: int | None
    used: int

    @property
    def left(self) -> int | None:
        """What is left; None without a limit."""
        return None if self.limit is None else max(self.limit - self.used, 0)

    def as_json(self) -> dict[str, Any]:
        """Return it as API and command show it."""
        return {"quota": self.quota, "limit": self.limit, "used": self.used, "left": self.left}


@dataclass(frozen=True, slots=True)
class Usage:
    """A project's usage.

    Attributes:
        months: those with any, newest first.
        quotas: each, this month.
        resets_at: when the next month begins.
    """

    months: Sequence[MonthOfUsage]
    quotas: Sequence[QuotaState]
    resets_at: datetime

    def as_json(self) -> dict[str, Any]:
        """Return it as API and command show it."""
        return {
            "months": [month.as_json() for month in self.months],
            "quotas": [state.as_json() for state in self.quotas],
            "resets_at": self.resets_at.isoformat(),
        }


def read_usage(project: Project, now: datetime) -> Usage:
    """Return all months of a project, and how its quotas stand in the month of a moment."""
    with connection.cursor() as cursor:
        cursor.execute(_READ, {"project": project.pk})
        months = [MonthOfUsage(*row) for row in cursor.fetchall()]
    present = month_of(now)
    current = next((one for one in months if one.month == present), MonthOfUsage(present))
    quota = Quota.objects.filter(project=project).first()
    states = [
        QuotaState(name, getattr(quota, name) if quota is not None else None, current.used(name))
        for name in QUOTAS
    ]
    return Usage(months, states, begin_of(next_month(present)))


def read_all_usage(month: date | None = None) -> list[tuple[str, MonthOfUsage]]:
    """Return the months of every project with any, newest first, each with the project's slug.

    Args:
        month: its first day, for that month alone.
    """
    with connection.cursor() as cursor:
        cursor.execute(_READ_ALL, {"month": month})
        return [(slug, MonthOfUsage(*row)) for slug, *row in cursor.fetchall()]


def csv_of_usage(project: Project, usage: Usage) -> str:
    """Return a file with a row per month, oldest first."""
    return csv_of_months((project.slug, month) for month in reversed(usage.months))


def csv_of_months(months: Iterable[tuple[str, MonthOfUsage]]) -> str:
    """Return a file with a row per project and month.

    Args:
        months: each with the project's slug, in the file's order.
    """
    text = io.StringIO()
    table = csv.DictWriter(text, CSV_COLUMNS)
    table.writeheader()
    table.writerows({"project": slug, **month.as_json()} for slug, month in months)
    return text.getvalue()
