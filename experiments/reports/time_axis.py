"""An axis of time for charts: where a moment lies, and a handful of dates below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

LABELS = 4


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Moments from `start` to `end`, drawn between the places `left` and `right`."""

    start: datetime
    end: datetime
    left: float
    right: float

    def x(self, at: datetime) -> float:
        """Return the place of a moment; one outside lies at the edge."""
        span = max((self.end - self.start).total_seconds(), 1.0)
        share = (at - self.start).total_seconds() / span
        return self.left + (self.right - self.left) * min(max(share, 0.0), 1.0)

    def labels(self, y: float) -> str:
        """Return dates, or times of a span below two days, as SVG texts at a height."""
        span = self.end - self.start
        form = "%H:%M" if span.days < 2 else "%Y-%m-%d"
        parts = []
        for n in range(LABELS):
            at = self.start + span * n / (LABELS - 1)
            anchor = "start" if n == 0 else "end" if n == LABELS - 1 else "middle"
            parts.append(
                f'<text x="{self.x(at):.1f}" y="{y}" text-anchor="{anchor}">{at.strftime(form)}</text>'
            )
        return "".join(parts)
