"""Write lines to a run's log, and let the oldest go.

Guarantees: a run has at most `MAX_LINES` lines once a writer is done, none longer than `MAX_TEXT`;
secrets are hidden before anything is stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from django.db import transaction

from inference.models import RunLogLine
from inference.models.run_log import MAX_LINES, MAX_TEXT
from inference.secrets_in_text import hide_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that is to be stored.

    Attributes:
        level: one of `RunLogLine.Level`.
        text: of any length.
        at: when it was logged.
    """

    level: str
    text: str
    at: datetime = field(default_factory=_now)


def write_run_log(run_id: int, lines: Sequence[LogLine], *, attempt: int) -> None:
    """Append lines to a run's log.

    Args:
        run_id: of the run.
        lines: in their order; empty ones are left out.
        attempt: which of the run's attempts writes.
    """
    rows = [
        RunLogLine(run_id=run_id, attempt=attempt, level=line.level, text=text, at=line.at)
        for line in lines[-MAX_LINES:]
        if (text := _clean(line.text))
    ]
    if not rows:
        return
    with transaction.atomic():
        RunLogLine.objects.bulk_create(rows)
        newest = RunLogLine.objects.filter(run_id=run_id).order_by("-id")
        RunLogLine.objects.filter(pk__in=list(newest.values_list("pk", flat=True)[MAX_LINES:])).delete()


def _clean(text: str) -> str:
    """Return one line without secrets and control characters, cut where it is long."""
    line = "".join(one if one.isprintable() else " " for one in hide_secrets(text)).rstrip()
    return line if len(line) <= MAX_TEXT else f"{line[: MAX_TEXT - 1]}…"
