"""What charts share: a picture with the table of its numbers, axes with titles and units, a legend."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from experiments.reports.value_axis import ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# Of a page, of half a page, and of a phone: a scaled picture would have letters of 6 pixels.
WIDTH, HALF, NARROW = 720, 440, 340
MAX_COLOURS = 5  # of variants in `page.css`; more are told apart by their names alone
LEGEND_LETTER, WIDE_LETTER = 7.0, 13.0  # width of a letter, and of a Chinese one, rounded up
# From here on letters are as wide as tall: Chinese, Japanese, Korean.
FIRST_WIDE = "\u2e80"


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture and the same numbers as a table.

    Attributes:
        name: by which tests and styles find it.
        title: what it shows.
        svg: the picture.
        head: names of the table's columns.
        rows: of the table, as they are written.
        narrow: the picture for a phone; empty: the wide one scrolls.
        caption: how to read it.
    """

    name: str
    title: str
    svg: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    narrow: str = ""
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """The place of a chart's values.

    Attributes:
        width, height: of the picture.
        low, high: ends of the values; one beyond is drawn at the edge.
        left, right, top, bottom: width of the margins.
    """

    width: int
    low: float
    high: float
    height: int = 270
    left: int = 64
    right: int = 16
    top: int = 44
    bottom: int = 48

    @property
    def floor(self) -> int:
        """Where the values end below."""
        return self.height - self.bottom

    def y(self, value: float) -> float:
        """Return the place of a value."""
        value = min(max(value, self.low), self.high)
        return self.top + (self.floor - self.top) * (self.high - value) / (self.high - self.low)

    def draw(self, label: str, *parts: str) -> str:
        """Return the picture of some parts; a phone gets its own where it is narrow."""
        return (
            f'<svg class="path" viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
        )

    def value_axis(self, write: Callable[[float], str]) -> str:
        """Return a line of the grid and a label at each round value."""
        edge = self.width - self.right
        return "".join(
            f'<line class="track" x1="{self.left}" x2="{edge}" y1="{self.y(one):.1f}" '
            f'y2="{self.y(one):.1f}"/>'
            f'<text class="tick" x="{self.left - 8}" y="{self.y(one) + 4:.1f}" text-anchor="end">'
            f"{escape(write(one))}</text>"
            for one in ticks(self.low, self.high, about=4)
        )

    def titles(self, value: str, below: str) -> str:
        """Return the titles of both axes."""
        return axis_titles(
            value, below, middle=(self.left + self.width - self.right) / 2, y=self.height
        )


def axis_titles(value: str, below: str, *, middle: float, y: float) -> str:
    """Return the title of the values at the top left, if any, and of what lies below, above `y`."""
    above = f'<text class="axis" x="0" y="12">{escape(value)}</text>' if value else ""
    foot = (
        f'<text class="axis" x="{middle:.1f}" y="{y - 8:g}" text-anchor="middle">{escape(below)}</text>'
    )
    return above + foot


def date_title(zone: str = "UTC") -> str:
    """Return the title of an axis of dates."""
    return _("Date (%(zone)s)") % {"zone": zone}


def draw_legend(names: Sequence[str], *, left: float, y: float, right: float) -> str:
    """Return a mark and a name for each variant, in a row; what has no place is left out."""
    return "".join(
        f'<g class="{colour_of(n)}">{draw_mark(n, x + 5, y - 4)}</g>'
        f'<text x="{x + 14:.1f}" y="{y}">{escape(name)}</text>'
        for n, (name, x) in enumerate(legend_places(names, left=left, right=right))
    )


def legend_places(names: Sequence[str], *, left: float, right: float) -> Iterator[tuple[str, float]]:
    """Yield the names that have a place in a row, each with where its mark begins."""
    x = left
    for name in names:
        width = 16 + sum(WIDE_LETTER if one >= FIRST_WIDE else LEGEND_LETTER for one in name)
        if x + width > right:
            return
        yield name, x
        x += width + 14


def colour_of(place: int) -> str:
    """Return the class of a variant's colour: the same in every chart; the control comes first."""
    return f"v{min(place, MAX_COLOURS - 1)}"


def draw_mark(place: int, x: float, y: float, *, title: str = "") -> str:
    """Return a square of the control, a dot of any other variant: they differ without colours too."""
    words = f"<title>{escape(title)}</title>" if title else ""
    if place == 0:
        return f'<rect class="fill" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8">{words}</rect>'
    return f'<circle class="fill" cx="{x:.1f}" cy="{y:.1f}" r="4">{words}</circle>'


def draw_arrow(x: float, y: float, *, up: bool) -> str:
    """Return where an interval goes on beyond the picture."""
    shape = "M-4 5L0 0L4 5" if up else "M-4 -5L0 0L4 -5"
    return f'<path class="beyond-axis" transform="translate({x:.1f} {y:.1f})" d="{shape}"/>'
