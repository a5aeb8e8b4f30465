"""What interleaving refuses: each a sentence with the value and the rule, and nothing is stored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiments.actions.change_shares import Change, change_shares
from experiments.actions.define_experiment import CannotDefineError, define_experiment
from experiments.actions.experiment_draft import ExperimentDraft, ExperimentMetricDraft, VariantDraft
from experiments.models import Experiment, Metric, RuleVersion
from inference.actions.load_items import ItemDraft, load_items
from inference.models import ModelVersion
from tests.support import builders


@pytest.fixture
def draft(shop):
    challenger = builders.make_version(shop.surface, list(range(1, 11)))
    return ExperimentDraft(
        surface=shop.surface,
        key="lists",
        mode="interleave",
        variants=[
            VariantDraft("control", shop.champion, 0.5, is_control=True),
            VariantDraft("treatment", challenger, 0.5),
        ],
        metrics=[ExperimentMetricDraft(shop.metric)],
    )


def refused(draft, field, sentence):
    with pytest.raises(CannotDefineError) as refusal:
        define_experiment(draft)
    assert (refusal.value.field, str(refusal.value)) == (field, sentence)
    assert not Experiment.objects.filter(project=draft.surface.project).exists()


def test_a_sound_draft_is_judged_by_bets_and_ships_nothing_by_itself(draft):
    experiment = define_experiment(draft)
    assert experiment.policy == {"rule": "always_valid", "promote": False}
    assert experiment.breaker_alpha == 0


def test_an_unknown_mode(draft):
    refused(
        replace(draft, mode="blend"), "mode",
        "mode == 'blend', must be one of ['split', 'interleave', 'bandit', 'cluster', 'switchback'].",
    )  # fmt: skip


def test_a_surface_without_lists(draft):
    draft.surface.kind = "classify"
    draft.surface.save()
    refused(
        draft, "mode",
        "mode == 'interleave' on a surface of kind 'classify', must be on one of kind 'recommend'.",
    )  # fmt: skip


def test_unequal_shares(draft):
    control, treatment = draft.variants
    uneven = [replace(control, weight=0.9), replace(treatment, weight=0.1)]
    refused(
        replace(draft, variants=uneven), "variants",
        "weights == [0.9, 0.1], must be equal: the versions draft by a fair coin.",
    )  # fmt: skip


def test_more_versions_than_a_list_has_room_for(shop, draft):
    more = [
        VariantDraft(f"treatment-{n}", builders.make_version(shop.surface, [n] * 10), 0.2)
        for n in range(2, 5)
    ]
    five = [*(replace(one, weight=0.2) for one in draft.variants), *more]
    refused(
        replace(draft, variants=five), "variants",
        "variants == 5, must be 2 to 4 where lists are interleaved.",
    )  # fmt: skip


def test_one_version_twice(draft):
    control, treatment = draft.variants
    twice = [control, replace(treatment, version=control.version)]
    refused(
        replace(draft, variants=twice), "variants",
        "versions == 1 in 2 variants, must be a different one in each.",
    )  # fmt: skip


def test_versions_that_share_no_item(shop, draft):
    other = builders.make_project()
    ids = [f"z{n}" for n in range(5)]
    load_items(project_id=other.pk, items=[ItemDraft(i, i, "") for i in ids])
    digest = builders.make_popularity(ids, [5, 4, 3, 2, 1])
    stranger = ModelVersion.objects.create(
        surface=shop.surface, algorithm="popularity", number=9, alias="challenger",
        artifact_sha256=digest, gate={"passed": True, "rows": {}},
    )  # fmt: skip
    control, treatment = draft.variants
    strangers = [control, replace(treatment, version=stranger)]
    refused(
        replace(draft, variants=strangers), "variants",
        "items that popularity@9 shares with popularity@1 == 0, must be at least 1: versions of different "
        "catalogues cannot share a list.",
    )  # fmt: skip


def test_rules_of_one_variant(shop, draft):
    rules = RuleVersion.objects.create(surface=shop.surface, number=1, rules={}, created_by="ann")
    control, treatment = draft.variants
    ruled = [control, replace(treatment, rules=rules)]
    refused(
        replace(draft, variants=ruled), "variants",
        "variants with their own rules == ['treatment'], must be none: one list has the surface's rules.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "field", "sentence"),
    [
        ({"policy": {"rule": "fixed"}}, "policy",
         "rule == 'fixed', must be 'always_valid': interleaving is judged by bets."),
        ({"segments": ["country"]}, "segments",
         "segments == ['country'], must be none in an interleaved experiment."),
        ({"ramp": [{"after_seconds": 60, "allocation": 1.0}], "allocation": 0.1}, "ramp",
         "ramp == 1 steps, must be none: users of an interleaved experiment see the control's items too."),
    ],
)  # fmt: skip
def test_settings_of_split_experiments(draft, change, field, sentence):
    refused(replace(draft, **change), field, sentence)


def test_metrics_that_need_one_variant_or_no_item(shop, draft):
    views = Metric.objects.create(project=shop.project, key="views", kind="mean", event="view")
    both = [*draft.metrics, ExperimentMetricDraft(views, "secondary")]
    refused(
        replace(draft, metrics=both), "metrics",
        "metrics beside the primary == ['views'], must be none: nobody is in one variant alone.",
    )  # fmt: skip
    slow = Metric.objects.create(
        project=shop.project, key="slow", kind="mean", event="slate.latency", direction="decrease"
    )
    refused(
        replace(draft, metrics=[ExperimentMetricDraft(slow)]), "metrics",
        "primary metric == 'slow', must count an event of items, such as a click, without filters: it is "
        "credited to the version that ranked the item higher.",
    )  # fmt: skip
    revenue = Metric.objects.create(
        project=shop.project, key="revenue", kind="mean", event="order", value="sum"
    )
    refused(
        replace(draft, metrics=[ExperimentMetricDraft(revenue)]), "metrics",
        "value of 'revenue' == 'sum', must be 'count' or 'items': interleaving counts events.",
    )  # fmt: skip
    views.cap = 5.0
    refused(
        replace(draft, metrics=[ExperimentMetricDraft(views)]), "metrics",
        "cap of 'views' is set, must be none: interleaving has a bound of its own.",
    )  # fmt: skip


def test_shares_stay_equal_while_it_runs(shop):
    experiment = builders.interleave(shop)
    uneven = Change(weights={"control": 0.9, "treatment": 0.1}, accept_moves=True)
    with pytest.raises(
        ValueError, match=r"must stay .*: versions of interleaved lists draft by a fair"
    ):
        change_shares(experiment=experiment, change=uneven, by="ann")
    assert experiment.epochs.count() == 1
