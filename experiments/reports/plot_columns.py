"""Tables with a column of plots on one axis: segments, themes, and the gate of a version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from django.utils.translation import gettext as _

from experiments.reports.chart_texts import translated
from experiments.reports.forest_chart import NUMBERS, SHARES, ForestRow, PlotUnit, draw_plots

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from experiments.kinds import Direction
    from experiments.reports.variant_themes import VariantTheme
    from experiments.stats.segments import SegmentEffect

ALPHA = 0.05
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class PlotColumn(Generic[Row]):
    """A table's rows, each with its picture.

    Attributes:
        rows: each row and its SVG; empty for one without an interval.
        axis: the SVG of the axis that they share.
        has_plots: whether there is anything to draw.
    """

    rows: Sequence[tuple[Row, str]]
    axis: str
    has_plots: bool


def plot_column(
    rows: Sequence[Row], drawn: Callable[[Row], ForestRow], *, unit: PlotUnit = SHARES, title: str = ""
) -> PlotColumn[Row]:
    """Return a table's rows with their pictures.

    Args:
        rows: of the table.
        drawn: how a row is drawn.
        unit: in what the changes are.
        title: of the axis; empty: a relative change.
    """
    pictures = [drawn(row) for row in rows]
    plots, axis = draw_plots(pictures, translated(), unit=unit, title=title) if pictures else ([], "")
    # Without an interval there is nothing to see, and nothing to read out.
    plots = [
        "" if one.low is None or one.high is None else plot
        for one, plot in zip(pictures, plots, strict=True)
    ]
    return PlotColumn(list(zip(rows, plots, strict=True)), axis, any(plots))


def segment_column(rows: Sequence[SegmentEffect], direction: Direction) -> PlotColumn[SegmentEffect]:
    """Return effects by segment; one has a colour where its corrected p-value, too, says so."""

    def drawn(row: SegmentEffect) -> ForestRow:
        low, high = row.interval or (None, None)
        is_shown = row.adjusted_p_value is not None and row.adjusted_p_value <= ALPHA
        return ForestRow(
            label="", estimate=row.estimate, low=low, high=high, effect=row.why_not,
            direction=direction if is_shown else None,
        )  # fmt: skip

    return plot_column(rows, drawn, unit=NUMBERS, title=_("Difference from control"))


def theme_column(rows: Sequence[VariantTheme]) -> PlotColumn[VariantTheme]:
    """Return what users write about; that more or fewer do so is neither good nor bad."""

    def drawn(row: VariantTheme) -> ForestRow:
        low, high = row.interval or (None, None)
        return ForestRow("", row.difference, low, high, "", direction=None)

    return plot_column(rows, drawn, title=_("Difference, percentage points"))
