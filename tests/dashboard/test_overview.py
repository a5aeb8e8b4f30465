"""The first page: figures of a project, what waits, and its experiments over time."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from experiments.reports.experiment_timeline import read_timeline
from tests.support.builders import make_shop
from tests.support.dashboard import sign_in
from tests.support.held_ramp import hold_a_ramp


def read_home(project, language="en"):
    return sign_in(project).get("/", headers={"accept-language": language}).content.decode()


def figures(page):
    block = re.search(r'<dl class="kpis">.*?</dl>', page, re.DOTALL)[0]
    titles = re.findall(r"<dt>(.*?)</dt>", block)
    return dict(zip(titles, re.findall(r"<strong>(.*?)</strong>", block), strict=True))


def test_figures_count_tests_and_their_ends(shop, lane):
    hold_a_ramp(shop)
    page = read_home(shop.project)
    assert figures(page) == {
        "Experiments running": "1",
        "Decided in 91 days": "2",
        "Win rate, 12 months": "50.0%",
        "Impact of all promotions": "–",  # no test measured one
    }
    assert "1 of 2 shipped" in page
    assert page.index("Experiments by surface") > page.index("Running experiments")
    assert "胜率" in read_home(shop.project, "zh-hans")


def test_the_timeline_draws_a_lane_each_and_says_the_same_in_a_table(shop, lane):
    hold_a_ramp(shop)
    page = read_home(shop.project)
    figure = re.search(r'<figure class="card wide">.*?</figure>', page, re.DOTALL)[0]
    svg = ET.fromstring(figure[figure.index("<svg") : figure.index("</svg>") + 6])
    assert [one.text for one in svg.findall("*[@class='group']")] == ["home-feed"]
    names = [one.text for one in svg.findall("*[@class='name']")]
    assert len(names) == 3
    results = [one.text for one in svg.iter("text") if "result" in one.get("class", "")]
    assert results == ["Ship", "Roll back"]
    rows = re.findall(r"<tr><td><a[^>]*>(.*?)</a></td>", figure)
    assert rows == names


def test_a_project_without_experiments_has_no_timeline_and_says_what_to_do(lane):
    page = read_home(make_shop().project)
    assert "No experiments yet. To get your first verdict:" in page
    assert "Experiments by surface" not in page


def test_queries_of_the_timeline_do_not_grow_with_the_tests(shop, lane):
    def count(*shops) -> int:
        with CaptureQueriesContext(connection) as queries:
            rows = read_timeline([one.project for one in shops], timezone.now())
        assert len(rows) == 2 + len(shops)
        return len(queries)

    hold_a_ramp(shop)
    others = [make_shop() for _ in range(3)]
    for other in others:
        other.run_experiment()
    assert count(shop) == count(shop, *others)
