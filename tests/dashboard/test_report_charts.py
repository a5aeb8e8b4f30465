"""Charts of a report over time and by variant: what looks have stored, on axes of dates, with tables."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from openpyxl import load_workbook

from bakeoff.accounts.models import Project
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.reports.effect_chart import EffectPath, EffectPoint, TimeMark, draw_effect
from experiments.reports.experiment_report import report_on
from experiments.reports.time_axis import round_times
from tests.support import builders
from tests.support.builders import QUICK_POLICY, visits
from tests.support.dashboard import report_path, sign_in
from tests.support.dated_looks import run_days
from tests.support.mode_reports import MODE_REPORTS

LONG = QUICK_POLICY | {"planned_units": 10_000, "promote": False}


@pytest.fixture
def week(shop):
    """An experiment of five days, with 20 to 60 users a variant and day."""
    experiment = shop.run_experiment(**LONG)
    run_days(experiment, [20, 60, 40, 30, 50], clicks={"control": 1, "treatment": 2})
    return experiment


def texts(svg: str, kind: str) -> list[str]:
    return [one.text for one in ET.fromstring(svg).iter() if one.get("class") == kind]


def test_users_of_each_day_are_differences_between_looks(week):
    chart = report_on(week).charts.users
    assert [row[1:] for row in reversed(chart.rows)] == [
        (f"{count}", f"{count}") for count in (20, 60, 40, 30, 50)
    ]
    days = [datetime.fromisoformat(row[0]) for row in chart.rows]
    assert {one - two for one, two in pairwise(days)} == {timedelta(days=1)}
    assert chart.head == ("Day", "Control", "Treatment")
    bars = [one for one in ET.fromstring(chart.svg).iter() if one.tag.endswith("rect")]
    titles = [one[0].text for one in bars if len(one)]
    assert titles[0] == f"{chart.rows[-1][0]}: Control 20"
    assert len(titles) == 10


def test_the_metric_of_each_day_is_of_the_users_of_that_day(week):
    """Of 20 users every second clicks once more: 1.5 clicks a control, 2.5 a treatment, every day."""
    chart = report_on(week).charts.daily
    assert {row[1:] for row in chart.rows if "n = 20" in row[1]} == {("1.5 (n = 20)", "2.5 (n = 20)")}
    assert len(chart.rows) == 5


def test_programs_read_the_days_that_the_page_draws(week):
    """In the project's zone, as on the page: by JSON and in a sheet of the workbook."""
    Project.objects.filter(pk=week.project_id).update(timezone="Asia/Shanghai")
    client = sign_in(week.project)
    page, data, book = (
        client.get(report_path(week, tail)) for tail in ("", "report.json", "report.xlsx")
    )
    rows = data.json()["over_time"]
    counts = [(row["variant"], row["new_units"], row["analysed_units"], row["value"]) for row in rows]
    assert counts == [
        (key, count, count, pytest.approx(mean))
        for count in (20, 60, 40, 30, 50)
        for key, mean in (("control", 1.5), ("treatment", 2.5))
    ]
    assert {(row["step"], row["starts_at"][10:]) for row in rows} == {("day", "T00:00:00+08:00")}
    text = page.content.decode()
    assert all(f'<th scope="row">{row["starts_at"][:10]}</th>' in text for row in rows)
    head, *cells = load_workbook(io.BytesIO(book.content))["Over time"].iter_rows(values_only=True)
    assert head == ("starts at", "step", "variant", "new units", "analysed units", "value")
    assert cells == [tuple(row.values()) for row in rows]


def test_the_effect_stands_on_dates_with_its_bounds(week):
    (chart,) = report_on(week).charts.effects
    assert chart.head[0] == "Date"
    assert chart.head[2] == "Change in clicks per user"
    assert all(row[2] == "+67%" for row in chart.rows)
    dates = texts(chart.svg, "tick")
    assert any(re.fullmatch(r"\d{4}-\d\d-\d\d", one) for one in dates)
    assert any(one.endswith("%") for one in dates)
    assert texts(chart.svg, "axis") == ["Change in clicks per user", "Date (UTC)"]


def test_bars_start_at_zero_with_an_interval_of_their_own(week):
    chart = report_on(week).charts.rates
    (control, treatment) = chart.rows
    assert control[1:3] == ("200", "1.5")
    assert treatment[1:3] == ("200", "2.5")
    assert float(control[3]) < 1.5 < float(control[4])
    bars = [one for one in ET.fromstring(chart.svg).iter() if one.get("class") == "fill"]
    widths = [float(one.get("width")) for one in bars]
    assert widths[1] / widths[0] == pytest.approx(2.5 / 1.5, rel=0.01)


def test_a_report_takes_no_more_queries_with_more_looks(week):
    with CaptureQueriesContext(connection) as few:
        report_on(week)
    first = 1000
    for _ in range(3):
        units = {key: range(first, first + 10) for key in ("control", "treatment")}
        visits(week, {"control": 1, "treatment": 1}, units=units)
        look_at_experiment(experiment_id=week.pk)
        first += 10
    week.refresh_from_db()
    with CaptureQueriesContext(connection) as many:
        report_on(week)
    assert len(many) == len(few)


def test_a_report_before_its_first_look_draws_nothing(shop):
    charts = report_on(shop.run_experiment(**LONG)).charts
    assert (charts.effects, charts.users, charts.daily, charts.rates) == ((), None, None, None)


@pytest.mark.parametrize(
    "mode", ["interleave_prefers", "switchback_ship", "bandit_winner", "cluster_ship"]
)
def test_charts_of_a_mode_show_what_it_counts(mode, tables):
    experiment = MODE_REPORTS[mode](builders.make_shop())
    look_at_experiment(experiment_id=experiment.pk)
    experiment.refresh_from_db()
    charts = report_on(experiment).charts
    titles = {"cluster_ship": "New clusters", "switchback_ship": None}
    users = charts.users.title if charts.users is not None else None
    assert users == titles.get(mode, "New users")
    new = [row.new_units for row in charts.over_time]
    assert all(new) if mode != "switchback_ship" else new == [None, None]
    if mode == "interleave_prefers":  # one list of all versions: no variant has a metric of its own
        assert len(charts.users.head) == 2
        assert (charts.rates, charts.daily, list(charts.effects)) == (None, None, [])
    else:
        assert len(charts.effects) == 1
        assert len(charts.rates.rows) == 2


def test_an_interval_beyond_the_picture_ends_in_an_arrow():
    at = datetime(2026, 10, 5, tzinfo=UTC)
    points = [
        EffectPoint(at, 10, 0.1, -9.0, 9.0),
        EffectPoint(at + timedelta(days=9), 1000, 0.05, 0.02, 0.08),
    ]
    chart = draw_effect(
        EffectPath(points, is_share=True, title="Change"),
        title="Effect",
        start=at,
        end=at + timedelta(days=20),
        marks=[TimeMark(at + timedelta(days=20), "plan", "Expected end")],
    )
    assert chart.svg.count('class="beyond-axis"') == 2
    assert chart.rows[1][3:] == ("−900%", "+900%")  # the table has what the picture cuts
    assert "Expected end" in chart.svg
    assert chart.svg.count("<circle") == chart.narrow.count("<circle") == 2


def test_table_and_words_of_an_effect_are_in_the_zone_of_its_axis():
    at = datetime(2026, 10, 5, 22, 30, tzinfo=UTC)
    path = EffectPath([EffectPoint(at, 10, 0.1, 0.0, 0.2)], is_share=True, title="Change")
    with timezone.override("Asia/Shanghai"):
        chart = draw_effect(path, title="Effect", start=at, end=at + timedelta(days=1))
    assert chart.rows[0][0] == "2026-10-06 06:30"
    assert "2026-10-06 06:30: " in chart.svg
    assert texts(chart.svg, "axis")[1] == "Date (Asia/Shanghai)"


@pytest.mark.parametrize(
    ("span", "count", "times"),
    [
        (timedelta(days=9), 4, ["10-05 00:00", "10-09 00:00", "10-13 00:00"]),
        (timedelta(hours=5), 6, [f"10-05 {n:02}:00" for n in range(6)]),
        (timedelta(minutes=4), 6, [f"10-05 00:{n:02}" for n in range(5)]),
        (timedelta(seconds=20), 6, ["10-05 00:00", "10-05 00:00"]),
        (timedelta(days=2000), 3, ["10-05 00:00", "10-04 00:00", "10-02 00:00"]),
    ],
)
def test_dates_of_an_axis_are_round(span, count, times):
    start = datetime(2026, 10, 5, tzinfo=UTC)
    assert [f"{at:%m-%d %H:%M}" for at in round_times(start, start + span, count)] == times


def test_a_page_has_each_chart_twice_and_once_as_a_table(week):
    address = f"/experiments/{week.project.slug}/{week.key}/"
    page = sign_in(week.project).get(address, headers={"accept-language": "zh-hans"}).content.decode()
    for name in ("effect", "rates", "users", "daily"):
        figure = re.search(rf'<figure data-chart="{name}">.*?</figure>', page, re.DOTALL)[0]
        assert figure.count("<svg") == 2
        assert "<summary>以表格显示</summary>" in figure
    assert "日期（UTC）" in page
