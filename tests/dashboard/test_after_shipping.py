"""A shipped experiment's report: what the change brings in a year, and whether its gain lasts."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from experiments.actions.change_programme import change_programme
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.models import Epoch, Experiment, Metric
from experiments.reports.experiment_report import report_on
from experiments.reports.yearly_impact import write_rounded
from tests.support.builders import QUICK_POLICY, visits
from tests.support.dashboard import sign_in
from tests.support.dated_looks import run_days
from tests.support.html import has
from tests.support.mode_reports import age

CLICKS = {"control": 1, "treatment": 2}


def ship(shop, *, step=timedelta(days=7), clicks=CLICKS, **policy) -> Experiment:
    """Return a test of three steps whose treatment won."""
    experiment = shop.run_experiment(**(QUICK_POLICY | {"planned_units": 600} | policy))
    run_days(experiment, [100, 100, 120], clicks=clicks, step=step)
    experiment.refresh_from_db()
    assert experiment.shipped_variant == "treatment"
    return experiment


def page_of(experiment, language="en") -> str:
    address = f"/experiments/{experiment.project.slug}/{experiment.key}/"
    return (
        sign_in(experiment.project).get(address, headers={"accept-language": language}).content.decode()
    )


def test_a_year_is_the_adjusted_difference_times_the_users_of_a_week(shop):
    experiment = ship(shop)
    report = report_on(experiment)
    yearly = report.yearly
    (row,) = report.metrics
    look = experiment.looks.last()  # of the end of the first week, when it won
    users = report.verdict.units / ((look.taken_at - experiment.started_at) / timedelta(weeks=1))
    assert users == pytest.approx(200)  # all traffic took part
    assert yearly.users_per_week == pytest.approx(users)
    assert row.interval[0] <= yearly.per_user <= row.absolute
    data = report.as_json()["yearly_impact"]
    assert data["per_year"] == pytest.approx(users * yearly.per_user * 365 / 7)
    assert data["ci_per_year"] == pytest.approx([users * end * 365 / 7 for end in row.interval])
    assert data["ci_per_year"][0] <= data["per_year"] <= data["ci_per_year"][1]


def test_half_of_the_traffic_stands_for_twice_the_users(shop):
    experiment = ship(shop)
    whole = report_on(experiment).yearly.users_per_week
    experiment.epochs.update(allocation=0.5)
    assert report_on(experiment).yearly.users_per_week == pytest.approx(2 * whole)


def test_users_whose_window_is_open_count_as_well(shop):
    """With a window of a week in a test of two, half of the users are not complete at its end."""
    experiment = ship(shop)
    whole = report_on(experiment).yearly.users_per_week
    look = experiment.looks.last()
    ((counts, _weights),) = look.inputs["exposures"]
    for key in counts:
        counts[key] *= 2
    look.inputs["doubled"] = 20  # met both variants: each is one user
    look.save()
    assert report_on(experiment).yearly.users_per_week == pytest.approx(whole * (400 - 20) / 200)


def test_users_who_come_back_after_a_ramp_count_once(shop):
    """Scaled by the share of its own epoch, a user at a tenth of the traffic would be ten."""
    experiment = ship(shop)
    whole = report_on(experiment).yearly.users_per_week
    (epoch,) = experiment.epochs.all()
    Epoch.objects.filter(pk=epoch.pk).update(allocation=0.1, ended_at=epoch.started_at)
    epoch.pk, epoch.number, epoch.allocation = None, epoch.number + 1, 0.5
    epoch.save()
    experiment = Experiment.objects.get(pk=experiment.pk)
    assert report_on(experiment).yearly.users_per_week == pytest.approx(2 * whole)


def test_the_page_says_it_in_the_readers_language(shop):
    experiment = ship(shop)
    page = page_of(experiment)
    assert has(page, data_yearly="")
    assert "a year if traffic stays (95% CI, valid at any time: +" in page
    assert "Later visits are not counted." in page
    assert "若流量不变" in page_of(experiment, "zh-hans")


def test_nothing_is_said_of_less_than_a_week(shop):
    experiment = ship(shop, step=timedelta(days=1))
    assert report_on(experiment).yearly is None
    assert report_on(experiment).as_json()["yearly_impact"] is None
    assert not has(page_of(experiment), data_yearly="")


def test_nothing_is_said_of_what_was_not_shown_or_does_not_add_up(shop):
    experiment = ship(shop)
    Metric.objects.filter(pk=shop.metric.pk).update(value="max")
    assert report_on(Experiment.objects.get(pk=experiment.pk)).yearly is None
    Metric.objects.filter(pk=shop.metric.pk).update(value="count", direction="decrease")
    assert report_on(Experiment.objects.get(pk=experiment.pk)).yearly is None  # shown to be worse
    Metric.objects.filter(pk=shop.metric.pk).update(direction="increase")
    assert report_on(Experiment.objects.get(pk=experiment.pk)).yearly is not None


def test_an_experiment_that_runs_or_lost_has_no_year(shop):
    running = shop.run_experiment(**QUICK_POLICY | {"planned_units": 10_000, "promote": False})
    run_days(running, [100, 100], clicks=CLICKS, step=timedelta(days=7))
    assert report_on(running).yearly is None


@pytest.mark.parametrize(
    ("value", "words"),
    [(62_345.0, "+62,000"), (-0.01234, "−0.012"), (7.0, "+7.0"), (0.0, "0"), (99.9, "+100")],
)
def test_a_year_has_two_digits(value, words):
    assert write_rounded(value) == words


def test_the_holdback_of_a_shipped_version_stands_on_its_report(shop):
    experiment = ship(shop)
    holdback = shop.surface.experiments.get(purpose="holdback")
    after = report_on(experiment).after_shipping
    assert (after.holdback, after.gain.status, after.chart) == (holdback, "unknown", None)
    assert has(page_of(experiment), data_after_shipping="unknown")
    visits(holdback, {"former": 1, "promoted": 3}, units=100)
    look_at_experiment(experiment_id=holdback.pk)
    age(holdback, timedelta(days=3))
    page = page_of(experiment)
    assert has(page, data_after_shipping="confirmed")
    assert "Gain holds" in page
    assert 'data-chart="holdback"' in page
    assert f'href="/experiments/{shop.project.slug}/{holdback.key}/"' in page
    assert "A few users keep seeing the former champion until" in page
    data = report_on(experiment).as_json()["after_shipping"]
    assert (data["experiment"], data["state"], data["status"]) == (holdback.key, "running", "confirmed")
    chinese = page_of(experiment, "zh-hans")
    assert "上线之后" in chinese
    assert "收益持续" in chinese


def test_a_version_without_a_holdback_has_no_such_section(shop):
    change_programme(surface=shop.surface, changes={"holdback_share": 0}, by="a test")
    experiment = ship(shop)
    assert report_on(experiment).after_shipping is None
    assert "After shipping" not in page_of(experiment)


def test_a_holdback_with_many_looks_takes_no_more_queries(shop, django_assert_max_num_queries):
    experiment = ship(shop)
    holdback = shop.surface.experiments.get(purpose="holdback")
    visits(holdback, {"former": 1, "promoted": 3}, units=100)
    look = look_at_experiment(experiment_id=holdback.pk)
    for number in range(2, 200):
        look.pk, look.number = None, number
        look.save()
    client = sign_in(shop.project)
    address = f"/experiments/{shop.project.slug}/{experiment.key}/"
    with django_assert_max_num_queries(70):
        page = client.get(address).content.decode()
    assert page.count("<circle") < 400


def test_a_first_day_counts_users_and_outcomes_by_variant_and_judges_nothing(shop):
    experiment = shop.run_experiment(**QUICK_POLICY | {"window_seconds": 86_400.0})
    units = {"control": range(78), "treatment": range(72)}
    visits(experiment, {"control": 0, "treatment": 0}, units=units)  # every second user clicks
    look_at_experiment(experiment_id=experiment.pk)
    page = page_of(experiment)
    table = page.split("<table data-live>")[1].split("</table>")[0]
    rows = [re.findall(r">([^<>\n]+)<", row) for row in table.split("<tr>")[2:]]
    assert rows == [["Users", "78", "72"], ["Users with clicks", "39", "36"]]
    assert "Not judged yet: 75 users with clicks (39 in control, 36 in treatment)." in page
    assert "尚未评判" in page_of(experiment, "zh-hans")


def test_a_report_with_results_has_no_live_counts(shop):
    assert "<table data-live>" not in page_of(ship(shop))
