"""The audit trail for other systems: filtered, as JSON Lines or CSV, a row at a time."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.accounts.refused import RefusedError
from experiments.reports.downloads import plain_cell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from django.db.models import QuerySet

    from bakeoff.accounts.models import AuditEntry, Project

COLUMNS = ("id", "at", "project", "actor", "action", "subject", "detail")
# Rows that are read at once: a pooler has no cursors, so each page begins where the last one ended.
CHUNK = 1000


class AuditRangeError(RefusedError):
    """A span of time ends before it begins."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries.

    Attributes:
        actor: who acted; empty: anybody.
        action: what was done; empty: anything.
        since: the first moment; None: from the beginning.
        until: the first moment after; None: until now.
    """

    actor: str = ""
    action: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def entries(self, project: Project) -> QuerySet[AuditEntry]:
        """Return a project's entries, newest first.

        Raises:
            AuditRangeError: `since` is after `until`.
        """
        if self.since is not None and self.until is not None and self.since > self.until:
            raise AuditRangeError(
                f"since == {self.since.isoformat()}, must be before until == {self.until.isoformat()}.",
                field="since",
            )
        wanted = {
            "actor": self.actor or None,
            "action": self.action or None,
            "at__gte": self.since,
            "at__lt": self.until,
        }
        return project.audit_entries.filter(
            **{name: value for name, value in wanted.items() if value is not None}
        )


ALL = AuditFilter()


def audit_lines(project: Project, form: str, which: AuditFilter = ALL) -> Iterator[str]:
    """Yield a project's entries as lines, oldest first.

    Args:
        project: whose trail.
        form: one of `FORMS`.
        which: entries.

    Raises:
        AuditRangeError: before the first line.
    """
    entries = which.entries(project).order_by("id")
    return FORMS[form][1](_rows(project, entries))


def _rows(project: Project, entries: QuerySet[AuditEntry]) -> Iterator[dict[str, Any]]:
    last = 0
    while chunk := list(entries.filter(id__gt=last)[:CHUNK]):
        for one in chunk:
            yield {
                "id": one.pk, "at": one.at.isoformat(), "project": project.slug, "actor": one.actor,
                "action": one.action, "subject": one.subject, "detail": one.detail,
            }  # fmt: skip
        last = chunk[-1].pk


def _json_lines(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        yield orjson.dumps(row).decode() + "\n"


def _csv_lines(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    yield _csv_line(COLUMNS)
    for row in rows:
        cells = [row[column] for column in COLUMNS[:-1]]
        # Names that people chose must not be formulas to a spreadsheet.
        yield _csv_line([*map(plain_cell, cells), orjson.dumps(row["detail"]).decode()])


def _csv_line(cells: Any) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


# Form → media type, and what writes it.
FORMS: dict[str, tuple[str, Callable[[Iterator[dict[str, Any]]], Iterator[str]]]] = {
    "jsonl": ("application/jsonl", _json_lines),
    "csv": ("text/csv; charset=utf-8", _csv_lines),
}
