"""The first page: figures of a project, what waits, and its experiments over time."""

from __future__ import annotations

import re
from datetime import timedelta
from xml.etree import ElementTree as ET

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from experiments.ingest.rows import Rows
from experiments.reports import traffic
from experiments.reports.experiment_timeline import read_timeline
from tests.support import builders
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
        "Users this week": "0",
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
    assert [one.text for one in svg.findall(".//*[@class='group']")] == ["home-feed"]
    names = [one.text for one in svg.findall(".//*[@class='name']")]
    assert len(names) == 3
    results = [one.text for one in svg.iter("text") if "result" in one.get("class", "")]
    assert results == ["Ship", "Roll back"]
    rows = re.findall(r"<tr><td><a[^>]*>(.*?)</a></td>", figure)
    assert rows == names


def test_users_of_the_week_and_answers_of_the_day_are_those_of_this_project(shop, lane):
    other = make_shop()
    for days, users in ((0, 6), (3, 3), (9, 4), (20, 5)):
        at = (builders.now() - timedelta(days=days, minutes=1)).isoformat()
        slates = [
            builders.slate(shop, f"u{days}-{n}", served_at=at, latency_ms=10.0 + n)
            for n in range(users)
            for _visit in range(2)
        ]
        builders.write(Rows(slates=[*slates, builders.slate(other, "elsewhere", served_at=at)]))
    page = read_home(shop.project)
    assert figures(page)["Users this week"] == "9"
    assert "+125% on last week" in page
    hour = r"\d\d:\d\d"
    assert re.search(rf"<p data-as-of><time [^>]*>as of {hour}</time></p>", page)
    assert re.search(rf"Answers, last 24 hours, as of {hour}", page)
    assert page.count("data-traffic=") == 1
    row = re.search(r'<div data-traffic="home-feed">.*?</div>', page)[0]
    assert "12 answers, p95 15.0 ms" in row
    assert 'aria-label="Users per day in the last 14 days, at most 6"' in page
    builders.make_slate(shop, "later")
    assert figures(read_home(shop.project))["Users this week"] == "9"  # some minutes old


def test_a_project_whose_slates_take_too_long_to_count_goes_without(shop, lane, monkeypatch):
    monkeypatch.setattr(traffic, "_USERS", "SELECT pg_sleep(2)")
    monkeypatch.setattr(traffic, "MAX_MILLISECONDS", 50)
    assert figures(read_home(shop.project))["Users this week"] == "–"


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
