"""Experiments that are randomised by cluster, from requests to a verdict."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from scipy import stats

from experiments.actions.change_shares import Change, change_shares
from experiments.actions.define_experiment import CannotDefineError, define_experiment
from experiments.actions.explain_assignment import assignments_of
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.start_experiment import start_experiment
from experiments.ingest.rows import Rows
from experiments.models import Experiment, Exposure, Metric, Observation
from experiments.stats.clusters import MIN_CLUSTERS, ClusterCounts
from experiments.stats.effects import compare
from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from experiments.stats.policy import Policy
from experiments.stats.totals import Totals
from inference.models import Surface
from tests.support import builders
from tests.support.clusters import visit
from tests.support.dashboard import report_path, sign_in
from tests.support.looks import look_input, metric_input

POLICY = {
    "cluster_by": "store", "planned_units": 200, "minimum_run_seconds": 0.0, "window_seconds": 60.0,
    "twyman_limit": 0.0,
}  # fmt: skip


@pytest.fixture
def draft(shop):
    return builders.draft(shop, shop.surface, "by-store", mode="cluster", policy=POLICY)


@pytest.fixture
def experiment(draft, lane):
    started = start_experiment(experiment=define_experiment(draft), by="a test")
    lane.refresh()
    return started


def ask(lane, shop, unit, **context):
    body = {"surface": "home-feed", "unit_id": unit, "context": context}
    answer = lane.post("/v1/recommend", body, shop.public)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_all_users_of_a_store_meet_one_variant(lane, shop, experiment):
    variants_of = {
        store: {ask(lane, shop, f"{store}-{n}", store=store)["variant"] for n in range(3)}
        for store in ("north", "south", "east", "west", "harbour", "station", "market", 7)
    }
    assert all(len(variants) == 1 for variants in variants_of.values())
    assert set.union(*variants_of.values()) == {"control", "treatment"}
    # A whole number and its text are one cluster, as the analysis reads both.
    assert ask(lane, shop, "7-text", store="7")["variant"] in variants_of[7]
    rows = Exposure.objects.filter(experiment=experiment)
    assert rows.count() == 25


def test_a_request_that_names_no_cluster_takes_no_part(lane, shop, experiment):
    for store in (None, "", 1.5, True, ["north"], "x" * 201):
        context = {} if store is None else {"store": store}
        answer = ask(lane, shop, "u1", **context)
        assert (answer["experiment"], answer["model"]) == (None, shop.champion.label), store
    assert not Exposure.objects.filter(experiment=experiment).exists()


def test_an_assignment_is_explained_by_its_cluster(lane, shop, experiment):
    (named,) = assignments_of(shop.project.pk, "u1", {"store": "north"})
    assert named.variant == ask(lane, shop, "u1", store="north")["variant"]
    assert [step.said for step in named.steps if step.name == "cluster"] == ["store == 'north'"]
    (unnamed,) = assignments_of(shop.project.pk, "u2", {})
    assert (unnamed.variant, unnamed.steps[1].said) == (None, "store is missing")


def test_clients_ask_the_server_and_a_page_claims_no_exposure(lane, shop, experiment):
    headers = {"Authorization": f"Bearer {shop.secret}"}
    rules = lane.client.get("/v1/flags", headers=headers).json()["running"]
    assert [(one["key"], one["remote"]) for one in rules] == [("by-store", True)]
    viewed = {
        "type": "track", "event": "Experiment Viewed", "messageId": "m1", "userId": "u1",
        "properties": {"experiment_id": "by-store", "variation_id": "treatment"},
    }  # fmt: skip
    assert lane.post("/v1/batch", {"batch": [viewed]}, shop.public).status_code < 300
    assert not Exposure.objects.filter(experiment=experiment).exists()


def look(experiment):
    taken = look_at_experiment(experiment_id=experiment.pk)
    experiment.refresh_from_db()
    return taken


LEVELS = [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4]


def test_a_verdict_counts_clusters_and_recomputes(shop, experiment):
    builders.set_programme(shop, holdback_share=0.1, holdback_days=14)
    visit(shop, experiment, LEVELS, lift=3)
    taken = look(experiment)
    assert (taken.action, taken.parsed_result.variant) == ("ship", "treatment"), taken.reason
    counts = taken.parsed_inputs.clusters
    assert counts.clusters == {"control": 20, "treatment": 20}
    assert counts.units == {"control": 120, "treatment": 120}
    assert taken.parsed_inputs.exposures == [
        ({"control": 20, "treatment": 20}, {"control": 0.5, "treatment": 0.5})
    ]
    sides = [
        Totals.of([6.0 * (level + lift) + 3 for level in LEVELS], [6.0] * 20) for lift in (0.0, 3.0)
    ]
    effect = compare("ratio", *sides)
    (row,) = taken.parsed_result.comparisons
    assert (row.effect.estimate, row.effect.se) == pytest.approx((effect.estimate, effect.se))
    again = take_look(LookInput.from_json(json.loads(json.dumps(taken.inputs))))
    assert again.as_json() == taken.parsed_result.as_json()
    shop.champion.refresh_from_db()
    assert shop.champion.alias == "retired"
    assert experiment.decisions.get().evidence["why_no_holdback"] == (
        "clusters were randomised, and a holdback splits users"
    )


def test_what_single_users_would_prove_is_not_proved_by_their_stores(shop, experiment):
    # One store of a few has a crowd that clicks: six users are no six draws.
    levels = [0] * 17 + [9, 9, 9]
    visit(shop, experiment, levels[:17] + [0] * 3, users=6)
    at = builders.minutes_ago(5)
    crowd = [
        builders.event(shop.project, unit=f"treatment-{n}-{user}", at=at, event_id=f"crowd-{n}-{user}-{k}")
        for n in range(3) for user in range(6) for k in range(9)
    ]  # fmt: skip
    builders.write(Rows(events=crowd))
    taken = look(experiment)
    (row,) = taken.parsed_result.comparisons
    assert (taken.action, row.p_value > 0.05) == ("stop_inconclusive", True), taken.reason
    values = [
        list(
            Observation.objects.filter(experiment=experiment, variant__key=key).values_list(
                "value", flat=True
            )
        )
        for key in ("control", "treatment")
    ]
    assert stats.ttest_ind(*values, equal_var=False).pvalue < 0.01


def test_few_clusters_and_clusters_of_one_have_no_verdict(shop, experiment):
    visit(shop, experiment, LEVELS[:12], lift=3, users=10)
    taken = look(experiment)
    assert (taken.action, taken.reason) == (
        "keep_running",
        "clusters of 'control' == 12, must be at least 20 in each variant: with fewer, no interval "
        "keeps its level",
    )
    (row,) = taken.parsed_result.comparisons
    assert (row.effect, row.p_value) == (None, None)


def test_clusters_of_one_are_users():
    counts = ClusterCounts({"control": 30, "treatment": 31}, {"control": 30, "treatment": 31}, 61)
    assert counts.why_not(["control", "treatment"]) == (
        "units per cluster == 1 in all 61 clusters, must be several in some: where each user is "
        "randomised, split users"
    )
    assert not replace(counts, units={"control": 31, "treatment": 31}).why_not(["control", "treatment"])


def test_users_without_a_known_cluster_are_left_out(shop, experiment):
    visit(shop, experiment, LEVELS)
    variant = experiment.variants.get(key="control")
    builders.write(Rows(exposures=[builders.exposure(variant, unit="stray")]))
    taken = look(experiment)
    counts = taken.parsed_inputs.clusters
    assert (counts.unnamed_units, counts.exposed_units) == (1, 241)
    assert sum(counts.units.values()) == 240


def test_a_page_and_a_file_show_clusters(shop, experiment):
    visit(shop, experiment, LEVELS[:12])
    look(experiment)
    client = sign_in(shop.project)
    page = client.get(report_path(experiment)).content.decode()
    assert "data-clusters" in page
    assert "Each store gets one variant" in page
    data = json.loads(client.get(report_path(experiment, "report.json")).content)
    assert data["mode"] == "cluster"
    assert data["clusters"]["rows"][0] == {
        "variant": "control", "drawn": 12, "clusters": 12, "users": 72,
    }  # fmt: skip
    for name in ("report.csv", "report.xlsx", "report.ipynb"):
        assert client.get(report_path(experiment, name)).status_code == 200


REFUSED = [
    ({"policy": {**POLICY, "cluster_by": ""}}, "policy", "cluster_by == '', must name the attribute"),
    ({"policy": {**POLICY, "cluster_by": "x" * 40}}, "policy", "must be the name of an attribute, at"),
    ({"policy": {**POLICY, "rule": "always_valid"}}, "policy",
     "rule == 'always_valid', must be 'fixed' by clusters"),
    ({"policy": {**POLICY, "minimum_nonzero": 10}}, "policy",
     "minimum_nonzero == 10, must be at least 20 by clusters."),
    ({"policy": {**POLICY, "ship_when": "valuable"}}, "policy",
     "ship_when == 'valuable', must be 'significant' by clusters."),
    ({"policy": {**POLICY, "floor": 0.1}}, "policy", "floor == 0.1, must be 0: mode == 'cluster'"),
    ({"mode": "split"}, "policy",
     "cluster_by == 'store', must be empty: mode == 'split', and only mode 'cluster' has one."),
    ({"ramp": [{"after_seconds": 60, "allocation": 1.0}], "allocation": 0.1}, "ramp",
     "ramp == 1 steps, must be none: the shares of clusters stay."),
    ({"segments": ["country"]}, "segments", "segments == ['country'], must be none by clusters"),
    ({"sticky": True}, "sticky", "sticky == True, must be false by clusters"),
    ({"hashing": "growthbook_v2"}, "hashing", "hashing == 'growthbook_v2', must be 'sha256' by"),
]  # fmt: skip


def test_what_clusters_cannot_do_is_refused(draft):
    for change, field, sentence in REFUSED:
        with pytest.raises(CannotDefineError) as refusal:
            define_experiment(replace(draft, **change))
        assert refusal.value.field == field
        assert sentence in str(refusal.value)
    assert not Experiment.objects.filter(project=draft.surface.project).exists()


def test_flags_quantiles_and_a_third_variant_are_refused(shop, draft):
    flag = Surface.objects.create(project=shop.project, key="button", kind="flag")
    with pytest.raises(
        CannotDefineError, match="mode == 'cluster' on a surface of kind 'flag', must be"
    ):
        define_experiment(builders.draft(shop, flag, mode="cluster", policy=POLICY))
    slow = Metric.objects.create(
        project=shop.project, key="slow", kind="quantile", event="slate.latency"
    )
    with pytest.raises(CannotDefineError, match="'slow' is a quantile, must be a mean or a ratio"):
        define_experiment(replace(draft, metrics=[replace(draft.metrics[0], metric=slow)]))
    third = replace(draft.variants[1], key="third", weight=0.0)
    with pytest.raises(CannotDefineError, match="variants == 3, must be 2 by clusters"):
        define_experiment(replace(draft, variants=[*draft.variants, third]))


def test_shares_stay_and_nobody_else_may_wait_for_a_cluster(shop, experiment):
    with pytest.raises(ValueError, match="shares of 'by-store' must stay: it is randomised by cluster"):
        change_shares(experiment=experiment, change=Change(allocation=1.0), by="a test")
    flag = Surface.objects.create(project=shop.project, key="button", kind="flag")
    waits = [{"experiment": "by-store", "variants": ["treatment"]}]
    with pytest.raises(CannotDefineError, match="'by-store' is randomised by cluster, must be by user"):
        define_experiment(builders.draft(shop, flag, prerequisites=waits))


def test_the_api_defines_one_and_refuses_in_a_sentence(lane, shop, draft):
    body = {
        "key": "by-api", "surface": "home-feed", "mode": "cluster", "policy": POLICY,
        "variants": [
            {"key": "control", "model": draft.variants[0].version.label, "weight": 0.5, "is_control": True},
            {"key": "treatment", "model": draft.variants[1].version.label, "weight": 0.5},
        ],
        "metrics": [{"metric": "clicks"}],
    }  # fmt: skip
    refused = lane.post("/v1/experiments", body | {"policy": {}}, shop.secret)
    assert refused.status_code == 422
    assert "cluster_by == '', must name the attribute" in refused.json()["error"]["message"]
    defined = lane.post("/v1/experiments", body, shop.secret)
    assert (defined.status_code, defined.json()["mode"]) == (201, "cluster")
    assert defined.json()["policy"]["rule"] == "fixed"
    assert defined.json()["breaker_alpha"] == 0


def test_a_form_makes_one_and_a_split_takes_it_back(shop):
    client = sign_in(shop.project, role="analyst")
    stored = define_experiment(builders.draft(shop, shop.surface, "by-form"))

    def save(**changes):
        form = client.get(report_path(stored, "edit/")).context["form"]
        sent = {
            name: one for name, one in form.initial.items() if str(one) not in {"None", "False", "[]"}
        }
        answer = client.post(report_path(stored, "edit/"), sent | changes)
        stored.refresh_from_db()
        return answer

    unnamed = save(mode="cluster").content.decode()
    assert "Name the attribute of the context that has the cluster, such as store." in unnamed
    assert stored.mode == "split"
    assert save(mode="cluster", cluster_by="store").status_code == 302
    assert (stored.mode, stored.breaker_alpha) == ("cluster", 0)
    policy = stored.parsed_policy
    assert (policy.cluster_by, policy.rule, policy.minimum_nonzero) == ("store", "fixed", 20)
    assert save(mode="split", rule="always_valid").status_code == 302
    policy = stored.parsed_policy
    assert (policy.cluster_by, policy.rule, policy.minimum_nonzero) == ("", "always_valid", 100)


def one_look(seed: int) -> tuple[bool, bool]:
    """Whether an A/A of stores is called a difference: by its clusters, and by its users alone."""
    rng = np.random.default_rng(seed)
    sizes = 5 + rng.poisson(20, 2 * MIN_CLUSTERS)
    level = rng.normal(10, 2, len(sizes))
    values = [rng.normal(one, 3, size) for one, size in zip(level, sizes, strict=True)]
    sides = np.split(np.arange(len(sizes)), 2)
    counts = ClusterCounts(
        dict(zip(("control", "treatment"), map(len, sides), strict=True)),
        dict(zip(("control", "treatment"), (int(sizes[one].sum()) for one in sides), strict=True)),
        int(sizes.sum()),
    )
    by_store, by_user = (
        dict(zip(("control", "treatment"), totals, strict=True))
        for totals in (
            [Totals.of([values[n].sum() for n in one], sizes[one].astype(float)) for one in sides],
            [Totals.of(np.concatenate([values[n] for n in one])) for one in sides],
        )
    )
    policy = Policy(rule="fixed", planned_units=100, minimum_nonzero=20, minimum_run_seconds=0)
    called = (
        take_look(
            look_input(
                metric_input(totals, kind=kind), policy=policy, clusters=clusters,
                exposures=[({"control": 20, "treatment": 20}, {"control": 0.5, "treatment": 0.5})],
            )
        )
        for totals, kind, clusters in ((by_store, "ratio", counts), (by_user, "mean", None))
    )  # fmt: skip
    return tuple(one.action in {"ship", "roll_back"} for one in called)


def test_no_effect_keeps_its_level_at_the_fewest_clusters():
    calls = np.array([one_look(seed) for seed in range(200)])
    ours, naive = calls.sum(axis=0)
    assert stats.binomtest(int(ours), len(calls), 0.05).pvalue > 0.01
    assert naive / len(calls) >= 0.15


def test_the_window_of_a_user_closes_before_the_cluster_counts(shop, experiment):
    visit(shop, experiment, LEVELS)
    now = builders.now() - timedelta(minutes=4, seconds=30)
    taken = look_at_experiment(experiment_id=experiment.pk, now=now)
    counts = taken.parsed_inputs.clusters
    assert (counts.clusters, counts.exposed_units) == ({}, 240)
    assert taken.action == "keep_running"
