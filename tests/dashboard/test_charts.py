"""Charts of the report: axes with round values and titles, and ends that lie beyond the picture."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from experiments.actions.look_at_experiment import look_at_experiment
from experiments.reports.forest_chart import ForestRow, draw_forest
from experiments.reports.path_chart import PathPoint, draw_path
from experiments.reports.value_axis import ticks
from tests.support.builders import QUICK_POLICY, visits
from tests.support.dashboard import sign_in


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        (0, 400, [0, 100, 200, 300, 400]),
        (-0.31, 0.94, [-0.25, 0, 0.25, 0.5, 0.75]),
        (-1e-4, 1e-4, [-1e-4, -5e-5, 0, 5e-5, 1e-4]),
        (0, 3, [0, 1, 2, 3]),
    ],
)
def test_values_of_an_axis_are_round(low, high, values):
    assert ticks(low, high) == pytest.approx(values)


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (float("nan"), 1), (0, float("inf"))])
def test_an_axis_needs_ends_in_order(low, high):
    with pytest.raises(ValueError, match="both must be finite, and low < high"):
        ticks(low, high)


def texts(svg: str) -> list[str]:
    return [one.text for one in ET.fromstring(svg).iter() if one.tag.endswith("text")]


def test_a_report_has_axes_with_titles_in_the_readers_language(shop, lane):
    experiment = shop.run_experiment(**QUICK_POLICY)
    visits(experiment, {"control": 1, "treatment": 2})
    look_at_experiment(experiment_id=experiment.pk)
    address = f"/experiments/{shop.project.slug}/{experiment.key}/"
    person = sign_in(shop.project)
    for language, titles in (
        ("en", ("Change in clicks per user", "Date (UTC)", "Relative change against control")),
        ("zh-hans", ("每用户 clicks 的变化", "日期（UTC）", "相对对照组的变化")),
    ):
        page = person.get(address, headers={"accept-language": language}).content.decode()
        path = re.search(r'<svg class="path".*?</svg>', page, re.DOTALL)[0]
        assert {*titles[:2], "0%", "+20%"} <= set(texts(path))
        plot, axis = re.findall(r'<svg class="plot".*?</svg>', page, re.DOTALL)
        assert ET.fromstring(axis).get("aria-label") == titles[2]
        assert texts(axis) == ["−50%", "0%", "+50%"]
        assert "+66.67%" in ET.fromstring(plot).get("aria-label")


def test_an_end_beyond_the_picture_is_an_arrow():
    path = draw_path(
        [PathPoint(10, 1.0, -90.0, 95.0), PathPoint(100, 1.0, 0.5, 1.5)], planned_units=100, label="x"
    )
    assert path.count('class="beyond-axis"') == 2
    rows = [ForestRow("wide", 0.02, -9.0, 9.0, ""), ForestRow("near", 0.02, -0.01, 0.05, "")]
    bars = re.findall(r'<path d="M([\d.]+) [\d.]+L([\d.]+)', draw_forest(rows, title="x"))
    assert [float(back) - float(tip) for back, tip in bars] == [4, -4, 0, 0]
