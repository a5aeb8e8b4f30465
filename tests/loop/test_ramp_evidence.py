"""A ramp by evidence: units and time, guardrails, a person's word, one alert per step that is held."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bakeoff.alerts.models import Alert
from experiments.actions.advance_challenger import advance_challenger
from experiments.actions.define_experiment import CannotDefineError, define_experiment
from experiments.actions.step_ramp import (
    continue_ramp,
    hold_ramp,
    roll_back_experiment,
    step_ramp,
    why_held,
)
from experiments.actions.stop_experiment import stop_experiment
from experiments.models import Experiment, ExposureTotal, Metric
from experiments.models.experiment import WrongStateError
from experiments.programme.ramp import next_step_sentence, read_ramp
from inference.models import ModelVersion
from tests.support import builders

RAMP = [
    {"share": 0.01, "minimum_seconds": 60},
    {"share": 0.05, "minimum_seconds": 60},
    {"share": 0.5, "minimum_seconds": 0},
]


@pytest.fixture
def experiment(tables):
    shop = builders.make_shop()
    Metric.objects.create(project=shop.project, key="orders", kind="mean", event="order")
    guardrails = [{"metric": "orders", "margin": 0.03}]
    builders.set_programme(shop, ramp=RAMP, guardrails=guardrails)
    builders.make_version(shop.surface, [1] * 10, algorithm="ease")
    return advance_challenger(surface=shop.surface)


def pass_time(experiment, seconds):
    """Move the start of the present step back."""
    at = timezone.now() - timedelta(seconds=seconds)
    experiment.epochs.filter(ended_at__isnull=True).update(started_at=at)


def let_users_come(experiment, units):
    epoch = experiment.epochs.last()
    for variant in experiment.variants.all():
        ExposureTotal.objects.update_or_create(
            experiment=experiment, variant=variant, epoch=epoch.number, segment="",
            defaults={"units": units},
        )  # fmt: skip


def look(experiment, *, interval, harmed=False, action="keep_running"):
    comparison = {
        "metric": "orders", "variant": "treatment", "effect": None, "interval": None,
        "lift_interval": interval, "harmed": harmed, "safe": False,
    }  # fmt: skip
    ratio = {"p_value": 1.0, "expected": {}, "observed": {}, "leaks": {}, "healthy": True}
    result = {"action": action, "reason": "a test", "information": 0.1, "sample_ratio": ratio,
              "comparisons": [comparison]}  # fmt: skip
    return experiment.looks.create(
        number=experiment.looks.count() + 1, taken_at=timezone.now(), batch=1, information=0.1,
        inputs={}, result=result, action=action, reason="a test",
    )  # fmt: skip


def reread(experiment):
    return Experiment.objects.get(pk=experiment.pk)


def alerts(experiment):
    rows = Alert.objects.filter(project=experiment.project, event="ramp_held")
    return list(rows.order_by("pk").values_list("summary", flat=True))


def test_a_step_needs_its_time_and_its_users(experiment):
    needed = experiment.ramp[0]["units"]
    state = read_ramp(experiment, timezone.now())
    assert next_step_sentence(state) == (
        f"next step after {needed} users or 1 minute, whichever is later"
    )
    assert [step.state for step in state.steps] == ["current", "ahead", "ahead"]
    assert [step.share for step in state.steps] == pytest.approx([0.01, 0.05, 0.5])
    let_users_come(experiment, needed)
    assert step_ramp(experiment) is None
    assert why_held(experiment) == "1 minute at this step"
    pass_time(experiment, 61)
    let_users_come(experiment, needed - 1)
    assert step_ramp(experiment) is None
    assert why_held(experiment) == f"{needed} users in the treatment"
    let_users_come(experiment, needed)
    assert step_ramp(experiment).allocation == pytest.approx(0.1)
    experiment.refresh_from_db()
    state = read_ramp(experiment, timezone.now())
    assert [step.state for step in state.steps] == ["done", "current", "ahead"]
    assert [step.users for step in state.steps] == [needed, 0, 0]
    assert step_ramp(experiment) is None  # users of the step before do not count for this one
    assert alerts(experiment) == []


def due(experiment):
    pass_time(experiment, 61)
    let_users_come(experiment, experiment.ramp[0]["units"])


@pytest.mark.parametrize(
    ("interval", "held"),
    [
        ([-0.5, 0.4], False),  # nothing has shown
        ([-0.02, -0.01], False),  # a loss, within its margin
        ([-0.08, -0.01], True),  # a loss that could be beyond it
        ([0.01, 0.4], False),
    ],
)
def test_a_guardrail_that_could_be_beyond_its_margin_holds_a_step(experiment, interval, held):
    look(experiment, interval=interval)
    due(experiment)
    assert (step_ramp(experiment) is None) == held
    assert (why_held(experiment) == "guardrail 'orders' within 3%") == held
    step_ramp(experiment)
    sentences = [f"The ramp of {experiment.title} is held at 1%: guardrail 'orders' within 3%."]
    assert alerts(experiment) == (sentences if held else [])


def test_trouble_and_a_switch_hold_it_and_people_hear_of_it_once(experiment):
    due(experiment)
    last = look(experiment, interval=None, action="halt")
    for _ in range(2):
        assert step_ramp(experiment) is None
    (summary,) = alerts(experiment)
    assert "analysis 1: a test" in summary
    last.delete()
    Experiment.objects.filter(pk=experiment.pk).update(enabled=False)
    assert step_ramp(experiment) is None
    assert len(alerts(experiment)) == 1
    Experiment.objects.filter(pk=experiment.pk).update(enabled=True)
    assert step_ramp(experiment) is not None


def test_thin_traffic_is_told_after_a_week(experiment):
    pass_time(experiment, 8 * 86_400)
    assert step_ramp(experiment) is None
    assert "users in the treatment" in alerts(experiment)[0]


def test_a_person_stays_and_continues(experiment):
    due(experiment)
    hold_ramp(experiment=experiment, by="ann", reason="the campaign")
    assert step_ramp(experiment) is None
    assert why_held(reread(experiment)) == "held by ann: the campaign"
    assert alerts(experiment) == []  # ann knows
    continue_ramp(experiment=experiment, by="ben", at_once=False)
    assert step_ramp(experiment).number == 2
    hold_ramp(experiment=experiment, by="ann")
    continued = continue_ramp(experiment=experiment, by="ben")  # whatever is missing
    assert (continued.allocation, continued.ramp_hold) == (1.0, "")
    for act in (hold_ramp, continue_ramp):
        with pytest.raises(WrongStateError, match="has no further step"):
            act(experiment=experiment, by="ann")


def test_a_person_rolls_back_at_any_step_and_nothing_goes_on(experiment):
    due(experiment)
    decision = roll_back_experiment(experiment=experiment, by="ann", reason="complaints")
    assert (decision.action, decision.reason) == ("roll_back", "complaints")
    version = ModelVersion.objects.get(variant__experiment=experiment, variant__is_control=False)
    assert version.alias == ModelVersion.Alias.REJECTED
    assert step_ramp(experiment) is None
    assert experiment.epochs.count() == 1
    for act in (hold_ramp, continue_ramp, roll_back_experiment):
        with pytest.raises(WrongStateError, match="is ended, must be running"):
            act(experiment=experiment, by="ann")


@pytest.mark.parametrize("steps", range(3))
def test_an_operators_stop_in_the_middle_of_a_step_ends_it(experiment, steps):
    """The loop has read the experiment before the stop, and takes its step after it."""
    for _ in range(steps):
        continue_ramp(experiment=experiment, by="ann")
    seen = Experiment.objects.get(pk=experiment.pk)
    pass_time(experiment, 61)
    let_users_come(experiment, 10_000)
    stop_experiment(experiment=experiment, by="ann")
    assert step_ramp(seen) is None
    experiment.refresh_from_db()
    assert (experiment.state, experiment.epochs.count()) == ("ended", steps + 1)
    assert not experiment.epochs.filter(ended_at__isnull=True).exists()


@pytest.mark.parametrize(
    "ramp",
    [
        [{"after_seconds": 0, "allocation": 0.5, "units": -1, "harm": "total_failure"}],
        [{"after_seconds": 0, "allocation": 0.5, "units": 10, "harm": "bad luck"}],
        [{"after_seconds": 9, "allocation": 0.5}, {"after_seconds": 10, "allocation": 1, "units": 1}],
        [{"after_seconds": 0, "allocation": 0.01, "units": 9, "harm": "total_failure"}],
    ],
)
def test_a_ramp_that_is_none_is_refused(tables, ramp):
    shop = builders.make_shop()
    with pytest.raises(CannotDefineError, match=r"ramp\["):
        define_experiment(builders.draft(shop, shop.surface, allocation=0.05, ramp=ramp))
