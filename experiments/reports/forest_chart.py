"""Effects with their intervals, one row a comparison, as a standalone SVG picture."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from experiments.reports.chart_texts import ENGLISH
from experiments.reports.percentages import signed_number
from experiments.reports.value_axis import signed, signed_share, ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from experiments.kinds import Direction
    from experiments.reports.chart_texts import ChartTexts

WIDTH, ROW, LEFT, RIGHT, TOP, FOOT = 760, 30, 260, 150, 44, 46
# Okabe and Ito: told apart by those who do not tell red from green.
BETTER, WORSE, UNSURE, GRID = "#0072b2", "#d55e00", "#5b6776", "#e3e6ea"
PLOT_WIDTH, PLOT_HEIGHT, PLOT_EDGE = 260, 36, 22
STYLE = "font: 13px system-ui, sans-serif; fill: #1d2733"


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One comparison.

    Attributes:
        label: metric and variant.
        estimate: relative difference, or None when it cannot be said.
        low: lower end of its interval.
        high: upper end.
        effect: what stands at the right.
        direction: which side is the better one; None: neither, or it is not told.
        margin: of a guardrail: the relative loss that is accepted.
    """

    label: str
    estimate: float | None
    low: float | None
    high: float | None
    effect: str
    direction: Direction | None = "increase"
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class PlotUnit:
    """In what changes are written, and how short an axis may be.

    Attributes:
        tick: writes a value of the axis.
        exact: writes a value where a reader points at it.
        slack: how far an interval is drawn beyond four times the largest estimate.
        min_reach: the shortest reach of an axis.
    """

    tick: Callable[[float], str]
    exact: Callable[[float], str]
    slack: float = 0.0
    min_reach: float = 0.0


def _exact_share(value: float) -> str:
    return f"{value:+.2%}".replace("-", "−")


SHARES = PlotUnit(signed_share, _exact_share, slack=0.05, min_reach=0.01)
NUMBERS = PlotUnit(signed, signed_number)  # of any size


@dataclass(frozen=True, slots=True)
class _Scale:
    """Changes from −`reach` to `reach`; one beyond is drawn at the edge."""

    reach: float
    left: float = LEFT
    right: float = WIDTH - RIGHT
    unit: PlotUnit = SHARES

    def x(self, value: float) -> float:
        share = (min(max(value, -self.reach), self.reach) + self.reach) / (2 * self.reach)
        return self.left + (self.right - self.left) * share


def _reach(rows: Sequence[ForestRow], unit: PlotUnit = SHARES) -> float:
    """Return how far the axis goes: to the ends of intervals, up to four times the largest estimate."""
    ends = [abs(v) for row in rows for v in (row.low, row.high, row.margin) if v is not None]
    points = [abs(row.estimate) for row in rows if row.estimate is not None]
    far = min(max(ends, default=0.0), 4 * max(points, default=0.0) + unit.slack)
    # Where every estimate is 0 its intervals alone give the scale.
    return (max([far, *points, unit.min_reach]) or max(ends, default=0.0) or 1.0) * 1.1


def _colour(row: ForestRow) -> str:
    if row.direction is None or row.low is None or row.high is None or row.low <= 0 <= row.high:
        return UNSURE
    return BETTER if (row.low > 0) == (row.direction == "increase") else WORSE


def draw_forest(rows: Sequence[ForestRow], *, title: str, texts: ChartTexts = ENGLISH) -> str:
    """Return an SVG of the rows; an interval that leaves the picture ends in an arrow."""
    height = height_of(len(rows))
    scale = _Scale(_reach(rows))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-label="{escape(title)}">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="16" y="24" style="{STYLE}; font-weight: 600">{escape(title)}</text>',
        *(_tick(value, scale.x(value), height) for value in ticks(-scale.reach, scale.reach, about=4)),
        f'<text class="axis" x="{scale.x(0):.1f}" y="{height - 6}" text-anchor="middle" '
        f'style="{STYLE}; font-size: 11px">{escape(texts.relative)}</text>',
    ]
    for n, row in enumerate(rows):
        parts += _draw_row(row, scale, TOP + ROW * n + ROW / 2, texts)
    return "".join([*parts, "</svg>"])


def _tick(value: float, x: float, height: float) -> str:
    line = "#1d2733" if value == 0 else GRID
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{height - FOOT + 4}" stroke="{line}"/>'
        f'<text class="tick" x="{x:.1f}" y="{height - FOOT + 18}" text-anchor="middle" '
        f'style="{STYLE}; font-size: 11px">{signed_share(value)}</text>'
    )


def _draw_row(row: ForestRow, scale: _Scale, y: float, texts: ChartTexts) -> list[str]:
    return [
        f'<text x="{LEFT - 14}" y="{y + 4:.1f}" text-anchor="end" style="{STYLE}">'
        f"{escape(row.label)}</text>",
        f'<text x="{WIDTH - RIGHT + 12}" y="{y + 4:.1f}" style="{STYLE}; font-size: 12px">'
        f"{escape(row.effect)}</text>",
        *_draw_interval(row, scale, y, texts),
    ]


def _draw_interval(row: ForestRow, scale: _Scale, y: float, texts: ChartTexts) -> list[str]:
    colour = _colour(row)
    parts = []
    if row.margin is not None:
        at = scale.x(-row.margin if row.direction == "increase" else row.margin)
        parts.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{y - 11:.1f}" y2="{y + 11:.1f}" stroke="{WORSE}" '
            f'stroke-dasharray="3 3"><title>{escape(texts.margin)}</title></line>'
        )
    if row.estimate is None or row.low is None or row.high is None:
        return parts
    low, high, middle = scale.x(row.low), scale.x(row.high), scale.x(row.estimate)
    return [
        *parts,
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" '
        'stroke-width="2.5"/>',
        _end(low, y, colour, tip=4 if row.low < -scale.reach else 0),
        _end(high, y, colour, tip=-4 if row.high > scale.reach else 0),
        f'<circle cx="{middle:.1f}" cy="{y:.1f}" r="5" fill="{colour}">'
        f"<title>{escape(_words(row, texts, scale.unit))}</title></circle>",
    ]


def _words(row: ForestRow, texts: ChartTexts, unit: PlotUnit) -> str:
    if row.estimate is None or row.low is None or row.high is None:
        return row.effect
    estimate, low, high = map(unit.exact, (row.estimate, row.low, row.high))
    return texts.effect.format(estimate=estimate, low=low, high=high)


def _end(x: float, y: float, colour: str, *, tip: float) -> str:
    """Draw an end of an interval: a bar, or an arrow's head where it goes on beyond the picture."""
    back = f"{x + tip:.1f}"
    return (
        f'<path d="M{back} {y - 5:.1f}L{x:.1f} {y:.1f}L{back} {y + 5:.1f}" fill="none" '
        f'stroke="{colour}" stroke-width="1.5"/>'
    )


def draw_plots(
    rows: Sequence[ForestRow],
    texts: ChartTexts = ENGLISH,
    *,
    unit: PlotUnit = SHARES,
    title: str = "",
) -> tuple[list[str], str]:
    """Return a small picture for each row of a table, and the axis that they share.

    Args:
        rows: of the table, in their order.
        texts: the words.
        unit: in what the changes are.
        title: of the axis; empty: a relative change.
    """
    reach = _reach(rows, unit)
    scale = _Scale(reach, left=PLOT_EDGE, right=PLOT_WIDTH - PLOT_EDGE, unit=unit)
    values = ticks(-scale.reach, scale.reach, about=4)
    grid = "".join(
        f'<line class="{"zero" if value == 0 else "track"}" x1="{scale.x(value):.1f}" '
        f'x2="{scale.x(value):.1f}" y1="0" y2="{PLOT_HEIGHT}"/>'
        for value in values
    )
    plots = [
        f'<svg class="plot" viewBox="0 0 {PLOT_WIDTH} {PLOT_HEIGHT}" role="img" '
        f'aria-label="{escape(_words(row, texts, unit))}">{grid}'
        f"{''.join(_draw_interval(row, scale, PLOT_HEIGHT / 2, texts))}</svg>"
        for row in rows
    ]
    labels = "".join(
        f'<text class="tick" x="{scale.x(value):.1f}" y="14" text-anchor="middle">'
        f"{unit.tick(value)}</text>"
        for value in values
    )
    axis = (
        f'<svg class="plot" viewBox="0 0 {PLOT_WIDTH} 20" role="img" '
        f'aria-label="{escape(title or texts.relative)}">{labels}</svg>'
    )
    return [themed(plot) for plot in plots], axis


def stack(pictures: Sequence[tuple[str, int]], *, width: int = WIDTH) -> str:
    """Put pictures, each with its height, one below the other."""
    parts, y = [], 0
    for svg, height in pictures:
        parts.append(f'<svg y="{y}" width="{width}" height="{height}">{svg}</svg>')
        y += height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}" '
        f'height="{y}"><rect width="{width}" height="{y}" fill="white"/>{"".join(parts)}</svg>'
    )


def height_of(rows: int) -> int:
    """Return the height of a forest of so many rows."""
    return TOP + ROW * rows + FOOT


def themed(svg: str) -> str:
    """Return a picture for a page: its colours are the page's, light or dark."""
    for colour, name in (
        (BETTER, "var(--better)"),
        (WORSE, "var(--worse)"),
        (UNSURE, "var(--soft)"),
        (GRID, "var(--line)"),
        ("#1d2733", "var(--ink)"),
        ('fill="white"', 'fill="none"'),
    ):
        svg = svg.replace(colour, name)
    return svg.replace('<svg xmlns="http://www.w3.org/2000/svg"', '<svg class="forest"', 1)
