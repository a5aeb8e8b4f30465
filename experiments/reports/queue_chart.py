"""What is expected of challengers that wait, as inline SVG; the table of the queue has the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from experiments.reports.chart_texts import translated
from experiments.reports.forest_chart import ForestRow, draw_forest, themed
from experiments.reports.percentages import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.programme.queue_types import QueuedChallenger


def draw_queue(queue: Sequence[QueuedChallenger]) -> str:
    """Return the expected changes with their intervals; nothing where none is known."""
    rows = [
        ForestRow(
            label=row.version.label,
            estimate=row.expected_change,
            low=row.expected_interval[0],
            high=row.expected_interval[1],
            effect=percent(row.expected_change),
        )
        for row in queue
        if row.expected_change is not None and row.expected_interval is not None
    ]
    title = _("Expected change, from logged traffic")
    return themed(draw_forest(rows, title=title, texts=translated())) if rows else ""
