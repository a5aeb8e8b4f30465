"""A treatment that does harm leaves alone: traffic, record, audit, and the looks that follow."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest

from bakeoff.accounts.models import AuditEntry
from experiments.actions.define_experiment import define_experiment
from experiments.actions.drop_treatment import Harm, drop_treatment
from experiments.actions.experiment_draft import ExperimentDraft, ExperimentMetricDraft, VariantDraft
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.record_decision import hash_of
from experiments.actions.start_experiment import start_experiment
from experiments.models import Decision, Experiment
from experiments.models.experiment import WrongStateError
from experiments.reports.experiment_report import report_on
from experiments.reports.verdict import summarise_verdict
from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from inference.models import ModelVersion
from tests.support import builders
from tests.support.builders import visits

POLICY = {
    "planned_units": 6000,
    "minimum_run_seconds": 0.0,
    "window_seconds": 60.0,
    "twyman_limit": 0.0,
}
UNITS = 300


@pytest.fixture
def start(shop):
    """Start an experiment of three: the champion, `bad` and `good`."""

    def run(*, sticky: bool = False, **policy) -> Experiment:
        versions = {
            key: builders.make_version(shop.surface, list(range(1, len(shop.items) + 1)))
            for key in ("bad", "good")
        }
        draft = ExperimentDraft(
            surface=shop.surface,
            key="three",
            variants=[
                VariantDraft("control", shop.champion, 0.4, is_control=True),
                *(VariantDraft(key, version, 0.3) for key, version in versions.items()),
            ],
            metrics=[ExperimentMetricDraft(shop.metric)],
            policy=POLICY | policy,
            sticky=sticky,
        )
        return start_experiment(experiment=define_experiment(draft), by="a test")

    return run


SPLIT = {"control": range(400), "bad": range(400, 700), "good": range(700, 1000)}


def test_the_others_run_on_and_the_control_has_its_share(shop, start):
    experiment = start()
    visits(experiment, {"control": 3, "bad": 0, "good": 3}, units=SPLIT, unit_id="u{n}")
    look = look_at_experiment(experiment_id=experiment.pk)
    assert look.action == "keep_running"
    assert "'bad' leaves the traffic (worse: " in look.reason
    experiment = Experiment.objects.get(pk=experiment.pk)
    assert experiment.state == Experiment.State.RUNNING
    epoch = experiment.epochs.get(ended_at__isnull=True)
    assert (epoch.number, epoch.weights) == (2, {"control": 0.7, "bad": 0.0, "good": 0.3})
    decision = experiment.decisions.get()
    assert (decision.action, decision.evidence["variant"]) == ("roll_back", "bad")
    assert hash_of(decision) == decision.sha256
    again = take_look(LookInput.from_json(decision.evidence["inputs"]))
    assert orjson.loads(orjson.dumps(again.as_json())) == decision.evidence["result"]
    entry = AuditEntry.objects.get(project=shop.project, action="roll_back")
    assert "'bad' leaves the traffic" in entry.detail["reason"]
    alias = {v.key: v.model_version.alias for v in experiment.variants.select_related("model_version")}
    assert alias["bad"] == ModelVersion.Alias.REJECTED
    assert alias["good"] != ModelVersion.Alias.REJECTED


def test_those_who_saw_it_come_back_to_the_control_and_nothing_halts(shop, start):
    experiment = start()
    visits(experiment, {"control": 3, "bad": 0, "good": 3}, units=SPLIT, unit_id="u{n}")
    look_at_experiment(experiment_id=experiment.pk)
    # All of bad's units return, now in the control, and newcomers come in the new shares.
    visits(experiment, {"control": 3}, units={"control": range(400, 700)}, epoch=2, unit_id="u{n}")
    newcomers = {"control": range(1000, 1700), "good": range(1700, 2000)}
    visits(experiment, {"control": 3, "good": 3}, units=newcomers, epoch=2, unit_id="u{n}")
    look = look_at_experiment(experiment_id=experiment.pk, now=builders.now() + timedelta(minutes=2))
    assert (look.action, look.inputs["left"], look.inputs["doubled"]) == ("keep_running", ["bad"], 0)
    assert look.result["sample_ratio"]["healthy"]
    assert experiment.decisions.count() == 1
    report = report_on(Experiment.objects.get(pk=experiment.pk))
    assert any(
        "'bad' takes no traffic any more: Significantly worse" in warning for warning in report.warnings
    )
    assert summarise_verdict(Experiment.objects.get(pk=experiment.pk)).action == "keep_running"


def test_the_last_one_that_does_harm_ends_it(shop, start):
    experiment = start()
    visits(experiment, {"control": 3, "bad": 0, "good": 3}, units=SPLIT, unit_id="u{n}")
    look_at_experiment(experiment_id=experiment.pk)
    newcomers = {"control": range(1000, 1700), "good": range(1700, 2000)}
    visits(experiment, {"control": 3, "good": 0}, units=newcomers, epoch=2, unit_id="u{n}")
    look = look_at_experiment(experiment_id=experiment.pk, now=builders.now() + timedelta(minutes=2))
    assert (look.action, look.result["variant"]) == ("roll_back", "good")
    experiment.refresh_from_db()
    assert experiment.state == Experiment.State.ENDED


def test_a_loss_does_not_wait_for_a_person(shop):
    experiment = shop.run_experiment(**POLICY, promote=False)
    units = {"control": range(400), "treatment": range(400, 800)}
    visits(experiment, {"control": 3, "treatment": 0}, units=units, unit_id="u{n}")
    assert look_at_experiment(experiment_id=experiment.pk).action == "roll_back"
    assert experiment.decisions.get().action == Decision.Action.ROLL_BACK


@pytest.mark.parametrize("sticky", [False, True])
def test_requests_of_its_units_are_answered_by_the_control(lane, shop, start, sticky):
    experiment = start(sticky=sticky)
    lane.refresh()

    def ask() -> dict[str, str]:
        body = {"surface": "home-feed", "k": 1}
        return {
            f"v{n}": lane.post("/v1/recommend", body | {"unit_id": f"v{n}"}, shop.public).json()[
                "variant"
            ]
            for n in range(40)
        }

    before = ask()
    assert set(before.values()) == {"control", "bad", "good"}
    look = experiment.looks.create(number=1, taken_at=builders.now(), batch=1, information=0.1, inputs={},
                                   result={}, action="keep_running", reason="")  # fmt: skip
    drop_treatment(experiment=experiment, harm=Harm("bad", "worse", look), by="a test")
    lane.refresh()
    after = ask()
    assert after == {
        unit: "control" if variant == "bad" else variant for unit, variant in before.items()
    }
    with pytest.raises(WrongStateError, match="takes no traffic"):
        drop_treatment(experiment=experiment, harm=Harm("bad", "worse", look), by="a test")
