"""What bandits refuse: each a sentence with the value and the rule, and nothing is stored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiments.actions.change_shares import Change, change_shares
from experiments.actions.define_experiment import CannotDefineError, define_experiment
from experiments.actions.experiment_draft import ExperimentMetricDraft
from experiments.models import Experiment, Metric
from inference.models import Surface
from tests.support import builders

DAY = 86_400.0


@pytest.fixture
def draft(shop):
    flag = Surface.objects.create(project=shop.project, key="button", kind="flag")
    return builders.draft(shop, flag, mode="bandit")


def refused(draft, field, sentence):
    with pytest.raises(CannotDefineError) as refusal:
        define_experiment(draft)
    assert (refusal.value.field, str(refusal.value)) == (field, sentence)
    assert not Experiment.objects.filter(project=draft.surface.project).exists()


def test_a_sound_draft_keeps_users_and_has_a_floor(draft):
    experiment = define_experiment(draft)
    assert experiment.policy == {"rule": "always_valid", "floor": 0.1}
    assert experiment.sticky


@pytest.mark.parametrize(
    ("change", "field", "sentence"),
    [
        ({"policy": {"rule": "fixed"}}, "policy",
         "rule == 'fixed', must be one of ['always_valid', 'exact'] in a bandit: the others are made for "
         "shares that do not follow outcomes."),
        ({"policy": {"floor": 0.0}}, "policy", "floor == 0, must be positive in a bandit."),
        ({"policy": {"floor": 0.01}}, "policy",
         "floor == 0.01, must be in [0.05, 0.5], or 0 of an experiment that splits."),
        ({"policy": {"ship_when": "valuable"}}, "policy",
         "ship_when == 'valuable', must be 'significant' in a bandit."),
        ({"policy": {"planned_units": 400, "burn_in_units": 400}}, "policy",
         "burn_in_units == 400, must be less than planned_units == 400: shares change, and epochs end, "
         "from the first update on."),
        ({"segments": ["country"]}, "segments", "segments == ['country'], must be none in a bandit."),
        ({"ramp": [{"after_seconds": 60, "allocation": 1.0}], "allocation": 0.1}, "ramp",
         "ramp == 1 steps, must be none: a bandit's shares follow its rewards."),
        ({"hashing": "growthbook_v2"}, "hashing",
         "hashing == 'growthbook_v2', must be 'sha256' in a bandit: users keep their variant, which the "
         "server remembers."),
        ({"mode": "split", "policy": {"floor": 0.1}}, "policy",
         "floor == 0.1, must be 0: mode == 'split', and only a bandit has one."),
    ],
)  # fmt: skip
def test_settings(draft, change, field, sentence):
    refused(replace(draft, **change), field, sentence)


def test_more_variants_than_floors_fit(draft):
    control, treatment = draft.variants
    three = [
        replace(control, weight=0.4),
        *(replace(treatment, key=f"t{n}", weight=0.3) for n in range(2)),
    ]
    refused(
        replace(draft, variants=three, policy={"floor": 0.4}), "policy",
        "floor == 0.4, must be at most 0.333333: it is the least share of each of 3 variants.",
    )  # fmt: skip


def test_a_share_below_the_floor(draft):
    control, treatment = draft.variants
    uneven = [replace(control, weight=0.95), replace(treatment, weight=0.05)]
    refused(
        replace(draft, variants=uneven), "variants",
        "weight of variant 'treatment' == 0.05, must be at least the floor of 0.1.",
    )  # fmt: skip


def test_metrics_that_ripen_late_or_have_no_mean(shop, draft):
    month = Metric.objects.create(
        project=shop.project, key="kept", kind="mean", event="click", window_seconds=30 * DAY
    )
    policy = {"minimum_run_seconds": 35 * DAY}
    refused(
        replace(draft, metrics=[ExperimentMetricDraft(month)], policy=policy), "metrics",
        "window of 'kept' ends 2.592e+06 s after exposure, must be at most 604800 s in a bandit: it "
        "learns from users whose windows have closed.",
    )  # fmt: skip
    # A verdict waits for the windows of every metric.
    roles = [ExperimentMetricDraft(shop.metric), ExperimentMetricDraft(month, role="guardrail")]
    refused(
        replace(draft, metrics=roles, policy=policy), "metrics",
        "window of 'kept' ends 2.592e+06 s after exposure, must be at most 604800 s in a bandit: it "
        "learns from users whose windows have closed.",
    )  # fmt: skip
    wait = Metric.objects.create(project=shop.project, key="wait", kind="quantile", event="click")
    refused(
        replace(draft, metrics=[ExperimentMetricDraft(wait)]), "metrics",
        "primary metric 'wait' is a quantile, must have a mean: it is a bandit's reward.",
    )  # fmt: skip


def test_nobody_sets_its_shares_by_hand(shop, draft):
    experiment = builders.experiment(shop, draft.surface, mode="bandit", allocation=0.5)
    uneven = Change(weights={"control": 0.9, "treatment": 0.1})
    with pytest.raises(ValueError, match=r"must stay .*: a bandit's shares follow its rewards"):
        change_shares(experiment=experiment, change=uneven, by="ann")
    assert experiment.epochs.count() == 1
    assert change_shares(experiment=experiment, change=Change(allocation=1.0), by="ann").number == 2
