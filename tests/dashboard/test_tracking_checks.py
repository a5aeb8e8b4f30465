"""Whether what an experiment needs arrives: what its first day checks, and a primary without events."""

from __future__ import annotations

from datetime import timedelta

import pytest

from experiments.actions.look_at_experiment import look_at_experiment
from experiments.metrics.freeze import spec_of
from experiments.metrics.spec import MetricSpec
from experiments.models import Event, Experiment
from experiments.reports.expected_outcomes import ASSUMED, expect_outcomes
from experiments.reports.experiment_report import report_on
from experiments.reports.verdict_tiles import tiles_of
from tests.support import builders
from tests.support.builders import QUICK_POLICY, visits
from tests.support.dashboard import report_path, sign_in
from tests.support.verdict_reports import click_before


def report_after_look(experiment):
    look_at_experiment(experiment_id=experiment.pk)
    return report_on(Experiment.objects.get(pk=experiment.pk))


def silent_visits(experiment, users: range) -> None:
    """Half of the users in each variant, none of whom clicks."""
    even = range(2 * users.start, 2 * users.stop, 2)
    visits(
        experiment,
        dict.fromkeys(("control", "treatment"), 0),
        units=dict.fromkeys(("control", "treatment"), even),
    )


def test_complete_users_without_any_outcome_are_no_sign_of_health(shop):
    experiment = shop.run_experiment(**QUICK_POLICY | {"planned_units": 10_000})
    silent_visits(experiment, range(766))
    report = report_after_look(experiment)
    assert (report.verdict.units, report.missing_outcome) == (1532, None)  # too few users to say so
    visits(experiment, {"control": 0}, units={"control": range(4000, 4002, 2)})
    shown = sign_in(shop.project).get(report_path(experiment, "report.json"))
    assert shown.json()["missing_outcome"] is None  # not analysed yet
    health = tiles_of(report_after_look(experiment)).health
    assert (health.headline, health.tone) == ("No clicks recorded yet", "wait")
    assert "Assumed: at least 0.3% of users have one" in health.lines
    shown = sign_in(shop.project).get(report_path(experiment, "report.json"))
    assert shown.json()["missing_outcome"] == {
        "metric": "clicks", "event": "click", "users": 1533, "expected_rate": 0.003, "is_known": False,
    }  # fmt: skip
    visits(experiment, {"treatment": 1}, units={"treatment": range(4400, 4401)})
    assert report_after_look(experiment).missing_outcome is None


def test_what_earlier_users_did_says_how_many_are_enough(shop):
    experiment = shop.run_experiment(**QUICK_POLICY | {"planned_units": 10_000})
    click_before(shop, experiment.started_at - timedelta(days=3))
    silent_visits(experiment, range(49))
    assert report_after_look(experiment).missing_outcome is None  # of 98, whatever the share
    silent_visits(experiment, range(49, 50))
    missing = report_after_look(experiment).missing_outcome
    assert (missing.users, missing.expected_rate, missing.is_known) == (100, 0.2, True)


@pytest.mark.parametrize(
    "narrower",
    [
        {"attributed_only": True}, {"trusted_only": True}, {"delay_seconds": 1.0},
        {"filters": [{"field": "value", "op": "gt", "value": 5}]},
        {"kind": "funnel", "event": "", "steps": ["view", "click"]},
    ],
)  # fmt: skip
def test_clicks_of_another_kind_say_nothing_of_a_narrower_metric(shop, narrower):
    experiment = shop.run_experiment(**QUICK_POLICY | {"planned_units": 10_000})
    click_before(shop, experiment.started_at - timedelta(days=3))
    metric = experiment.primary.metric
    assert expect_outcomes(experiment, spec_of(experiment.primary, experiment), "click").rate == 0.2
    for name, value in narrower.items():
        setattr(metric, name, value)
    assert (
        expect_outcomes(experiment, MetricSpec.of(metric, default_window_seconds=86_400.0), "click")
        == ASSUMED
    )


def test_a_rare_event_of_all_traffic_is_no_alarm(shop):
    """3 in 1,000 users buy: that none of 500 did is nothing improbable."""
    experiment = shop.run_experiment(**QUICK_POLICY | {"window_seconds": 86_400.0})
    start = builders.now() - timedelta(hours=2)
    Experiment.objects.filter(pk=experiment.pk).update(started_at=start)
    silent_visits(experiment, range(250))
    report = report_after_look(experiment)
    assert (report.users, report.missing_outcome) == (500, None)


def test_others_who_have_the_event_are_a_sign_that_it_is_sent(shop):
    experiment = shop.run_experiment(
        **QUICK_POLICY | {"planned_units": 10_000, "window_seconds": 86_400.0}
    )
    start = builders.now() - timedelta(hours=2)
    Experiment.objects.filter(pk=experiment.pk).update(started_at=start)
    click_before(shop, start - timedelta(days=3))
    visits(experiment, {"control": 0}, units={"control": range(0, 58, 2)})
    assert not tiles_of(report_after_look(experiment)).checks  # of 29 users nothing can be said
    visits(experiment, {"control": 0}, units={"control": range(58, 60, 2)})
    checks = {check.name: check.is_fine for check in tiles_of(report_after_look(experiment)).checks}
    assert checks == {"Split between variants": False, "Users in both variants": True}
    later = {"control": range(60, 300, 2), "treatment": range(0, 300, 2)}
    visits(experiment, {"control": 0, "treatment": 0}, units=later)
    others = builders.event(shop.project, unit="in no experiment", name="click")
    builders.write(builders.Rows(events=[others]))
    report = report_after_look(experiment)
    assert (report.verdict.action, report.users) == ("keep_running", 300)
    assert report.missing_outcome is None
    client = sign_in(shop.project)
    for language, alarm in (("en", "No clicks recorded yet"), ("zh-hans", "尚未记录到")):
        shown = client.get(report_path(experiment), headers={"accept-language": language})
        assert (shown.status_code, alarm in shown.content.decode()) == (200, False)
    Event.objects.filter(project=shop.project, unit_id="in no experiment").delete()
    assert report_on(Experiment.objects.get(pk=experiment.pk)).missing_outcome.users == 300


def test_failed_answers_and_fallbacks_are_checked(shop):
    experiment = shop.run_experiment(**QUICK_POLICY | {"window_seconds": 86_400.0})
    for variant in experiment.variants.all():
        for n in range(15):
            fallback = "timeout" if variant.key == "treatment" and n < 9 else None
            builders.make_slate(
                shop, f"u{n}", experiment_id=experiment.pk, variant_id=variant.pk, fallback=fallback
            )
    visits(experiment, {"control": 1, "treatment": 1}, units=15)
    checks = {check.name: check for check in tiles_of(report_after_look(experiment)).checks}
    assert (checks["Failed answers"].counted, checks["Failed answers"].is_fine) == (
        "9 of 30 answers",
        False,
    )
    fallbacks = checks["Fallback lists"]
    assert (fallbacks.counted, fallbacks.is_fine) == ("Control 0%, Treatment 60%", False)
    assert checks["Events match users"].counted == "30 of 30 users with clicks"
