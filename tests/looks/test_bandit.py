"""Bandits from visits to a verdict: shares follow rewards, epochs are batches, records recompute."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest

from bakeoff.accounts.models import AuditEntry
from experiments import tasks
from experiments.actions.drop_treatment import Harm, drop_treatment
from experiments.actions.experiment_draft import VariantDraft
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.record_decision import hash_of
from experiments.actions.reweight_bandit import reweight_bandit
from experiments.models import Experiment
from experiments.reports.experiment_report import report_for_programs
from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from inference.models import Surface
from tests.support import builders
from tests.support.builders import visits

POLICY = {
    "planned_units": 1000,
    "minimum_run_seconds": 0.0,
    "window_seconds": 60.0,
    "twyman_limit": 0.0,
    "minimum_nonzero": 10,
    "update_every_seconds": 3600.0,
    "burn_in_units": 100,
}
HOUR = timedelta(hours=1)


@pytest.fixture
def bandit(shop):
    """Start a bandit of two values of a flag, an hour ago."""

    def start(variants=None, **policy) -> Experiment:
        flag = Surface.objects.create(project=shop.project, key="button", kind="flag")
        fields = {"variants": variants} if variants else {}
        experiment = builders.experiment(shop, flag, mode="bandit", policy=POLICY | policy, **fields)
        age(experiment)
        return experiment

    return start


def age(experiment):
    """Move the open epoch an hour back, and its end with it as if it had been open so long."""
    for epoch in experiment.epochs.all():
        epoch.started_at -= HOUR
        if epoch.ended_at is not None:
            epoch.ended_at -= HOUR
        epoch.save()
    Experiment.objects.filter(pk=experiment.pk).update(started_at=experiment.epochs.first().started_at)
    experiment.refresh_from_db()


def look(experiment):
    taken = look_at_experiment(experiment_id=experiment.pk)
    experiment.refresh_from_db()
    return taken


def test_shares_follow_rewards_and_a_winner_ships(shop, bandit):
    experiment = bandit()
    visits(experiment, {"control": 0, "treatment": 1})
    first = look(experiment)
    # The epoch is open: its units count for the shares, and not yet for the verdict.
    assert (first.action, first.information) == ("keep_running", 0)
    assert first.reason == "no epoch is over with all windows closed yet"
    tasks.reweight_bandits()
    epoch = experiment.epochs.get(ended_at__isnull=True)
    assert epoch.number == 2
    assert epoch.weights == pytest.approx({"control": 0.1, "treatment": 0.9}, abs=1e-4)
    entry = AuditEntry.objects.get(project=shop.project, action="change")
    assert (entry.actor, entry.detail["weights"]) == ("platform", epoch.weights)
    # It is not due again, and would be in an hour if users came.
    assert reweight_bandit(experiment) is None
    age(experiment)
    assert reweight_bandit(experiment) is None
    second = look(experiment)
    assert (second.action, second.parsed_result.variant) == ("ship", "treatment")
    assert (experiment.state, experiment.shipped_variant) == ("ended", "treatment")
    decision = experiment.decisions.get()
    assert hash_of(decision) == decision.sha256
    again = take_look(LookInput.from_json(decision.evidence["inputs"]))
    assert orjson.loads(orjson.dumps(again.as_json())) == decision.evidence["result"]
    assert reweight_bandit(experiment) is None  # it is over


def test_past_exposures_keep_their_epochs_shares(shop, bandit):
    experiment = bandit(planned_units=100_000)
    visits(experiment, {"control": 1, "treatment": 1})
    look(experiment)
    reweight_bandit(experiment)
    shares = experiment.epochs.get(number=2).weights
    assert shares["control"] == pytest.approx(0.5, abs=0.01)
    newcomers = {"control": range(200, 300), "treatment": range(200, 300)}
    visits(experiment, {"control": 1, "treatment": 2}, units=newcomers, epoch=2)
    age(experiment)
    taken = look(experiment)
    assert [weights for _, weights in taken.parsed_inputs.exposures] == [
        {"control": 0.5, "treatment": 0.5},
        shares,
    ]
    # The verdict rests on the epoch that is over, the shares on both.
    assert taken.parsed_inputs.units == 400
    assert sum(one.n for epoch in taken.parsed_inputs.rewards for one in epoch.values()) == 600
    report = report_for_programs(experiment)["bandit"]
    assert [row["exposed"] for row in report["epochs"]] == [200, 400]
    assert [row["units"] for row in report["arms"]] == [300, 300]
    gap = report["arms"][1]["mean"] - report["arms"][0]["mean"]
    assert gap > 0.2
    assert report["regret"] == pytest.approx(300 * gap)  # users of the control, at what each lost
    assert report["saved"] == pytest.approx(0, abs=1e-9)


def test_an_epoch_waits_for_burn_in_and_for_users_of_each_variant(bandit):
    experiment = bandit(burn_in_units=500)
    visits(experiment, {"control": 1, "treatment": 1})
    look(experiment)
    assert reweight_bandit(experiment) is None
    visits(
        experiment, {"control": 1, "treatment": 1},
        units={"control": range(200, 300), "treatment": range(200, 300)},
    )  # fmt: skip
    look(experiment)
    assert reweight_bandit(experiment) is not None
    age(experiment)
    # Nine of the control are too few for a batch.
    few = {"control": range(400, 409), "treatment": range(400, 480)}
    visits(experiment, {"control": 1, "treatment": 1}, units=few, epoch=2)
    look(experiment)
    assert reweight_bandit(experiment) is None


def test_the_exact_rule_reads_its_batches(shop, bandit):
    metric = shop.metric
    metric.kind = "proportion"
    metric.save()
    experiment = bandit(rule="exact", planned_units=2000)
    visits(experiment, {"control": 0, "treatment": 1})
    taken = look(experiment)
    assert taken.parsed_inputs.rewards is not None
    assert taken.parsed_inputs.units == 400
    assert (taken.action, taken.parsed_result.variant) == ("ship", "treatment")
    assert taken.reason.startswith("better: e = ")


def test_a_variant_that_left_gets_no_share_and_the_others_are_compared_on(shop, bandit):
    shares = {"control": 0.4, "treatment": 0.3, "other": 0.3}
    variants = [
        VariantDraft(key, None, share, is_control=key == "control", value=key)
        for key, share in shares.items()
    ]
    experiment = bandit(planned_units=100_000, variants=variants)
    units = {"control": range(160), "treatment": range(120), "other": range(120)}
    visits(experiment, {"control": 1, "treatment": 1, "other": 0}, units=units)
    look(experiment)
    drop_treatment(experiment=experiment, harm=Harm("other", "a test"), by="a test")
    experiment.refresh_from_db()
    # Nobody forgets: only what has left cannot be kept (`RunningExperiment.keepable`).
    assert experiment.sticky_since == 0
    newcomers = {"control": range(200, 340), "treatment": range(200, 260)}
    visits(experiment, {"control": 1, "treatment": 2}, units=newcomers, epoch=2)
    age(experiment)
    look(experiment)
    epoch = reweight_bandit(experiment)
    assert epoch.weights == pytest.approx({"control": 0.1, "treatment": 0.9, "other": 0.0}, abs=1e-4)
    # What users of the other lost while it stood is part of the cost: one click each.
    report = report_for_programs(experiment)["bandit"]
    control, treatment, other = report["arms"]
    assert (other["exposed"], other["chance"], other["mean"]) == (120, None, None)
    gap = treatment["mean"] - control["mean"]
    of_other = (report["regret"] - 300 * gap) / 120
    assert of_other == pytest.approx(1, abs=0.1)
    in_thirds, in_halves = 400 * (gap + of_other) / 3, 200 * gap / 2
    assert report["equal_regret"] == pytest.approx(in_thirds + in_halves)
