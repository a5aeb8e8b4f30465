"""An axis of time for charts: where a moment lies, and a handful of dates below."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

MAX_LABELS = 4
LABEL_WIDTH = 110  # of a date and the space beside it
DAY = timedelta(days=1)
STEPS = (
    *(timedelta(minutes=one) for one in (1, 5, 15, 30)),
    *(timedelta(hours=one) for one in (1, 2, 3, 6, 12)),
    *(timedelta(days=one) for one in (1, 2, 4, 7, 14, 28, 91, 182, 364)),
)  # between labels
EDGE = 30  # nearer to an end, half of a label would leave the picture
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
                f'<text x="{self.x(at):.1f}" y="{y}" text-anchor="{anchor}" class="tick">'
                f"{at.strftime(form)}</text>"
            )
        return "".join(parts)

    def marks(self, y: float, *, count: int) -> str:
        """Return at most `count` round dates, or times of day, as SVG texts at a height."""
        times = round_times(self.start, self.end, count)
        dates = len(times) < 2 or times[1] - times[0] >= DAY
        parts = []
        for at in times:
            x = self.x(at)
            anchor = "start" if x < self.left + EDGE else "end" if x > self.right - EDGE else "middle"
            day = dates or (at.hour == 0 and at.minute == 0)
            words = at.strftime("%Y-%m-%d" if day else "%H:%M")
            parts.append(
                f'<text class="tick" x="{x:.1f}" y="{y}" text-anchor="{anchor}">{words}</text>'
            )
        return "".join(parts)


def round_times(start: datetime, end: datetime, count: int) -> list[datetime]:
    """Return midnights, or full minutes and hours of a short span, at most `count` from start to end.

    Both ends where no round time lies between them.
    """
    step = next((one for one in STEPS if (end - start) <= one * max(count - 1, 1)), STEPS[-1])
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight + step * math.ceil((start - midnight) / step)
    times: list[datetime] = []
    while first <= end and len(times) < count:
        times.append(first)
        first += step
    return times if len(times) > 1 else [start, end]
