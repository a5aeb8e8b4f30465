"""The effect on the primary metric at each analysis, with its bounds, on an axis of dates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, TypeVar

from django.utils import timezone
from django.utils.translation import gettext as _

from experiments.reports.chart_frame import NARROW, WIDTH, Chart, Frame, date_title, draw_arrow
from experiments.reports.percentages import percent, signed_number
from experiments.reports.time_axis import TimeAxis
from experiments.reports.value_axis import signed, signed_share

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from experiments.models import Look

T = TypeVar("T")
MAX_POINTS = 60  # each is parsed, and more cannot be told apart; a test of months has thousands
# Early intervals are far wider than late ones: the picture ends at so many times the last one's width.
REACH = 2.0
LABEL_LETTER = 6.5
# A plan that ends later than so many times the run so far would squeeze what is known to an edge.
MAX_AHEAD = 2.0


@dataclass(frozen=True, slots=True)
class EffectPoint:
    """An analysis: when it was, on how many users it rests, the difference and its interval."""

    at: datetime
    users: int
    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class TimeMark:
    """A moment that a chart shows as an upright line: `epoch`, `plan` or `end`, and its words."""

    at: datetime
    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class EffectPath:
    """What is drawn.

    Attributes:
        points: oldest first; relative differences where `is_share`, else in the metric's unit.
        is_share: whether they are relative.
        title: of the values.
    """

    points: Sequence[EffectPoint]
    is_share: bool
    title: str

    def write(self, value: float) -> str:
        """Return a difference as pages write it."""
        return percent(value) if self.is_share else signed_number(value)


def far_end(start: datetime, last: datetime) -> datetime:
    """Return until when a plan is shown that began at `start` and is known until `last`."""
    return last + MAX_AHEAD * (last - start)


def thin(looks: Sequence[T]) -> list[T]:
    """Return evenly spread looks, or their numbers, the last among them."""
    every = -(-len(looks) // MAX_POINTS)
    return list(looks[::-1][::every][::-1]) if looks else []


def read_path(looks: Sequence[Look], metric: str, variant: str, title: str) -> EffectPath:
    """Return a variant's effect at each look that has an interval.

    Args:
        looks: in order.
        metric: key of the primary metric.
        variant: key of the treatment.
        title: what the metric measures.
    """
    rows = []
    for look in looks:
        rows_of_variant = (
            one for one in look.parsed_result.of_metric(metric) if one.variant == variant
        )
        row = next(rows_of_variant, None)
        if row is not None and row.effect is not None and row.interval is not None:
            rows.append((look, row, row.effect))
    # An effect that has no relative size now is followed in the metric's own unit.
    is_share = bool(rows) and rows[-1][1].lift is not None and rows[-1][1].lift_interval is not None
    points = []
    for look, row, effect in rows:
        low, high = (row.lift_interval if is_share else row.interval) or (None, None)
        estimate = row.lift if is_share else effect.estimate
        if estimate is None or low is None or high is None:
            continue
        points.append(EffectPoint(look.taken_at, row.units, estimate, low, high))
    return EffectPath(points, is_share, _("Change in %(metric)s") % {"metric": title})


def draw_effect(
    path: EffectPath,
    *,
    title: str,
    start: datetime,
    end: datetime,
    marks: Sequence[TimeMark] = (),
    name: str = "effect",
) -> Chart | None:
    """Return the chart of an effect over time; None with nothing to draw.

    Args:
        path: what is drawn.
        title: of the chart.
        start: of the axis of dates.
        end: of the axis of dates.
        marks: upright lines, oldest first.
        name: of the chart.
    """
    if not path.points:
        return None
    # In the zone that the axis names, whatever the zone in which they were stored.
    points = [replace(one, at=timezone.localtime(one.at)) for one in path.points]
    path = replace(path, points=points)
    pictures = (_draw(path, title, start, end, marks, width) for width in (WIDTH, NARROW))
    wide, narrow = pictures
    rows = [
        (
            f"{one.at:%Y-%m-%d %H:%M}", f"{one.users:,}", path.write(one.estimate),
            path.write(one.low), path.write(one.high),
        )
        for one in reversed(path.points)
    ]  # fmt: skip
    head = (_("Date"), _("Users analysed"), path.title, _("Lower bound"), _("Upper bound"))
    return Chart(name, title, wide, head, rows, narrow)


def _draw(
    path: EffectPath,
    title: str,
    start: datetime,
    end: datetime,
    marks: Sequence[TimeMark],
    width: int,
) -> str:
    points, last = path.points, path.points[-1]
    reach = REACH * max(last.high - last.low, abs(last.estimate) / 4, 1e-9)
    low = min(0.0, max(min(one.low for one in points), last.low - reach))
    high = max(0.0, min(max(one.high for one in points), last.high + reach))
    frame = Frame(width=width, low=low, high=high, right=24)
    local = timezone.localtime
    axis = TimeAxis(local(start), local(end), frame.left, width - frame.right)
    places = [(axis.x(one.at), one) for one in points]
    upper = [f"{x:.1f},{frame.y(one.high):.1f}" for x, one in places]
    lower = [f"{x:.1f},{frame.y(one.low):.1f}" for x, one in reversed(places)]
    line = " ".join(f"{x:.1f},{frame.y(one.estimate):.1f}" for x, one in places)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{frame.y(one.estimate):.1f}" r="3">'
        f"<title>{escape(_words(path, one))}</title></circle>"
        for x, one in places
    )
    if len(places) == 1:  # a band of no width would not be seen
        ((x, only),) = places
        dots += f'<path class="bound" d="M{x:.1f} {frame.y(only.low):.1f}V{frame.y(only.high):.1f}"/>'
    cut = [draw_arrow(x, frame.top, up=True) for x, one in places if one.high > high]
    cut += [draw_arrow(x, frame.floor, up=False) for x, one in places if one.low < low]
    return frame.draw(
        title,
        frame.value_axis(signed_share if path.is_share else signed),
        axis.marks(frame.floor + 18, count=3 if width == NARROW else 6),
        frame.titles(path.title, date_title(timezone.get_current_timezone_name())),
        f'<polygon class="band" points="{" ".join(upper + lower)}"/>'
        f'<line class="zero" x1="{frame.left}" x2="{width - frame.right}" y1="{frame.y(0.0):.1f}" '
        f'y2="{frame.y(0.0):.1f}"/>',
        _draw_marks(marks, axis, frame),
        f'<polyline class="estimate" points="{line}"/>{dots}{"".join(cut)}',
    )


def _words(path: EffectPath, point: EffectPoint) -> str:
    values = {
        "date": f"{point.at:%Y-%m-%d %H:%M}",
        "estimate": path.write(point.estimate),
        "low": path.write(point.low),
        "high": path.write(point.high),
        "users": f"{point.users:,}",
    }
    return _("%(date)s: %(estimate)s (%(low)s to %(high)s), %(users)s users") % values


def _draw_marks(marks: Sequence[TimeMark], axis: TimeAxis, frame: Frame) -> str:
    """Draw an upright line for each mark; words where they do not run into those before."""
    parts, free = [], 0.0
    for mark in marks:
        x = axis.x(timezone.localtime(mark.at))
        parts.append(
            f'<line class="{mark.kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{frame.top - 6}" '
            f'y2="{frame.floor}"><title>{escape(mark.words)}</title></line>'
        )
        half = LABEL_LETTER * len(mark.words) / 2
        middle = min(max(x, half + 2), frame.width - half - 2)
        if middle - half >= free:
            parts.append(
                f'<text x="{middle:.1f}" y="{frame.top - 12}" text-anchor="middle">'
                f"{escape(mark.words)}</text>"
            )
            free = middle + half + 8
    return "".join(parts)
