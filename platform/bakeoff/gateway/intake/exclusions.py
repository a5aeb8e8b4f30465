"""Crawlers that are left out of analysis: each is written once, as far as this process remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.gateway.remembered import Remembered
from experiments.ingest.rows import ExclusionRow

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_REMEMBERED = 50_000


class Exclusions:
    """The crawlers of one process; the database takes a second row of one for the first."""

    def __init__(self) -> None:
        """Remember none yet."""
        self._written: Remembered[tuple[int, str], None] = Remembered(MAX_REMEMBERED)

    def rows(self, project_id: int, units: Sequence[str]) -> list[ExclusionRow]:
        """Return the rows that leave these units out, but for those that were written before."""
        return [
            ExclusionRow(project_id, unit, "bot")
            for unit in dict.fromkeys(units)
            if (project_id, unit) not in self._written
        ]

    def remember(self, rows: Sequence[ExclusionRow]) -> None:
        """Note that these are written."""
        for row in rows:
            self._written[row.project_id, row.unit_id] = None
