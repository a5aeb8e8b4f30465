"""When the next step and the verdict are to be expected: at the present pace, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from experiments.actions.look_at_experiment import look_at_experiment
from experiments.programme.ramp_types import RampNeed, RampState, RampStepState
from experiments.reports.expected_dates import next_step_at, verdict_at
from experiments.reports.read_autopilot import read_autopilot
from tests.support import builders

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def ramp_of(*, users=100, started=NOW - HOUR, needs=(), next_share=0.05):
    step = RampStepState(0.01, "current", "total_failure", 400, users, 7200.0, started)
    return RampState(steps=(step,), needs=tuple(needs), next_share=next_share)


def time(seconds, actual):
    return RampNeed("time", seconds <= actual, "time", required=seconds, actual=actual)


def users(required, actual):
    return RampNeed("users", required <= actual, "users", required=required, actual=actual)


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ([time(7200, 3600), users(50, 100)], NOW + HOUR),
        ([time(7200, 3600), users(400, 100)], NOW + 3 * HOUR),
        ([time(60, 3600), users(50, 100)], NOW),
        ([time(60, 3600), users(10_000_000, 100)], None),
    ],
)
def test_a_step_comes_when_both_its_time_and_its_users_are_there(needs, expected):
    assert next_step_at(ramp_of(needs=needs), NOW) == expected


def test_a_step_without_users_or_held_by_a_person_has_no_date():
    assert next_step_at(ramp_of(users=0, needs=[users(400, 0)]), NOW) is None
    person = RampNeed("person", holds=False, sentence="held by ann")
    assert next_step_at(ramp_of(needs=[time(60, 3600), person]), NOW) is None
    assert next_step_at(ramp_of(next_share=None), NOW) is None
    assert next_step_at(None, NOW) is None


def test_a_verdict_comes_with_the_planned_users_and_the_minimum_duration(tables):
    shop = builders.make_shop()
    policy = {**builders.QUICK_POLICY, "planned_units": 4000, "promote": False}
    experiment = shop.run_experiment(**policy)
    now = timezone.now()
    assert verdict_at(experiment, None, now) is None  # nobody has come yet
    builders.visits(experiment, {"control": 1, "treatment": 1})
    look_at_experiment(experiment_id=experiment.pk)
    experiment.refresh_from_db()
    analysed = experiment.looks.get().information * 4000
    assert analysed > 0
    day = experiment.started_at + timedelta(days=1)
    expected = verdict_at(experiment, None, day)
    assert expected - day == pytest.approx(
        timedelta(days=1) * (4000 - analysed) / analysed, abs=timedelta(seconds=1)
    )
    assert verdict_at(experiment, ramp_of(), day) is None  # it ramps
    shown = read_autopilot(shop.surface, day).now
    assert (shown.verdict_at, shown.next_step_at) == (expected, None)
