"""An axis of time for charts: where a moment lies, and a handful of dates below."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

LABELS = 4
MINUTES = timedelta(minutes=10)  # below it the labels would be the same minute


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

    def lines(self, top: float, bottom: float) -> str:
        """Return a thin line at each label, from top to bottom."""
        span = self.end - self.start
        places = (self.x(self.start + span * n / (LABELS - 1)) for n in range(LABELS))
        return "".join(
            f'<line class="track" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>' for x in places
        )

    def labels(self, y: float) -> str:
        """Return dates, or times of day of a span below two days, as SVG texts at a height."""
        span = self.end - self.start
        form = "%Y-%m-%d" if span.days >= 2 else "%H:%M" if span > MINUTES else "%H:%M:%S"
        parts = []
        for n in range(LABELS):
            at = self.start + span * n / (LABELS - 1)
            anchor = "start" if n == 0 else "end" if n == LABELS - 1 else "middle"
            parts.append(
                f'<text x="{self.x(at):.1f}" y="{y}" text-anchor="{anchor}">{at.strftime(form)}</text>'
            )
        return "".join(parts)
