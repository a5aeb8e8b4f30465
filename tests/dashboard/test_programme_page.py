"""The programme page: tests by month and result, the promotions that may be false, the calendar."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from experiments.actions.define_experiment import define_experiment
from experiments.actions.start_experiment import start_experiment
from experiments.actions.stop_experiment import ship_experiment
from experiments.models import Decision, Experiment, Look
from experiments.reports.programme_charts import draw_months
from experiments.reports.programme_report import (
    MAX_ROWS,
    RESULTS,
    FalsePromotions,
    read_programme_report,
)
from experiments.reports.project_figures import figures_of
from experiments.stats.look_result import LookResult
from experiments.stats.srm import SampleRatio
from tests.support import builders
from tests.support.dashboard import sign_in
from tests.support.page_charts import read_charts

EVEN = SampleRatio(p_value=1.0, expected={}, observed={}, leaks={}, healthy=True)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def make_test(
    shop, key: str, *, start: datetime, end: datetime | None = None, action="", verdict="", **fields
):
    """A test of the project as its row stands when it runs, or has ended with a decision.

    Args:
        verdict: the variant that its last look said to ship; empty: no look did.
    """
    experiment = define_experiment(builders.draft(shop, shop.surface, key))
    state = "running" if end is None else "ended"
    fields = {"state": state, "started_at": start, "ended_at": end, "name": key} | fields
    Experiment.objects.filter(pk=experiment.pk).update(**fields)
    if action:
        Decision.objects.create(
            project=shop.project, surface=shop.surface, experiment=experiment, action=action,
            reason="a test", created_by="a test", created_at=end, sha256=f"{experiment.pk:064}",
        )  # fmt: skip
    if verdict:
        Look.objects.create(
            experiment=experiment, number=1, taken_at=end, batch=1, information=1.0, inputs={},
            result=LookResult(
                action="ship", variant=verdict, reason="better", information=1.0, sample_ratio=EVEN,
                comparisons=[],
            ).as_json(), action="ship", reason="better",
        )  # fmt: skip
    experiment.refresh_from_db()
    return experiment


@pytest.fixture
def programme(shop):
    """Five tests that ended in three months, and one that runs."""
    day, won = timedelta(days=1), {"action": "ship", "shipped_variant": "treatment"}
    won["verdict"] = "treatment"
    october, september = datetime(2026, 10, 10, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC)
    level = {"policy": {"alpha": 0.1}}
    make_test(shop, "won", start=october, end=october + 5 * day, **won, **level)
    make_test(shop, "lost", start=october, end=october + 6 * day, action="roll_back", **level)
    make_test(
        shop, "even", start=september, end=september + 9 * day, action="stop_inconclusive", **level
    )
    make_test(shop, "won-too", start=NOW - 9 * day, end=NOW - 2 * day, policy={}, **won)
    make_test(shop, "arms", start=NOW - 9 * day, end=NOW - 3 * day, mode="bandit")
    make_test(shop, "runs", start=datetime(2026, 10, 20, tzinfo=UTC))
    return shop


def months_of(report):
    return {f"{one.month:%Y-%m}": dict(one.ended) for one in report.months if one.total}


def test_tests_are_counted_by_month_and_result(programme):
    report = read_programme_report(programme.project, NOW)
    assert months_of(report) == {
        "2026-09": {"stop_inconclusive": 1},
        "2026-10": {"ship": 1, "roll_back": 1},
        "2026-11": {"ship": 1, "ended": 1},
    }
    assert len(report.months) == 12
    assert (f"{report.months[0].month:%Y-%m}", report.ended, report.shipped) == ("2025-12", 5, 2)
    assert report.win_rate == pytest.approx(0.4)


def test_false_promotions_are_the_sum_of_alpha(programme):
    """Three tests at 0.1 and one at the default, 0.05; a bandit has no such level."""
    false = read_programme_report(programme.project, NOW).false
    assert false == FalsePromotions(tests=4, expected=pytest.approx(0.35), without_level=1)


def test_an_expectation_before_the_tests_is_not_cut_at_what_happened(shop):
    day = timedelta(days=1)
    for n in range(3):
        make_test(shop, f"even-{n}", start=NOW - 9 * day, end=NOW - day, action="stop_inconclusive")
    false = read_programme_report(shop.project, NOW).false
    assert false == FalsePromotions(tests=3, expected=pytest.approx(0.15))


@pytest.fixture
def by_hand(shop):
    """Four tests: of a rule that bets, two shipped by a person, one of them against what a look said,
    and one shipped by its look."""
    times = {"start": NOW - timedelta(days=9), "end": NOW - timedelta(days=1)}
    won = times | {"action": "ship", "shipped_variant": "treatment"}
    make_test(shop, "bet", verdict="treatment", policy={"ship_when": "valuable"}, **won)
    make_test(shop, "liked", **won)
    make_test(shop, "other", verdict="another", **won)
    make_test(shop, "proven", verdict="treatment", **won)
    return shop


def test_what_no_level_bounds_is_left_out_of_the_sum(by_hand):
    report = read_programme_report(by_hand.project, NOW)
    assert report.false == FalsePromotions(
        tests=1, expected=pytest.approx(0.05), by_chance=1, by_hand=2
    )
    assert (report.false.left_out, report.shipped) == (3, 4)


def test_to_ship_the_control_is_no_win(shop):
    """By the action itself: a person stays with what is there."""
    experiment = define_experiment(builders.draft(shop, shop.surface, "stay"))
    start_experiment(experiment=experiment, by="a test")
    control = experiment.control
    ship_experiment(experiment=experiment, variant=control.key, by="a test")
    now = builders.now() + timedelta(seconds=1)
    report = read_programme_report(shop.project, now)
    assert (report.ended, report.shipped) == (1, 0)
    assert [row.action for row in report.calendar.rows] == ["stop_inconclusive"]
    assert report.false == FalsePromotions(tests=1, expected=pytest.approx(0.05))
    figures = figures_of(shop.project, now)
    assert (figures.tested, figures.shipped, figures.decided) == (1, 0, ["stop_inconclusive"])


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["False promotions, expected before the tests", "if no challenger were better",
                "Tests in the sum: 1.", "Tests that are not in the sum:",
                "1 whose rule also ships what is more likely better than not.",
                "2 shipped by a person without the verdict."]),
        ("zh-hans", ["测试之前预期的错误推广", "未计入的测试：", "2 次由人在没有结论的情况下推广。"]),
    ],
)  # fmt: skip
def test_the_page_says_what_is_left_out_and_why(by_hand, monkeypatch, language, words):
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    address = reverse("programme", args=[by_hand.project.slug])
    page = sign_in(by_hand.project).get(address, headers={"accept-language": language})
    text = page.content.decode()
    assert [one for one in words if one not in text] == []
    assert 'data-left-out="3"' in text
    assert "without such a level" not in text


def test_the_calendar_has_what_ran_in_a_month(programme):
    october = read_programme_report(programme.project, NOW, "2026-10").calendar
    assert [(row.experiment.key, row.action) for row in october.rows] == [
        ("won", "ship"), ("lost", "roll_back"), ("runs", ""),
    ]  # fmt: skip
    assert (october.before, october.after) == ("2026-09", "2026-11")
    now = read_programme_report(programme.project, NOW).calendar
    assert {row.experiment.key for row in now.rows} == {"runs", "won-too", "arms"}
    assert (f"{now.month:%Y-%m}", now.after) == ("2026-11", "")
    assert read_programme_report(programme.project, NOW, "2026-08").calendar.rows == []


@pytest.mark.parametrize(
    "month", ["", "2026-13", "0001-01", "9999-01", "november", "2026-11-20", "2026-1"]
)
def test_a_month_that_makes_no_sense_is_the_present_one(programme, month):
    report = read_programme_report(programme.project, NOW, month)
    assert f"{report.calendar.month:%Y-%m}" == "2026-11"


def test_months_are_those_of_the_projects_time_zone(shop):
    shop.project.timezone = "Asia/Shanghai"
    shop.project.save(update_fields=["timezone"])
    end = datetime(2026, 10, 31, 20, tzinfo=UTC)  # four in the morning of November there
    make_test(shop, "late", start=end - timedelta(hours=2), end=end, action="ship")
    report = read_programme_report(shop.project, NOW)
    assert months_of(report) == {"2026-11": {"ship": 1}}
    assert [row.experiment.key for row in report.calendar.rows] == ["late"]
    assert read_programme_report(shop.project, NOW, "2026-10").calendar.rows == []


def test_queries_do_not_grow_with_tests(shop):
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            read_programme_report(shop.project, NOW)
        return len(queries)

    day, counts = timedelta(days=1), []
    for size in (2, MAX_ROWS + 3):
        have = shop.project.experiments.count()
        for n in range(have, size):
            make_test(shop, f"t{n}", start=NOW - 5 * day, end=NOW - day, action="ship")
        counts.append(count())
    assert counts[0] == counts[1]
    calendar = read_programme_report(shop.project, NOW).calendar
    assert (len(calendar.rows), calendar.is_cut) == (MAX_ROWS, True)


def test_the_bars_add_up_and_each_result_has_a_column(programme):
    report = read_programme_report(programme.project, NOW)
    chart = draw_months(report.months, zone="UTC")
    assert chart is not None
    bars = re.findall(r'<rect class="(\w+)"[^>]*><title>([^<]+)</title>', chart.svg)
    assert {action for action, _words in bars} == {"ship", "roll_back", "stop_inconclusive", "ended"}
    assert ("ship", "2026-10: Shipped 1") in bars
    assert chart.head == ("Month", "Shipped", "No winner", "Rolled back", "No decision", "All")
    assert chart.rows[0] == ("2026-11", "1", "0", "0", "1", "2")
    assert draw_months([], zone="UTC") is None


def test_the_page_shows_both_pictures_with_tables(shop):
    day, now = timedelta(days=1), builders.now()
    won = {"action": "ship", "shipped_variant": "treatment", "verdict": "treatment"}
    make_test(shop, "won", start=now - 2 * day, end=now, **won)
    make_test(shop, "runs", start=now - day)
    stranger = builders.make_shop()
    make_test(stranger, "theirs", start=now - day)
    client = sign_in(shop.project)
    address = reverse("programme", args=[shop.project.slug])
    page = client.get(address).content.decode()
    labels, faults = read_charts(page)
    assert faults == []
    assert "Tests that ended by month" in labels
    assert 'data-test="runs" data-result="running"' in page
    assert 'data-false="0.0500"' in page
    assert "theirs" not in page
    assert sign_in(stranger.project).get(address).status_code == 404
    impact = client.get(reverse("impact", args=[shop.project.slug])).content.decode()
    assert address in impact


def test_a_project_without_tests_says_so(shop):
    page = sign_in(shop.project).get(reverse("programme", args=[shop.project.slug])).content.decode()
    assert "No test ended in the last twelve months." in page
    assert "No test ran in this month." in page
    assert len(RESULTS) == 6
