"""The cumulative gain of a surface by month, with its interval, as inline SVG."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from experiments.reports.chart_frame import axis_titles
from experiments.reports.chart_texts import ENGLISH
from experiments.reports.percentages import percent
from experiments.reports.value_axis import signed_share, ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from experiments.reports.chart_texts import ChartTexts
    from experiments.stats.cumulative_gain import Lift

WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP = 720, 264, 64, 48, 44, 24
MAX_LABELS = 8  # of months that stand below the picture


@dataclass(frozen=True, slots=True)
class ImpactPoint:
    """The end of a month."""

    month: str
    total: Lift


def draw_impact(
    points: Sequence[ImpactPoint],
    *,
    label: str,
    measured: Lift | None = None,
    texts: ChartTexts = ENGLISH,
) -> str:
    """Return an SVG of totals with the band of their intervals; at the right what the holdout measures.

    The picture ends at four times the last interval's width: an early one must not flatten the rest.
    """
    if not points:
        return ""
    lifts = [point.total for point in points] + ([measured] if measured is not None else [])
    last = points[-1].total
    reach = 4 * max(last.high - last.low, abs(last.estimate), 0.01)
    low = max(min(0.0, *(lift.low for lift in lifts)), last.estimate - reach)
    high = min(max(0.0, *(lift.high for lift in lifts)), last.estimate + reach)
    if low == high:
        low, high = -0.01, 0.01
    span = high - low
    step = (WIDTH - LEFT - RIGHT - 24) / max(len(points) - 1, 1)

    def y(value: float) -> float:
        value = min(max(value, low), high)
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / span

    places = [(LEFT + 12 + step * n, point) for n, point in enumerate(points)]
    upper = [f"{x:.1f},{y(point.total.high):.1f}" for x, point in places]
    lower = [f"{x:.1f},{y(point.total.low):.1f}" for x, point in reversed(places)]
    line = " ".join(f"{x:.1f},{y(point.total.estimate):.1f}" for x, point in places)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y(point.total.estimate):.1f}" r="3">'
        f"<title>{escape(f'{point.month}: {_words(point.total, texts)}')}</title></circle>"
        for x, point in places
    )
    every = -(-len(points) // MAX_LABELS)
    months = "".join(
        f'<text x="{x:.1f}" y="{HEIGHT - 26}" text-anchor="middle" class="tick">{point.month}</text>'
        for n, (x, point) in enumerate(places)
        if n % every == 0
    )
    values = "".join(
        f'<line class="track" x1="{LEFT}" x2="{WIDTH - 12}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end" class="tick">'
        f"{signed_share(value)}</text>"
        for value in ticks(low, high)
    )
    middle = (LEFT + WIDTH - RIGHT) / 2
    titles = axis_titles(texts.cumulative, texts.month, middle=middle, y=HEIGHT)
    return (
        f'<svg class="path" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f'{titles}{values}<polygon class="band" points="{" ".join(upper + lower)}"/>'
        f'<line class="zero" x1="{LEFT}" x2="{WIDTH - 12}" y1="{y(0.0):.1f}" y2="{y(0.0):.1f}"/>'
        f'<polyline class="estimate" points="{line}"/>{dots}{months}'
        f"{_draw_measured(measured, y, texts) if measured is not None else ''}</svg>"
    )


def _draw_measured(measured: Lift, y: Callable[[float], float], texts: ChartTexts) -> str:
    x, low, high = WIDTH - RIGHT / 2, y(measured.low), y(measured.high)
    return (
        f'<line class="measured" x1="{x}" x2="{x}" y1="{low:.1f}" y2="{high:.1f}"/>'
        f'<rect class="measured" x="{x - 4}" y="{y(measured.estimate) - 4:.1f}" width="8" height="8">'
        f"<title>{escape(f'{texts.holdout}: {_words(measured, texts)}')}</title></rect>"
    )


def _words(lift: Lift, texts: ChartTexts) -> str:
    return texts.effect.format(
        estimate=percent(lift.estimate), low=percent(lift.low), high=percent(lift.high)
    )
