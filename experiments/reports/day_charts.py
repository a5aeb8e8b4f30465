"""New users and the primary metric of each variant, by hour, day or week."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.translation import gettext as _

from experiments.reports.chart_frame import (
    HALF,
    NARROW,
    WIDTH,
    Chart,
    Frame,
    colour_of,
    draw_legend,
    draw_mark,
)
from experiments.reports.code_names import name_of
from experiments.reports.look_days import LENGTHS, LookStep, Step
from experiments.reports.time_axis import TimeAxis

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

GAP, MAX_BAR = 0.15, 48  # of a step between two bars; width of one of a chart of few
# A chart of one value is no course of time: there is the table of the report.
MIN_STEPS = 2


def draw_users(
    steps: Sequence[LookStep], step: Step, variants: Sequence[str], *, title: str
) -> Chart | None:
    """Return new users in each step as bars, the variants above each other; None before the first.

    Args:
        steps: oldest first.
        step: their length.
        variants: their keys, the control first.
        title: what is counted.
    """
    most = max((sum(one.users.values()) for one in steps), default=0)
    if not most:
        return None
    rows = [
        (_time(one.starts_at, step), *(f"{one.users.get(key, 0):,}" for key in variants))
        for one in reversed(steps)
    ]
    wide, narrow = (_draw_users(steps, step, variants, title, width) for width in (HALF, NARROW))
    return Chart("users", title, wide, _head(step, variants), rows, narrow)


def draw_daily_metric(
    steps: Sequence[LookStep],
    step: Step,
    variants: Sequence[str],
    *,
    title: str,
    write: Callable[[float], str],
) -> Chart | None:
    """Return the metric of users whose outcome became complete in each step, a line per variant.

    Args:
        steps: oldest first.
        step: their length.
        variants: their keys, the control first.
        title: what the metric measures.
        write: how a value of it is written.
    """
    if sum(bool(one.values) for one in steps) < MIN_STEPS:
        return None
    rows = [
        (
            _time(one.starts_at, step),
            *(
                f"{write(one.values[key])} (n = {one.analysed.get(key, 0):,})"
                if key in one.values
                else "–"
                for key in variants
            ),
        )
        for one in reversed(steps)
        if one.values
    ]
    wide, narrow = (
        _draw_metric(steps, step, variants, title, write, width) for width in (WIDTH, NARROW)
    )
    return Chart("daily", title, wide, _head(step, variants), rows, narrow)


def _time(at: datetime, step: Step) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if step == "hour" else f"{at:%Y-%m-%d}"


def _head(step: Step, variants: Sequence[str]) -> tuple[str, ...]:
    names = {"hour": _("Hour"), "day": _("Day"), "week": _("Week")}
    return (names[step], *map(name_of, variants))


def _axis(steps: Sequence[LookStep], step: Step, frame: Frame) -> TimeAxis:
    end = steps[-1].starts_at + LENGTHS[step]
    return TimeAxis(steps[0].starts_at, end, frame.left, frame.width - frame.right)


def _below(step: Step) -> str:
    titles = {
        "hour": _("Hour (%(zone)s)"),
        "day": _("Day (%(zone)s)"),
        "week": _("Week, from Monday (%(zone)s)"),
    }
    return titles[step] % {"zone": timezone.get_current_timezone_name()}


def _around(frame: Frame, axis: TimeAxis, variants: Sequence[str]) -> str:
    """Return the dates and the legend."""
    dates = axis.marks(frame.floor + 18, count=6 if frame.width == WIDTH else 3)
    edge = frame.width - frame.right
    return dates + draw_legend([name_of(key) for key in variants], left=frame.left, y=30, right=edge)


def _draw_users(
    steps: Sequence[LookStep], step: Step, variants: Sequence[str], title: str, width: int
) -> str:
    most = max(sum(one.users.values()) for one in steps)
    frame = Frame(width=width, low=0.0, high=most * 1.05)
    axis = _axis(steps, step, frame)
    bars = "".join(
        _draw_bar(one, variants, frame, axis, _time(one.starts_at, step), LENGTHS[step].total_seconds())
        for one in steps
    )
    return frame.draw(
        title,
        frame.value_axis(lambda value: f"{value:,.0f}" if value == int(value) else ""),
        frame.titles(title, _below(step)),
        _around(frame, axis, variants),
        bars,
    )


def _draw_bar(
    one: LookStep, variants: Sequence[str], frame: Frame, axis: TimeAxis, time: str, seconds: float
) -> str:
    span = max((axis.end - axis.start).total_seconds(), 1.0)
    wide = (axis.right - axis.left) * seconds / span
    bar = min(wide * (1 - GAP), MAX_BAR)
    x, total, parts = axis.x(one.starts_at) + (wide - bar) / 2, 0, []
    for n, key in enumerate(variants):
        count = one.users.get(key, 0)
        top, bottom = frame.y(total + count), frame.y(total)
        total += count
        if count:
            parts.append(
                f'<rect class="fill {colour_of(n)}" x="{x:.1f}" y="{top:.1f}" '
                f'width="{bar:.1f}" height="{bottom - top:.1f}">'
                f"<title>{escape(f'{time}: {name_of(key)} {count:,}')}</title></rect>"
            )
    return "".join(parts)


def _draw_metric(
    steps: Sequence[LookStep],
    step: Step,
    variants: Sequence[str],
    title: str,
    write: Callable[[float], str],
    width: int,
) -> str:
    values = [value for one in steps for value in one.values.values()]
    low, high = min(0.0, *values), max(0.0, *values)
    frame = Frame(width=width, low=low, high=high * 1.05 if high > low else low + 1.0)
    axis = _axis(steps, step, frame)
    lines = "".join(
        _draw_line(n, key, steps, frame, axis, _words_of(step, key, write), LENGTHS[step] / 2)
        for n, key in enumerate(variants)
    )
    return frame.draw(
        title,
        frame.value_axis(write),
        frame.titles(title, _below(step)),
        _around(frame, axis, variants),
        lines,
    )


def _words_of(step: Step, key: str, write: Callable[[float], str]) -> Callable[[LookStep], str]:
    def words(one: LookStep) -> str:
        count = f"{one.analysed.get(key, 0):,}"
        return f"{_time(one.starts_at, step)}: {name_of(key)} {write(one.values[key])} (n = {count})"

    return words


def _draw_line(
    n: int,
    key: str,
    steps: Sequence[LookStep],
    frame: Frame,
    axis: TimeAxis,
    words: Callable[[LookStep], str],
    half: timedelta,
) -> str:
    places = [
        (axis.x(one.starts_at + half), frame.y(one.values[key]), one)
        for one in steps
        if key in one.values
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _one in places)
    marks = "".join(draw_mark(n, x, y, title=words(one)) for x, y, one in places)
    return f'<g class="{colour_of(n)}"><polyline class="course" points="{line}"/>{marks}</g>'
