"""An axis of time for charts: where a moment lies, and a handful of dates below."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

MAX_LABELS = 4
LABEL_WIDTH = 110  # of a date and the space beside it
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

    @property
    def label_count(self) -> int:
        """How many labels fit beside each other, both ends among them."""
        return max(2, min(MAX_LABELS, int((self.right - self.left) / LABEL_WIDTH)))

    def lines(self, top: float, bottom: float) -> str:
        """Return a thin line at each label, from top to bottom."""
        span, count = self.end - self.start, self.label_count
        places = (self.x(self.start + span * n / (count - 1)) for n in range(count))
        return "".join(
            f'<line class="track" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>' for x in places
        )

    def labels(self, y: float) -> str:
        """Return dates, or times of day of a span below two days, as SVG texts at a height."""
        span, count = self.end - self.start, self.label_count
        form = "%Y-%m-%d" if span.days >= 2 else "%H:%M" if span > MINUTES else "%H:%M:%S"
        parts = []
        for n in range(count):
            at = self.start + span * n / (count - 1)
            anchor = "start" if n == 0 else "end" if n == count - 1 else "middle"
            parts.append(
                f'<text x="{self.x(at):.1f}" y="{y}" text-anchor="{anchor}">{at.strftime(form)}</text>'
            )
        return "".join(parts)
