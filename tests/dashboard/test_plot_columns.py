"""Tables whose rows are drawn on one axis: segments, themes, and the gate of a version."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from bakeoff.dashboard.run_page import GateRow
from experiments.reports.plot_columns import plot_column, segment_column, theme_column
from experiments.reports.variant_themes import VariantTheme
from experiments.stats.segments import SegmentEffect


def ticks_of(svg: str) -> list[str]:
    return [one.text for one in ET.fromstring(svg).iter() if one.get("class") == "tick"]


def colours_of(svg: str) -> set[str]:
    return set(re.findall(r'<circle [^>]*fill="var\(--(\w+)\)"', svg))


def test_segments_share_an_axis_in_the_metrics_unit_and_chance_findings_have_no_colour():
    rows = [
        SegmentEffect("country=DE", "treatment", 900, 2.0, 2.4, 0.4, 0.2, (0.2, 0.6), 0.001),
        SegmentEffect("country=FR", "treatment", 900, 2.0, 2.3, 0.3, 0.15, (0.1, 0.5), 0.2),
        SegmentEffect("country=LI", "treatment", why_not="fewer than 20 users"),
    ]
    column = segment_column(rows, "increase")
    assert [row for row, _plot in column.rows] == rows
    sure, unsure, hidden = (plot for _row, plot in column.rows)
    assert (colours_of(sure), colours_of(unsure), hidden) == ({"better"}, {"soft"}, "")
    assert colours_of(segment_column(rows, "decrease").rows[0][1]) == {"worse"}
    assert 'aria-label="+0.4 (+0.2 to +0.6)"' in sure
    assert ticks_of(column.axis) == ["−0.5", "0", "+0.5"]
    assert ET.fromstring(column.axis).get("aria-label") == "Difference from control"
    assert not segment_column(rows[2:], "increase").has_plots
    assert not segment_column([], "increase").has_plots


def test_an_effect_of_nothing_has_an_axis_as_long_as_its_interval():
    row = SegmentEffect("country=DE", "treatment", 900, 2.0, 2.0, 0.0, 0.0, (-0.002, 0.002), 1.0)
    assert ticks_of(segment_column([row], "increase").axis) == ["−0.002", "0", "+0.002"]


def test_that_more_users_write_about_something_is_neither_good_nor_bad():
    row = VariantTheme(1, "slow delivery", "treatment", 10, 40, 0.05, 0.2, 0.15, (0.09, 0.21), 0.001)
    ((_row, plot),) = theme_column([row]).rows
    assert colours_of(plot) == {"soft"}
    assert 'aria-label="+15.00% (+9.00% to +21.00%)"' in plot


def test_the_gates_metrics_share_an_axis_relative_to_the_rival():
    rows = [
        GateRow("ndcg", 0.11, 0.1, 0.01, (0.005, 0.015)),
        GateRow("decision_cost", 1.5, 1.0, 0.5, (0.4, 0.6)),
        GateRow("abstained", 0.1, 0.2, -0.1, (-0.15, -0.05)),
        GateRow("coverage", 0.9, 0.8, None, None),
        GateRow("reward", 0.2, 0.0, 0.2, (0.1, 0.3)),
    ]
    plots = [plot for _row, plot in plot_column(rows, GateRow.drawn).rows]
    assert [colours_of(plot) for plot in plots] == [{"better"}, {"worse"}, {"better"}, set(), set()]
    assert 'aria-label="+10.00% (+5.00% to +15.00%)"' in plots[0]
    assert plots[3:] == ["", ""]
