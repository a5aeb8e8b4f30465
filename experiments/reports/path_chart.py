"""The path of an experiment's estimate over its looks, as inline SVG."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from experiments.reports.chart_texts import ENGLISH
from experiments.reports.percentages import signed_number
from experiments.reports.value_axis import signed, ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from experiments.reports.chart_texts import ChartTexts

WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP = 720, 300, 64, 16, 48, 26


@dataclass(frozen=True, slots=True)
class PathPoint:
    """One look: units so far, estimate, and its sequential interval."""

    units: int
    estimate: float
    low: float
    high: float


def draw_path(
    points: Sequence[PathPoint],
    *,
    planned_units: int,
    label: str,
    marks: Sequence[int] = (),
    texts: ChartTexts = ENGLISH,
) -> str:
    """Return an SVG of estimates with the band of their intervals and the line of no effect.

    `marks` are the units at which an epoch began. Early intervals are far wider than late ones; the
    picture is cut at four times the last one's width, so that the end can be read.
    """
    if not points:
        return ""
    last = points[-1]
    reach = 4 * max(last.high - last.low, 1e-9)
    low = min(0.0, max(min(p.low for p in points), last.estimate - reach))
    high = max(0.0, min(max(p.high for p in points), last.estimate + reach))
    if high - low <= 0:
        low, high = -1.0, 1.0
    most = max(planned_units, last.units, 1)
    bottom = HEIGHT - BOTTOM

    def x(units: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * units / most

    def y(value: float) -> float:
        value = min(max(value, low), high)
        return TOP + (bottom - TOP) * (high - value) / (high - low)

    upper = [f"{x(p.units):.1f},{y(p.high):.1f}" for p in points]
    lower = [f"{x(p.units):.1f},{y(p.low):.1f}" for p in reversed(points)]
    line = " ".join(f"{x(p.units):.1f},{y(p.estimate):.1f}" for p in points)
    dots = "".join(
        f'<circle cx="{x(p.units):.1f}" cy="{y(p.estimate):.1f}" r="3">'
        f"<title>{escape(_point_text(p, texts))}</title></circle>"
        for p in points
    )
    cut = "".join(_arrow(x(p.units), y(p.high), up=True) for p in points if p.high > high) + "".join(
        _arrow(x(p.units), y(p.low), up=False) for p in points if p.low < low
    )
    epochs = "".join(
        f'<line class="epoch" x1="{x(units):.1f}" x2="{x(units):.1f}" y1="{TOP}" y2="{bottom}">'
        f"<title>{escape(texts.epoch.format(units=f'{units:,}'))}</title></line>"
        for units in marks
    )
    return (
        f'<svg class="path" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{_axes(x, y, most=most, values=ticks(low, high), texts=texts)}"
        f'<polygon class="band" points="{" ".join(upper + lower)}"/>'
        f'<line class="zero" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(0.0):.1f}" y2="{y(0.0):.1f}"/>'
        f'<line class="plan" x1="{x(planned_units):.1f}" x2="{x(planned_units):.1f}" '
        f'y1="{TOP}" y2="{bottom}"/>'
        f'{epochs}<polyline class="estimate" points="{line}"/>{dots}{cut}</svg>'
    )


def _axes(
    x: Callable[[float], float],
    y: Callable[[float], float],
    *,
    most: int,
    values: Sequence[float],
    texts: ChartTexts,
) -> str:
    """Draw a line of the grid at each value, the values beside it, users below, and both titles."""
    bottom = HEIGHT - BOTTOM
    rows = "".join(
        f'<line class="track" x1="{LEFT}" x2="{WIDTH - RIGHT}" '
        f'y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end" class="tick">'
        f"{signed(value)}</text>"
        for value in values
    )
    columns = "".join(
        f'<text x="{x(units):.1f}" y="{bottom + 18}" text-anchor="middle" class="tick">'
        f"{units:,.0f}</text>"
        for units in ticks(0, most)
        if units == int(units)  # half a user is none
    )
    middle = (LEFT + WIDTH - RIGHT) / 2
    return (
        f'{rows}{columns}<text class="axis" x="0" y="12">{escape(texts.difference)}</text>'
        f'<text class="axis" x="{middle:.1f}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{escape(texts.analysed)}</text>"
    )


def _arrow(x: float, y: float, *, up: bool) -> str:
    """Draw where an interval goes on beyond the picture."""
    shape = "M-4 5L0 0L4 5" if up else "M-4 -5L0 0L4 -5"
    return f'<path class="beyond-axis" transform="translate({x:.1f} {y:.1f})" d="{shape}"/>'


def _point_text(point: PathPoint, texts: ChartTexts) -> str:
    return texts.point.format(
        units=f"{point.units:,}",
        estimate=signed_number(point.estimate),
        low=signed_number(point.low),
        high=signed_number(point.high),
    )
