"""Values over time or over numbers, a line for each version or fit, as an SVG picture."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from experiments.reports.chart_frame import axis_titles, date_title
from experiments.reports.rate_chart import LINES
from experiments.reports.time_axis import TimeAxis
from experiments.reports.value_axis import ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 240, 64, 150, 24, 42
MIDDLE = (LEFT + WIDTH - RIGHT) / 2
LINE_HEIGHT = 16
MAX_DOTS = 40  # of a line: more cannot be told apart


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """A value at a time, and the words that a reader sees at it."""

    at: datetime
    value: float
    words: str


def draw_series(
    series: Mapping[str, Sequence[SeriesPoint]],
    *,
    label: str,
    start: datetime,
    end: datetime,
    value: str = "",
) -> str:
    """Return an SVG, from 0 up; nothing where there is no point.

    Args:
        series: points in order, by the name of their line.
        label: what the values are.
        start: of the axis of time.
        end: of the axis of time.
        value: the title of the values, where it is not the label.
    """
    axis = TimeAxis(start, end, LEFT, WIDTH - RIGHT)
    lines = {
        name: [(axis.x(point.at), point.value, point.words) for point in points]
        for name, points in series.items()
    }
    titles = axis_titles(value or label, date_title(), middle=MIDDLE, y=HEIGHT + 6)
    below = axis.labels(HEIGHT - BOTTOM + 18) + titles
    return _draw(lines, label, below) if any(lines.values()) else ""


def draw_numbers(
    series: Mapping[str, Sequence[tuple[float, float, str]]], *, label: str, value: str, number: str
) -> str:
    """Return an SVG of values over numbers from 0, each axis with its title; nothing without a point.

    Args:
        series: number, value and words of points in order, by the name of their line.
        label: what the picture shows.
        value: the title of the values.
        number: the title of the numbers.
    """
    last = max((x for points in series.values() for x, _, _ in points), default=0.0) or 1.0

    def x(at: float) -> float:
        return LEFT + (WIDTH - RIGHT - LEFT) * at / last

    numbers = "".join(
        f'<text class="tick" x="{x(one):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
        f"{one:,.6g}</text>"
        for one in ticks(0.0, last)
    )
    titles = axis_titles(value, number, middle=MIDDLE, y=HEIGHT + 6)
    lines = {
        name: [(x(at), one, words) for at, one, words in points] for name, points in series.items()
    }
    return _draw(lines, label, numbers + titles) if any(lines.values()) else ""


def _draw(lines: Mapping[str, Sequence[tuple[float, float, str]]], label: str, below: str) -> str:
    """Return the picture of lines whose points have their place from the left, value and words."""
    high = max(value for points in lines.values() for _, value, _ in points) * 1.05 or 1.0

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - max(value, 0.0)) / high

    drawn = [_draw_line(n, name, points, y) for n, (name, points) in enumerate(lines.items())]
    return (
        f'<svg class="path" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{_ticks(high, y)}{''.join(drawn)}{below}</svg>"
    )


def _ticks(high: float, y: Callable[[float], float]) -> str:
    return "".join(
        f'<line class="track" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(one):.1f}" y2="{y(one):.1f}"/>'
        f'<text class="tick" x="{LEFT - 8}" y="{y(one) + 4:.1f}" text-anchor="end">{one:,.6g}</text>'
        for one in ticks(0.0, high, about=4)
    )


def _draw_line(
    n: int,
    name: str,
    points: Sequence[tuple[float, float, str]],
    y: Callable[[float], float],
) -> str:
    colour, dash = LINES[n % len(LINES)]
    line = " ".join(f"{x:.1f},{y(value):.1f}" for x, value, _ in points)
    # From the last one back: it is what a reader wants to know.
    every = max(-(-len(points) // MAX_DOTS), 1)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y(value):.1f}" r="3" style="fill:{colour}">'
        f"<title>{escape(words)}</title></circle>"
        for x, value, words in points[::-1][::every][::-1]
    )
    height = TOP + 10 + n * LINE_HEIGHT
    return (
        f'<g data-line="{escape(name)}">'
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2" '
        f'stroke-dasharray="{dash}"/>{dots}'
        f'<line x1="{WIDTH - RIGHT + 12}" x2="{WIDTH - RIGHT + 34}" y1="{height - 4}" '
        f'y2="{height - 4}" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
        f'<text x="{WIDTH - RIGHT + 40}" y="{height}">{escape(name)}</text></g>'
    )
