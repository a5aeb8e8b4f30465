"""Add up what commits noted as used, and warn of quotas that run out.

Guarantees: an entry is added once: the transaction that adds it deletes it. Two workers at once share
the entries. A quota's warnings, at 80 and at 100 %, are written once each per month.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection, transaction

from bakeoff.accounts.models import MonthlyUsage, Quota
from bakeoff.accounts.usage_kinds import COUNTS, QUOTA_NAMES, QUOTAS, month_of, next_month
from bakeoff.alerts.models import Alert
from bakeoff.alerts.outbox import record_alert, resolve_alerts
from bakeoff.alerts.pages import usage_path

if TYPE_CHECKING:
    from datetime import date, datetime

MAX_ENTRIES = 20_000  # of a transaction: a fraction of a second
WARNED_PERCENT = (100, 80)
KEY = "quota:"

_COLUMNS = ", ".join(COUNTS)
_SUMS = ", ".join(f"sum({name})" for name in COUNTS)
_ADDED = ", ".join(f"{name} = known.{name} + EXCLUDED.{name}" for name in COUNTS)
# Entries of a project that was deleted meanwhile go without a trace. In the order of the key: two
# workers that add to the same months must not wait for each other in a circle.
_ADD = f"""WITH taken AS (
        DELETE FROM accounts_usageentry WHERE id IN (
            SELECT id FROM accounts_usageentry ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
        RETURNING project_id, month, {_COLUMNS}),
    added AS (
        INSERT INTO accounts_monthlyusage AS known (project_id, month, {_COLUMNS})
        SELECT project_id, month, {_SUMS} FROM taken
        WHERE EXISTS (SELECT 1 FROM accounts_project AS project WHERE project.id = project_id)
        GROUP BY project_id, month ORDER BY project_id, month
        ON CONFLICT (project_id, month) DO UPDATE SET {_ADDED})
    SELECT count(*) FROM taken"""


def count_usage(now: datetime) -> int:
    """Add up what waits and write the warnings that are due; return how many entries were added."""
    added = 0
    while count := _add_entries():
        added += count
    _warn_of_quotas(month_of(now))
    return added


def _add_entries() -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_ADD, [MAX_ENTRIES])
        row: tuple[int] = cursor.fetchone()
        return row[0]


def _warn_of_quotas(month: date) -> None:
    past = Alert.objects.unresolved().filter(dedupe_key__startswith=KEY)
    for key in past.exclude(dedupe_key__startswith=f"{KEY}{month}").values_list(
        "dedupe_key", flat=True
    ):
        resolve_alerts(key)  # counted anew: nothing of it is left
    quotas = {quota.project_id: quota for quota in Quota.objects.select_related("project")}
    for usage in MonthlyUsage.objects.filter(month=month, project__in=quotas):
        for name in QUOTAS:
            _warn(quotas[usage.project_id], usage, name)


def _warn(quota: Quota, usage: MonthlyUsage, name: str) -> None:
    limit: int | None = getattr(quota, name)
    if limit is None:
        return
    used = sum(getattr(usage, column) for column in QUOTAS[name])
    # The highest share alone: who goes past both between two counts needs one word.
    percent = next((one for one in WARNED_PERCENT if used * 100 >= limit * one), 0)
    if not percent:
        return
    month, then = f"{usage.month:%Y-%m}", next_month(usage.month)
    what = QUOTA_NAMES[name]
    summary = (
        f"The quota of {what} for {month} is used up: {used} of {limit}. More are refused until {then}."
        if percent == 100
        else f"{percent} % of the quota of {what} for {month} are used: {used} of {limit}."
    )
    record_alert(
        quota.project_id,
        event=Alert.Event.QUOTA,
        subject=what,
        summary=summary,
        detail={"quota": name, "limit": limit, "used": used, "month": month, "percent": percent},
        path=usage_path(quota.project.slug),
        dedupe_key=f"{KEY}{usage.month}:{name}:{percent}",
    )
