"""The path of an experiment's estimate over its looks, as inline SVG."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from experiments.reports.chart_texts import ENGLISH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.reports.chart_texts import ChartTexts

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 260, 64, 34, 12


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
    span = (high - low) or 1.0
    most = max(planned_units, last.units, 1)

    def x(units: float) -> float:
        return LEFT + (WIDTH - LEFT - 12) * units / most

    def y(value: float) -> float:
        value = min(max(value, low), high)
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / span

    upper = [f"{x(p.units):.1f},{y(p.high):.1f}" for p in points]
    lower = [f"{x(p.units):.1f},{y(p.low):.1f}" for p in reversed(points)]
    line = " ".join(f"{x(p.units):.1f},{y(p.estimate):.1f}" for p in points)
    ticks = "".join(
        f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:+.3g}</text>'
        for value in (low, 0.0, high)
        if value == 0.0 or abs(y(value) - y(0.0)) > 16
    )
    dots = "".join(
        f'<circle cx="{x(p.units):.1f}" cy="{y(p.estimate):.1f}" r="2.5">'
        f"<title>{escape(_point_text(p, texts))}</title></circle>"
        for p in points
    )
    epochs = "".join(
        f'<line class="epoch" x1="{x(units):.1f}" x2="{x(units):.1f}" y1="{TOP}" '
        f'y2="{HEIGHT - BOTTOM}">'
        f"<title>{escape(texts.epoch.format(units=f'{units:,}'))}</title></line>"
        for units in marks
    )
    return (
        f'<svg class="path" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f'<polygon class="band" points="{" ".join(upper + lower)}"/>'
        f'<line class="zero" x1="{LEFT}" x2="{WIDTH - 12}" y1="{y(0.0):.1f}" y2="{y(0.0):.1f}"/>'
        f'<line class="plan" x1="{x(planned_units):.1f}" x2="{x(planned_units):.1f}" '
        f'y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        f'<polyline class="estimate" points="{line}"/>{dots}{ticks}{epochs}'
        f'<text x="{LEFT}" y="{HEIGHT - 10}">0</text>'
        f'<text x="{WIDTH - 12}" y="{HEIGHT - 10}" text-anchor="end">'
        f"{escape(texts.units.format(units=f'{most:,}'))}</text></svg>"
    )


def _point_text(point: PathPoint, texts: ChartTexts) -> str:
    return texts.point.format(
        units=f"{point.units:,}",
        estimate=f"{point.estimate:+.4g}",
        low=f"{point.low:+.4g}",
        high=f"{point.high:+.4g}",
    )
