"""The audit trail for other systems: filtered, as JSON Lines or CSV, some rows at a time."""

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

    Chunks = Iterator[list[dict[str, Any]]]

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


def audit_text(project: Project, format: str, which: AuditFilter = ALL) -> Iterator[str]:  # noqa: A002
    """Yield a project's entries for a streamed answer: many lines at once, as each piece costs a turn.

    Raises:
        AuditRangeError: before the first line.
    """
    return map("".join, audit_lines(project, format, which))


def audit_lines(
    project: Project,
    format: str,  # noqa: A002
    which: AuditFilter = ALL,
) -> Iterator[list[str]]:
    """Yield a project's entries as lists of lines, oldest first; of CSV the first is the head.

    Args:
        project: whose trail.
        format: one of `FORMATS`.
        which: entries.

    Raises:
        AuditRangeError: before the first line.
    """
    entries = which.entries(project).order_by("id")
    return FORMATS[format][1](_chunks(project, entries))


def _chunks(project: Project, entries: QuerySet[AuditEntry]) -> Iterator[list[dict[str, Any]]]:
    last = 0
    while chunk := list(entries.filter(id__gt=last)[:CHUNK]):
        yield [
            {
                "id": one.pk, "at": one.at.isoformat(), "project": project.slug, "actor": one.actor,
                "action": one.action, "subject": one.subject, "detail": one.detail,
            }
            for one in chunk
        ]  # fmt: skip
        last = chunk[-1].pk


def _json_lines(chunks: Chunks) -> Iterator[list[str]]:
    for rows in chunks:
        yield [orjson.dumps(row).decode() + "\n" for row in rows]


def _csv_lines(chunks: Chunks) -> Iterator[list[str]]:
    yield [_csv_line(COLUMNS)]
    for rows in chunks:
        yield [_csv_line(_csv_cells(row)) for row in rows]


def _csv_cells(row: dict[str, Any]) -> list[Any]:
    cells = [row[column] for column in COLUMNS[:-1]]
    # Names that people chose must not be formulas to a spreadsheet.
    return [*map(plain_cell, cells), orjson.dumps(row["detail"]).decode()]


def _csv_line(cells: Any) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


# Format → media type, and what writes it.
FORMATS: dict[str, tuple[str, Callable[[Chunks], Iterator[list[str]]]]] = {
    "jsonl": ("application/jsonl", _json_lines),
    "csv": ("text/csv; charset=utf-8", _csv_lines),
}
