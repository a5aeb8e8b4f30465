"""Shares that change while an experiment runs: ramps, and variants that units keep."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from experiments.actions.change_shares import (
    Change,
    WouldReshuffleError,
    change_shares,
)
from experiments.actions.define_experiment import (
    CannotDefineError,
    define_experiment,
)
from experiments.actions.explain_assignment import assignments_of
from experiments.actions.step_ramp import step_ramp
from experiments.models import Experiment, Exposure
from tests.support import builders

UNITS = [f"u{n}" for n in range(60)]


def started(experiment, *, seconds):
    """Let an experiment have started a while ago."""
    at = timezone.now() - timedelta(seconds=seconds)
    Experiment.objects.filter(pk=experiment.pk).update(started_at=at)


def test_a_ramp_adds_units_and_a_cut_is_refused(lane, shop):
    experiment = builders.experiment(shop, shop.surface, "trial", allocation=0.3)
    with pytest.raises(WouldReshuffleError, match="units that are in would leave"):
        change_shares(experiment=experiment, change=Change(allocation=0.2), by="a test")
    with pytest.raises(WouldReshuffleError, match=r"would move 40\.0% of the units"):
        change_shares(
            experiment=experiment,
            change=Change(weights={"control": 0.9, "treatment": 0.1}),
            by="a test",
        )
    lane.refresh()
    ask_all = lambda: {  # noqa: E731
        unit: lane.post("/v1/recommend", {"surface": "home-feed", "unit_id": unit}, shop.public).json()[
            "variant"
        ]
        for unit in UNITS
    }
    before = ask_all()
    epoch = change_shares(experiment=experiment, change=Change(allocation=1.0), by="a test")
    lane.refresh()
    after = ask_all()
    assert epoch.number == 2
    assert all(after[unit] == variant for unit, variant in before.items() if variant)
    assert None in before.values()
    assert None not in after.values()
    assert set(Exposure.objects.filter(experiment=experiment).values_list("epoch", flat=True)) == {1, 2}


def test_steps_of_a_ramp_come_in_time_and_harm_holds_them(shop):
    ramp = [{"after_seconds": 60, "allocation": 0.2}, {"after_seconds": 120, "allocation": 1.0}]
    experiment = builders.experiment(shop, shop.surface, "trial", allocation=0.05, ramp=ramp)
    assert step_ramp(experiment) is None
    started(experiment, seconds=70)
    assert step_ramp(experiment).allocation == 0.2
    started(experiment, seconds=130)
    look = experiment.looks.create(
        number=1,
        taken_at=timezone.now(),
        batch=1,
        information=0.1,
        inputs={},
        result={"comparisons": [], "variant": None, "sample_ratio": None},
        action="halt",
        reason="sick",
    )
    assert step_ramp(experiment) is None
    look.action = "keep_running"
    look.save()
    assert step_ramp(experiment).allocation == 1.0
    experiment.refresh_from_db()
    assert step_ramp(experiment) is None
    for wrong in (
        [{"after_seconds": 5, "allocation": 0.01}],
        [{"after_seconds": 0, "allocation": 0.5}],
    ):
        with pytest.raises(CannotDefineError, match="must be above"):
            define_experiment(builders.draft(shop, shop.surface, "other", allocation=0.05, ramp=wrong))


def test_a_sticky_experiment_keeps_what_units_met(lane, shop):
    experiment = builders.experiment(shop, shop.surface, "trial", sticky=True)
    lane.refresh()

    def ask_all(units=UNITS):
        answers = {}
        for unit in units:
            body = {"surface": "home-feed", "unit_id": unit}
            answers[unit] = lane.post("/v1/recommend", body, shop.public).json()["variant"]
        return answers

    before = ask_all()
    # A sticky experiment may be re-weighted: nobody who met it moves.
    change_shares(
        experiment=experiment, change=Change(weights={"control": 1.0, "treatment": 0.0}), by="a test"
    )
    lane.refresh()
    assert ask_all() == before
    assert set(ask_all([f"new{n}" for n in range(20)]).values()) == {"control"}
    change_shares(experiment=experiment, change=Change(forget_kept=True), by="a test")
    lane.refresh()
    assert set(ask_all().values()) == {"control"}
    change_shares(experiment=experiment, change=Change(block_earlier=True), by="a test")
    lane.refresh()
    assert set(ask_all().values()) == {None}
    assert set(ask_all(["late1", "late2"]).values()) == {"control"}


def test_what_was_forgotten_is_kept_anew_from_the_next_meeting_on(lane, shop):
    experiment = builders.experiment(shop, shop.surface, "trial", sticky=True)
    lane.refresh()

    def ask_all():
        bodies = [{"surface": "home-feed", "unit_id": unit} for unit in UNITS]
        return [lane.post("/v1/recommend", body, shop.public).json()["variant"] for body in bodies]

    def change(**fields):
        change_shares(experiment=experiment, change=Change(**fields), by="a test")
        lane.refresh()

    before = ask_all()
    assert set(before) == {"control", "treatment"}
    change(forget_kept=True)
    # The hash deals most of them the same variant again: they meet it anew, in the new epoch.
    assert ask_all() == before
    explained = assignments_of(shop.project.pk, UNITS[0])[0]
    assert [(s.name, s.passed) for s in explained.steps if s.name == "kept"] == [("kept", True)]
    change(weights={"control": 1.0, "treatment": 0.0})
    assert ask_all() == before
    rows = {u: assignments_of(shop.project.pk, u)[0].variant for u in UNITS[:5]}
    assert list(rows.values()) == before[:5]
    change(block_earlier=True)
    assert set(ask_all()) == {None}
    explained = assignments_of(shop.project.pk, UNITS[0])[0]
    assert explained.variant is None
    assert next(s.name for s in explained.steps if not s.passed) == "blocked"
