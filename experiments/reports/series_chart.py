"""A value over time, a line for each version, as an SVG picture."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from experiments.reports.rate_chart import LINES
from experiments.reports.time_axis import TimeAxis
from experiments.reports.value_axis import ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 220, 64, 150, 14, 32
LINE_HEIGHT = 16


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """A value at a time, and the words that a reader sees at it."""

    at: datetime
    value: float
    words: str


def draw_series(
    series: Mapping[str, Sequence[SeriesPoint]], *, label: str, start: datetime, end: datetime
) -> str:
    """Return an SVG, from 0 up; nothing where there is no point.

    Args:
        series: points in order, by the name of their line.
        label: what the values are.
        start: of the axis of time.
        end: of the axis of time.
    """
    values = [point.value for points in series.values() for point in points]
    if not values:
        return ""
    high = max(values) * 1.05 or 1.0
    axis = TimeAxis(start, end, LEFT, WIDTH - RIGHT)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / high

    lines = [_draw_line(n, name, points, axis, y) for n, (name, points) in enumerate(series.items())]
    return (
        f'<svg class="path" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{_ticks(high, y)}{''.join(lines)}{axis.labels(HEIGHT - 10)}</svg>"
    )


def _ticks(high: float, y: Callable[[float], float]) -> str:
    return "".join(
        f'<line class="track" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(one):.1f}" y2="{y(one):.1f}"/>'
        f'<text x="{LEFT - 8}" y="{y(one) + 4:.1f}" text-anchor="end">{one:.4g}</text>'
        for one in ticks(0.0, high, about=4)
    )


def _draw_line(
    n: int, name: str, points: Sequence[SeriesPoint], axis: TimeAxis, y: Callable[[float], float]
) -> str:
    colour, dash = LINES[n % len(LINES)]
    line = " ".join(f"{axis.x(point.at):.1f},{y(point.value):.1f}" for point in points)
    dots = "".join(
        f'<circle cx="{axis.x(point.at):.1f}" cy="{y(point.value):.1f}" r="3" style="fill:{colour}">'
        f"<title>{escape(point.words)}</title></circle>"
        for point in points
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
