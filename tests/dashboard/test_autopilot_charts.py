"""Pictures of the autopilot's page: why a ramp is held, and challengers over time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest
from django.urls import reverse

from experiments.reports.held_suggestion import HeldEvidence, suggest
from experiments.reports.lanes_chart import Lane, LaneBar, draw_lanes
from experiments.reports.time_axis import TimeAxis
from tests.support import builders
from tests.support.dashboard import sign_in
from tests.support.held_ramp import hold_a_ramp
from tests.support.html import has

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def read(shop, language="en"):
    address = reverse("autopilot", args=[shop.project.slug, shop.surface.key])
    return sign_in(shop.project).get(address, headers={"accept-language": language}).content.decode()


def figure(page, name):
    return re.search(rf'<figure id="{name}">.*?</figure>', page, re.DOTALL)[0]


def test_a_guardrail_that_holds_the_ramp_is_drawn_beside_its_margin(shop, lane):
    hold_a_ramp(shop)
    page = read(shop)
    assert has(page, data_autopilot="held")
    held = figure(page, "held")
    assert "Why it is held: Orders" in held
    assert "Change against control, 95% CI, valid at any time: −3.5% (−6.7% – −0.3%)" in held
    svg = ET.fromstring(held[held.index("<svg") : held.index("</div>")])
    assert len(svg.findall("circle")) == 12
    plain = [one.text for one in svg.findall("text") if one.get("class") is None]
    assert plain[:2] == ["1%", "10%"]
    beyond, zero = (svg.find(f"*[@class='{name}']") for name in ("beyond", "zero"))
    assert float(beyond.get("y")) > float(zero.get("y1"))  # fewer orders are worse: below
    narrow = ET.fromstring(held[held.rindex("<svg") : held.rindex("</div>")])
    assert narrow.get("viewBox").startswith("0 0 340 ")
    ends = [float(one.get("x")) for one in narrow.findall("text")]
    assert max(ends) <= 340
    # Four months more would be needed, and the estimate is beyond the margin.
    assert '<p id="suggested"><strong>Suggested:</strong> roll back. The estimate' in page
    chinese = figure(read(shop, "zh-hans"), "held")
    assert "暂停原因：Orders" in chinese


def test_a_lane_shows_steps_and_how_the_test_ended(shop, lane):
    hold_a_ramp(shop)
    lanes = figure(read(shop), "lanes")
    svg = ET.fromstring(lanes[lanes.index("<svg") : lanes.index("</div>")])
    names = [one.text for one in svg.findall("*[@class='name']")]
    assert names == ["ease@1", "als@2", "als@1"]
    ends = [one.get("class") for one in svg.findall("path")]
    assert ends == ["end roll_back", "end ship"]
    steps = [float(one.get("height")) for one in svg.findall("*[@class='ramp']")]
    assert steps[0] < steps[2] == steps[3]  # 1 % and 10 % of the held one, half of the others
    titles = [one.find("title").text for one in svg.findall("*[@class='ramp']")]
    assert titles[0].startswith("Ramp 1%: ")


def test_nothing_is_drawn_where_nobody_has_met_traffic(shop, lane):
    builders.set_programme(shop)
    page = read(shop)
    assert 'id="lanes"' not in page
    assert 'id="held"' not in page


@pytest.mark.parametrize(
    ("loss", "half_width", "words"),
    [
        (0.01, 0.04, "stay at 20%. By about December 6 the interval"),  # (4/2)² of three days
        (0.04, 0.015, "stay at 20%. By about December 1 the"),
        (0.04, 0.09, "roll back. The estimate is beyond the margin"),
        (0.0299, 0.04, "stay at 20%. The estimate is too close to the margin"),
        (0.03, 0.04, "stay at 20%. The estimate is too close to the margin"),
        (0.0301, 0.04, "roll back."),
    ],
)
def test_what_is_suggested_while_a_guardrail_holds_the_ramp(loss, half_width, words):
    evidence = HeldEvidence(
        since=NOON - timedelta(days=3), at=NOON, loss=loss, half_width=half_width, margin=0.03, share=0.2
    )  # fmt: skip
    assert suggest(evidence, NOON + timedelta(days=1)).startswith(words)


def test_bars_lie_within_the_picture_and_short_ones_are_seen():
    start = NOON - timedelta(days=30)
    bars = (
        LaneBar("shadow", start, start + timedelta(seconds=1)),
        LaneBar("ramp", NOON - timedelta(seconds=2), NOON, 0.01),
        LaneBar("holdback", NOON - timedelta(days=1), NOON + timedelta(days=1)),
    )
    svg = ET.fromstring(draw_lanes([Lane("<a & b>@1", bars)], NOON))
    for bar in svg.findall("rect"):
        x, width = float(bar.get("x")), float(bar.get("width"))
        assert width >= 2
        assert 170 <= x <= x + width <= 704.1
    assert svg.find("*[@class='name']").text == "<a & b>@1"
    assert draw_lanes([], NOON) == ""


@pytest.mark.parametrize(("days", "label"), [(1, "12:00"), (30, "2026-11-27")])
def test_an_axis_has_times_of_a_day_or_dates(days, label):
    axis = TimeAxis(NOON - timedelta(days=days), NOON, 0.0, 100.0)
    assert axis.x(NOON - timedelta(days=days / 2)) == pytest.approx(50)
    assert axis.x(NOON + timedelta(days=9)) == 100
    assert f">{label}</text>" in axis.labels(10)
    assert TimeAxis(NOON, NOON, 0.0, 100.0).x(NOON) == 0
