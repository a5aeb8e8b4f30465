"""The breaker at work: real rows, counted every few seconds, and a treatment that is switched off."""

from __future__ import annotations

import math
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from bakeoff.alerts.models import Alert
from bakeoff.breaker_watch import watch_experiments
from experiments.actions.create_serving_metrics import create_serving_metrics
from experiments.actions.define_experiment import define_experiment
from experiments.actions.experiment_draft import ExperimentDraft, ExperimentMetricDraft, VariantDraft
from experiments.actions.start_experiment import start_experiment
from experiments.actions.stop_experiment import stop_experiment
from experiments.actions.trip_breaker import confirm_trips, trip_breaker
from experiments.actions.watch_experiment import ExperimentIsBusyError, watch_experiment
from experiments.ingest.rows import Rows
from experiments.looks.breaker_counts import BINS, log_e_of, read_tests
from experiments.looks.roll_up import roll_up
from experiments.metrics.spec import MetricError, MetricSpec
from experiments.models import BreakerCount, Decision, Experiment, ExperimentMetric, Metric
from experiments.programme.serving_metrics import SERVING_METRICS
from experiments.reports.experiment_report import report_on
from experiments.scorecards.warehouse import unit_values
from experiments.stats.breaker import ArmCounts, BinnedCounts
from inference.models import ModelVersion
from tests.support import builders
from tests.support.fast_lane import test_database_url

NOW = timedelta(0)
GUARDRAIL = ExperimentMetric.Role.GUARDRAIL


def run(shop, *, guardrails=("serving-errors", "serving-latency"), **fields) -> Experiment:
    """Start an experiment with serving guardrails; its window is open for an hour."""
    fields.setdefault("policy", {**builders.QUICK_POLICY, "window_seconds": 3600.0})
    draft = builders.draft(shop, shop.surface, **fields)
    known = create_serving_metrics(shop.project, "recommend")
    guards = [
        ExperimentMetricDraft(known[one.key], GUARDRAIL, one.margin, one.margin_floor)
        for one in SERVING_METRICS
        if one.key in guardrails
    ]
    return start(replace(draft, metrics=[*draft.metrics, *guards]))


def start(draft: ExperimentDraft) -> Experiment:
    return start_experiment(experiment=define_experiment(draft), by="a test")


def visit(
    shop,
    experiment,
    variant,
    units,
    *,
    start=0,
    fallback=None,
    latency=5.0,
    clicks=0,
    epoch=1,
    healthy=0,
):
    """Commit slates of a minute ago, with their exposures and clicks; each unit's first, and healthy ones."""
    side = experiment.variants.get(key=variant)
    rows = Rows()
    at = builders.minutes_ago(1)
    for n in range(start, start + units):
        unit = f"{variant}-{n}"
        rows.slates += [
            builders.slate(
                shop, unit, experiment_id=experiment.pk, variant_id=side.pk, latency_ms=latency,
                served_at=at, fallback=None if n else fallback,
            )
            for n in range(1 + healthy)
        ]  # fmt: skip
        rows.exposures.append(builders.exposure(side, unit=unit, at=at, epoch=epoch))
        rows.events += [
            builders.event(
                shop.project, unit=unit, event_id=f"{experiment.key}-{unit}-{c}", item_id="i1"
            )
            for c in range(clicks)
        ]
    builders.write(rows)


def watch(experiment):
    return watch_experiment(experiment=experiment, pause=NOW)


def test_a_model_that_fails_every_request_is_switched_off(shop):
    experiment = run(shop)
    visit(shop, experiment, "control", 30)
    visit(shop, experiment, "treatment", 5, fallback="model_error")
    assert watch(experiment) is None  # five failures may be anything
    visit(shop, experiment, "treatment", 25, start=5, fallback="model_error")
    decision = watch(experiment)
    experiment.refresh_from_db()
    version = experiment.variants.get(key="treatment").model_version
    assert (decision.action, experiment.state) == (Decision.Action.ROLL_BACK, "ended")
    assert version.alias == ModelVersion.Alias.REJECTED
    assert decision.reason == (
        "breaker: 'serving-errors' in 30 users of 'treatment' and 0 of the control"
    )
    (alert,) = Alert.objects.filter(project=shop.project)
    assert (alert.event, alert.subject) == ("breaker_trip", experiment.title)


def test_its_evidence_can_be_recomputed(shop):
    experiment = run(shop)
    visit(shop, experiment, "control", 30)
    visit(shop, experiment, "treatment", 30, fallback="model_error")
    evidence = watch(experiment).evidence["breaker"]
    again = {test.metric: test for test in read_tests(experiment)}
    for test in evidence["tests"]:
        assert test["log_e"] == again[test["metric"]].log_e
        assert test["bound"] == again[test["metric"]].bound


def test_evidence_of_before_floors_were_known_can_be_recomputed():
    """Records of the commit before: they have neither floor nor trials."""
    counts = [ArmCounts(1, 0.5, 30, 2), ArmCounts(2, 0.2, 4, 1)]
    log_e = log_e_of("event", counts, 0.2, "increase", floor=0.005, without_floor=True)
    assert log_e == pytest.approx(13.268042857904186)
    bins = [0] * 9 + [30] + [0] * 40, [0, 0, 25, 5] + [0] * 46
    binned = [BinnedCounts(1, 0.5, *map(tuple, bins))]
    before = {"median_ms": 40.0, "mean_ms": 45.0}
    log_e = log_e_of("latency", binned, 0.2, "increase", floor=20.0, before=before, without_floor=True)
    assert log_e == pytest.approx(0.7557847255788999)


def test_errors_within_the_floor_do_not_trip_and_beyond_it_do(shop):
    """Each of 24 users has one failed answer among 200: half a per cent, where the control has none."""
    experiment = run(shop, guardrails=("serving-errors",))
    visit(shop, experiment, "control", 24)
    visit(shop, experiment, "treatment", 24, fallback="timeout", healthy=199)
    assert watch(experiment) is None
    test = next(test for test in read_tests(experiment) if test.metric == "serving-errors")
    assert (test.units, test.trials, test.floor) == ((24, 0), 24 * 200, 0.005)
    assert test.log_e < 0
    visit(shop, experiment, "treatment", 24, start=24, fallback="timeout")
    assert watch(experiment) is None  # 1 % of all answers: it may yet be chance
    visit(shop, experiment, "treatment", 60, start=48, fallback="timeout")
    assert watch(experiment).action == Decision.Action.ROLL_BACK


def test_conversions_that_stop_are_seen_with_windows_still_open(shop):
    experiment = run(shop)
    visit(shop, experiment, "control", 60, clicks=1)
    visit(shop, experiment, "treatment", 60)
    assert watch(experiment).action == Decision.Action.ROLL_BACK


def test_a_unit_bets_once_however_often_it_is_counted(shop):
    experiment = run(shop)
    visit(shop, experiment, "treatment", 3, fallback="timeout")
    for again in range(3):
        watch(experiment)
        visit(shop, experiment, "treatment", 3, fallback="timeout", clicks=again)
    key = create_serving_metrics(shop.project, "recommend")["serving-errors"]
    assert list(
        BreakerCount.objects.filter(experiment=experiment, metric=key).values_list("units", flat=True)
    ) == [3]


def test_no_harm_does_not_trip_and_cold_starts_are_no_failures(shop):
    experiment = run(shop, guardrails=("serving-errors", "serving-fallbacks"))
    visit(shop, experiment, "control", 100, clicks=1)
    visit(shop, experiment, "treatment", 100, clicks=1, fallback="default_list")
    assert watch(experiment) is None
    assert {test.metric: test.units for test in read_tests(experiment)} == {
        "clicks": (100, 100),
        "serving-errors": (0, 0),
        "serving-fallbacks": (0, 0),
    }


def test_latency_is_measured_by_the_champions_of_before(shop):
    for n in range(40):
        builders.make_slate(shop, f"before-{n}", latency_ms=10.0, model_version_id=shop.champion.pk)
    experiment = run(shop)
    assert experiment.latency_before == {"median_ms": 10.0, "mean_ms": 10.0}
    visit(shop, experiment, "control", 60, latency=10.0)
    visit(shop, experiment, "treatment", 60, latency=9_000.0)
    decision = watch(experiment)
    assert decision.reason.startswith("breaker: 'serving-latency' is worse in 60 users")
    places = set(
        BreakerCount.objects.filter(experiment=experiment, bin__gt=0).values_list("bin", flat=True)
    )
    # Its median is below 20 ms, which nobody notices: the cap is ten times that, not ten medians.
    assert places == {math.ceil(10.0 / 200.0 * BINS), BINS + 1}


def test_without_answers_of_before_latency_is_not_judged(shop):
    experiment = run(shop)
    visit(shop, experiment, "control", 60, latency=1.0)
    visit(shop, experiment, "treatment", 60, latency=9_000.0)
    assert watch(experiment) is None
    assert {test.metric for test in read_tests(experiment)} == {"clicks", "serving-errors"}


def test_the_shares_of_the_epoch_of_exposure_count(shop):
    """More of everything at a larger share is no harm."""
    experiment = run(shop, allocation=0.1)
    visit(shop, experiment, "control", 10)
    visit(shop, experiment, "treatment", 10)
    experiment.change(allocation=1.0, weights={"control": 0.5, "treatment": 0.5})
    for variant in ("control", "treatment"):
        visit(shop, experiment, variant, 200, start=10, epoch=2, fallback="timeout")
    assert watch(experiment) is None


def test_one_watched_a_moment_ago_is_left_to_others(shop):
    experiment = run(shop)
    watch(experiment)
    visit(shop, experiment, "treatment", 40, fallback="timeout")
    assert watch_experiment(experiment=experiment, pause=timedelta(minutes=5)) is None
    assert not BreakerCount.objects.filter(experiment=experiment).exists()


@contextmanager
def held_by_a_look(experiment, seconds):
    """Hold the experiment's row, as a look does, for so long."""
    with psycopg.connect(test_database_url()) as other:
        other.execute(
            "SELECT 1 FROM experiments_experiment WHERE id = %s FOR NO KEY UPDATE", [experiment.pk]
        )
        threading.Timer(seconds, other.rollback).start()
        yield
        other.rollback()


def test_a_row_that_a_look_holds_is_waited_for(shop):
    """Looks may follow one another: a turn that waits for nothing may miss the row again and again."""
    experiment = run(shop)
    visit(shop, experiment, "control", 40)
    visit(shop, experiment, "treatment", 40, fallback="timeout")
    with held_by_a_look(experiment, 1.0):
        with pytest.raises(ExperimentIsBusyError):
            watch(experiment)
        assert not experiment.decisions.exists()
        watch_experiments(NOW)
    assert "breaker" in experiment.decisions.get().evidence


def test_an_operator_who_stops_it_first_wins(shop):
    experiment = run(shop)
    visit(shop, experiment, "control", 40)
    visit(shop, experiment, "treatment", 40, fallback="timeout")
    watched = read_tests_after_counting(experiment)
    stop_experiment(experiment=experiment, by="an operator", reason="")
    assert trip_breaker(experiment=experiment, tests=watched) is None
    assert Decision.objects.filter(experiment=experiment).count() == 1


def read_tests_after_counting(experiment):
    with transaction.atomic():
        return read_tests(roll_up(experiment.pk, timezone.now(), close=False))


def test_without_a_breaker_nothing_is_watched(shop):
    experiment = run(shop, breaker_alpha=0.0)
    visit(shop, experiment, "treatment", 60, fallback="timeout")
    assert watch(experiment) is None
    assert not BreakerCount.objects.filter(experiment=experiment).exists()


def test_of_two_treatments_the_harmful_one_leaves(shop):
    versions = [shop.champion, *(builders.make_version(shop.surface, [n] * 10) for n in (1, 2))]
    draft = builders.draft(shop, shop.surface, policy={"window_seconds": 3600.0})
    names = ("control", "treatment", "other")
    sides = [
        VariantDraft(name, version, weight, is_control=name == "control")
        for name, version, weight in zip(names, versions, (0.4, 0.3, 0.3), strict=True)
    ]
    guard = ExperimentMetricDraft(
        create_serving_metrics(shop.project, "recommend")["serving-errors"], GUARDRAIL, 0.2
    )
    experiment = start(replace(draft, variants=sides, metrics=[*draft.metrics, guard]))
    visit(shop, experiment, "control", 40)
    visit(shop, experiment, "other", 40)
    visit(shop, experiment, "treatment", 40, fallback="timeout")
    assert watch(experiment).action == Decision.Action.ROLL_BACK
    experiment.refresh_from_db()
    assert experiment.state == "running"
    assert {v.key: v.weight for v in experiment.variants.all()} == {
        "control": pytest.approx(0.7), "treatment": 0.0, "other": pytest.approx(0.3),
    }  # fmt: skip
    assert watch(experiment) is None  # it has left already


def test_a_metric_on_an_unknown_fact_of_answers_is_refused(shop):
    metric = Metric(project=shop.project, key="m", kind="proportion", event="slate.speed")
    with pytest.raises(
        ValidationError, match=r"event == 'slate.speed', must be one of \['slate.latency'"
    ):
        metric.full_clean()


def test_a_process_that_did_not_answer_in_time_is_asked_again(shop):
    experiment = run(shop)
    visit(shop, experiment, "control", 40)
    visit(shop, experiment, "treatment", 40, fallback="timeout")
    decision = watch(experiment)
    Decision.objects.filter(pk=decision.pk).update(read_back={"a-process-that-is-gone": None})
    confirm_trips()
    decision.refresh_from_db()
    assert None not in decision.read_back.values()


def test_a_warehouse_refuses_facts_that_it_does_not_hold():
    spec = MetricSpec("errors", "ratio", event="slate.error", denominator="slate")
    with pytest.raises(MetricError, match=r"event == 'slate.error', must be an event"):
        unit_values(spec, None)


def test_the_report_shows_evidence_and_what_was_switched_off(shop):
    experiment = run(shop)
    visit(shop, experiment, "control", 40)
    visit(shop, experiment, "treatment", 5, fallback="timeout")
    watch(experiment)
    watching = report_on(experiment).breaker
    errors = next(line for line in watching.lines if line.metric == "serving-errors")
    assert (errors.treated, errors.controlled, watching.alpha) == (5, 0, 0.001)
    assert 0 < errors.share < 1
    assert watching.trips == []
    visit(shop, experiment, "treatment", 35, start=5, fallback="timeout")
    decision = watch(experiment)
    experiment.refresh_from_db()
    (trip,) = report_on(experiment).as_json()["breaker"]["trips"]
    assert (trip["variant"], trip["metric"]) == ("treatment", "serving-errors")
    assert (trip["treated"], trip["controlled"]) == (40, 0)
    assert "'serving-errors' in 40 users of it, and in 0 of the control" in trip["sentence"]
    assert trip["confirmed"] == decision.confirmed


@pytest.mark.parametrize(
    ("read_back", "sentence"),
    [
        ({}, "No web process has confirmed it yet."),
        ({"a": 0.1}, "Confirmed: 1 web process has read the configuration since."),
        ({"a": 0.1, "b": 0.2}, "Confirmed: all 2 web processes have read the configuration since."),
        ({"a": 0.1, "b": None}, "Not confirmed by: b."),
    ],
)
def test_the_report_says_which_processes_have_confirmed_a_trip(shop, read_back, sentence):
    experiment = run(shop)
    visit(shop, experiment, "control", 40)
    visit(shop, experiment, "treatment", 40, fallback="timeout")
    Decision.objects.filter(pk=watch(experiment).pk).update(read_back=read_back)
    experiment.refresh_from_db()
    (trip,) = report_on(experiment).breaker.trips
    assert trip.confirmation == sentence
