"""The programme's pictures: tests that ended by month as bars, and a calendar of one month."""

from __future__ import annotations

from calendar import monthrange
from html import escape
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.translation import gettext as _

from experiments.reports.chart_frame import (
    NARROW,
    WIDTH,
    Chart,
    Frame,
    axis_titles,
    legend_places,
)
from experiments.reports.programme_report import OTHER, RESULTS
from experiments.reports.time_axis import TimeAxis
from experiments.reports.verdict import word_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from experiments.reports.programme_report import Calendar, CalendarRow, MonthOfTests

GAP = 0.3  # of a month between two bars
LEFT, RIGHT, TOP, ROW, FOOT, BAR = 170, 16, 8, 28, 44, 14
MAX_LETTERS = 24  # of a name that find room left of a lane
MIN_BAR = 3.0


def name_of_result(action: str) -> str:
    """Return what pages call the end of a test."""
    return _("No decision") if action == OTHER else word_of(action, is_over=True)


def draw_months(months: Sequence[MonthOfTests], *, zone: str) -> Chart | None:
    """Return tests by month as bars, results above each other; None before the first end.

    Args:
        months: oldest first.
        zone: name of the time zone of the months.
    """
    if not any(month.total for month in months):
        return None
    title = _("Tests that ended by month")
    shown = [one for one in RESULTS if any(month.ended.get(one) for month in months)]
    wide, narrow = (_draw_months(months, shown, title, zone, width) for width in (WIDTH, NARROW))
    rows = [
        (f"{month.month:%Y-%m}", *(f"{month.ended.get(one, 0):,}" for one in shown), f"{month.total:,}")
        for month in reversed(months)
    ]
    head = (_("Month"), *map(name_of_result, shown), _("All"))
    return Chart("programme-months", title, wide, head, rows, narrow)


def _draw_months(
    months: Sequence[MonthOfTests], shown: Sequence[str], title: str, zone: str, width: int
) -> str:
    highest = max(month.total for month in months)
    frame = Frame(width=width, low=0.0, high=max(highest * 1.05, 1.0))
    step = (width - frame.left - frame.right) / len(months)
    every = 1 if width > NARROW else 3
    parts = []
    for n, month in enumerate(months):
        x = frame.left + step * (n + GAP / 2)
        parts.append(_draw_month(month, shown, frame, x, step * (1 - GAP)))
        # Counted from the end: the present month has its label.
        if (len(months) - 1 - n) % every == 0:
            parts.append(
                f'<text class="tick" x="{x + step * (1 - GAP) / 2:.1f}" y="{frame.floor + 16}" '
                f'text-anchor="middle">{month.month:%Y-%m}</text>'
            )
    return frame.draw(
        title,
        frame.value_axis(lambda value: f"{value:,.0f}" if value == int(value) else ""),
        frame.titles(_("Tests"), _("Month (%(zone)s)") % {"zone": zone}),
        _draw_legend(shown, frame.left, 30, width),
        *parts,
    ).replace('class="path"', 'class="path results"', 1)


def _draw_month(month: MonthOfTests, shown: Sequence[str], frame: Frame, x: float, width: float) -> str:
    total, parts = 0, []
    for action in shown:
        count = month.ended.get(action, 0)
        top, bottom = frame.y(total + count), frame.y(total)
        total += count
        if count:
            words = f"{month.month:%Y-%m}: {name_of_result(action)} {count:,}"
            parts.append(
                f'<rect class="{action}" x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" '
                f'height="{bottom - top:.1f}"><title>{escape(words)}</title></rect>'
            )
    return "".join(parts)


def _draw_legend(shown: Sequence[str], left: float, y: float, right: float) -> str:
    places = legend_places([name_of_result(one) for one in shown], left=left, right=right)
    return "".join(
        f'<rect class="{action}" x="{x:.1f}" y="{y - 9}" width="9" height="9"/>'
        f'<text x="{x + 14:.1f}" y="{y}">{escape(name)}</text>'
        for action, (name, x) in zip(shown, places, strict=False)
    )


def draw_calendar(calendar: Calendar, now: datetime, *, zone: str) -> Chart | None:
    """Return the tests of a month, a lane each, over its days; None where none ran.

    Args:
        calendar: the month.
        now: where a test that runs ends for the present.
        zone: name of the project's time zone.
    """
    if not calendar.rows:
        return None
    title = _("Tests of %(month)s") % {"month": f"{calendar.month:%Y-%m}"}
    axis = TimeAxis(calendar.start, calendar.end, LEFT, WIDTH - RIGHT)
    height = TOP + ROW * len(calendar.rows) + FOOT
    lanes = "".join(_draw_lane(row, axis, TOP + ROW * n, now) for n, row in enumerate(calendar.rows))
    below = _("Day (%(zone)s)") % {"zone": zone}
    svg = (
        f'<svg class="path lanes results" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}">{_draw_days(calendar, axis, height)}{lanes}'
        f"{axis_titles('', below, middle=(LEFT + WIDTH - RIGHT) / 2, y=height)}</svg>"
    )
    rows = [
        (
            row.experiment.title,
            row.experiment.surface.key,
            _write(row.start),
            _write(row.end) if row.end is not None else "–",
            _result_of(row),
        )
        for row in calendar.rows
    ]
    head = (_("Experiment"), _("Surface"), _("Started"), _("Ended"), _("Result"))
    return Chart("programme-calendar", title, svg, head, rows)


def _draw_days(calendar: Calendar, axis: TimeAxis, height: float) -> str:
    """Return a line at each week's first day of the month, and its number below."""
    days = monthrange(calendar.month.year, calendar.month.month)[1]
    parts = []
    for day in range(1, days + 1, 7):
        x = axis.x(calendar.start.replace(day=day))
        parts.append(
            f'<line class="track" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{height - FOOT}"/>'
            f'<text class="tick" x="{x:.1f}" y="{height - 26}" text-anchor="middle">{day}</text>'
        )
    return "".join(parts)


def _draw_lane(row: CalendarRow, axis: TimeAxis, top: float, now: datetime) -> str:
    middle = top + ROW / 2
    label = row.experiment.title
    name = label if len(label) <= MAX_LETTERS else f"{label[: MAX_LETTERS - 1]}…"
    start, end = axis.x(row.start), axis.x(row.end or now)
    width = max(end - start, MIN_BAR)
    words = f"{label}: {_write(row.start)} – {_write(row.end) if row.end else ''} {_result_of(row)}"
    return (
        f'<text class="name" x="0" y="{middle + 4:.1f}">{escape(name)}</text>'
        f'<rect class="{row.action or "running"}" x="{min(start, axis.right - width):.1f}" '
        f'y="{middle - BAR / 2:.1f}" width="{width:.1f}" height="{BAR}">'
        f"<title>{escape(words)}</title></rect>"
    )


def _result_of(row: CalendarRow) -> str:
    return name_of_result(row.action) if row.action else _("Running")


def _write(at: datetime) -> str:
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M}"
