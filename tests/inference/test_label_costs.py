"""Costs of mistakes and abstention: the rule by itself, and through HTTP, the gate and a metric."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from experiments.actions.define_experiment import define_experiment
from experiments.actions.experiment_draft import ExperimentMetricDraft
from experiments.actions.start_experiment import start_experiment
from experiments.ingest.rows import Rows
from experiments.looks.roll_up import roll_up
from experiments.models import Metric, Observation, Slate
from inference.evaluation.gate import GateRule, Rival, Serving, judge
from inference.evaluation.scores import Scores
from inference.models import ModelVersion, Surface
from inference.serving.label_costs import ABSTAINED, CostError, LabelCosts, table_of
from tests.support import builders
from tests.support.learning import train

LABELS = ("routine", "urgent")


def table(costs, abstain=None, labels=LABELS):
    return table_of(LabelCosts.parse(costs, abstain), labels)


def test_without_costs_the_most_probable_label_is_answered():
    probabilities = np.random.default_rng(0).dirichlet([1, 1, 1], 200).astype(np.float32)
    choices, minimum = table({}, labels=("a", "b", "c")).choose(probabilities)
    assert (choices == probabilities.argmax(1)).all()
    assert minimum == pytest.approx(1 - probabilities.max(1))


def test_the_decision_is_the_least_expected_cost_by_the_whole_matrix():
    rng = np.random.default_rng(1)
    labels = ("a", "b", "c")
    matrix = rng.uniform(0, 5, (3, 3)) * (1 - np.eye(3))
    costs = {t: {a: matrix[i, j] for j, a in enumerate(labels)} for i, t in enumerate(labels)}
    probabilities = rng.dirichlet([1, 1, 1], 300).astype(np.float32)
    expected = probabilities.astype(float) @ matrix
    choices, minimum = table(costs, 0.8, labels).choose(probabilities)
    assert minimum == pytest.approx(expected.min(1), abs=1e-6)
    assert ((choices == ABSTAINED) == (expected.min(1) > 0.8)).all()
    decided = choices != ABSTAINED
    assert (choices[decided] == expected.argmin(1)[decided]).all()
    truth = rng.integers(3, size=300)
    realised = np.where(decided, matrix[truth, np.maximum(choices, 0)], 0.8)
    assert table(costs, 0.8, labels).realised(choices, truth) == pytest.approx(realised)


def test_a_decision_records_its_costs_by_true_label():
    decided = table({"Urgent ": {"ROUTINE": 20}}).decide(np.array([0.99, 0.01], np.float32))
    assert (decided.label, decided.expected_cost) == ("routine", pytest.approx(0.2, abs=1e-4))
    assert decided.recorded() == {
        "label": "routine", "costs": {"routine": 0.0, "urgent": 20.0}, "otherwise": 1.0
    }  # fmt: skip
    unsure = table({"urgent": {"routine": 20}}, 0.4).decide(np.array([0.5, 0.5], np.float32))
    assert unsure.recorded() == {"label": None, "costs": {}, "otherwise": 0.4}
    assert unsure.expected_cost == 0.5


@pytest.mark.parametrize(
    ("costs", "abstain", "field"),
    [
        ([], None, "costs"),
        ({"a": 1}, None, "costs.a"),
        ({"a": {"b": -1}}, None, "costs.a.b"),
        ({"a": {"b": float("nan")}}, None, "costs.a.b"),
        ({"a": {"b": float("inf")}}, None, "costs.a.b"),
        ({"a": {"b": True}}, None, "costs.a.b"),
        ({"a": {"b": "1"}}, None, "costs.a.b"),
        ({"a": {" ": 1}}, None, "costs"),
        ({"": {"b": 1}}, None, "costs"),
        ({"a": {"A": 1}}, None, "costs.a.A"),
        ({"a": {"b": 1, "B": 2}}, None, "costs.a.B"),
        ({}, -0.1, "abstain_cost"),
        ({}, float("inf"), "abstain_cost"),
    ],
)
def test_costs_that_break_a_rule_are_refused_by_field(costs, abstain, field):
    with pytest.raises(CostError, match=r"must be|stated already") as refused:
        LabelCosts.parse(costs, abstain)
    assert refused.value.field == field


def patch(lane, desk, body):
    headers = {"Authorization": f"Bearer {desk.secret}"}
    return lane.client.patch(f"/v1/surfaces/{desk.surface.key}", json=body, headers=headers)


def test_a_surface_refuses_costs_it_cannot_have(lane, desk):
    for body, field in (
        ({"costs": {"billing": {"fraud": 2}}}, "costs.billing.fraud"),
        ({"costs": {"fraud": {"billing": 2}}}, "costs.fraud"),
        ({"costs": {"billing": {"account": -2}}}, "costs.billing.account"),
        ({"abstain_cost": -1}, "abstain_cost"),
    ):
        refused = patch(lane, desk, body)
        assert refused.status_code == 422, refused.text
        error = refused.json()["error"]
        assert (error["code"], error["field"]) == ("invalid_cost", field)
        assert "must be" in error["message"]
    assert patch(lane, desk, {"costs": {"billing": {"account": 2}}}).status_code == 200
    removed = patch(lane, desk, {"labels": ["billing", "delivery"]})
    assert removed.json()["error"]["field"] == "costs.billing.account"
    Surface.objects.create(project=desk.project, key="feed")
    desk.surface = Surface.objects.get(project=desk.project, key="feed")
    refused = patch(lane, desk, {"abstain_cost": 1.0})
    assert "on a surface of kind 'recommend'" in refused.json()["error"]["message"]


def test_answers_gate_and_page_follow_the_costs(lane, desk):
    body = {"costs": {"delivery": {"billing": 50, "account": 50}}, "abstain_cost": 0.3}
    assert patch(lane, desk, body).status_code == 200
    desk.surface.refresh_from_db()
    run = train(desk.surface, "tfidf")
    rows = run.version.gate["rows"]
    assert 0 <= rows["decision_cost"]["challenger"] < rows["decision_cost"]["champion"]
    assert 0 < rows["abstained"]["challenger"] < 1
    client = Client()
    client.force_login(builders.make_root())
    page = client.get(f"/runs/{run.pk}/").content.decode()
    assert "Mean cost of a decision" in page
    assert "Share left to a person" in page
    before = ask(lane, desk, "rain")
    assert (before["labels"][0]["label"], before["decision"]) == ("other", None)
    assert (before["abstained"], before["expected_cost"]) == (True, None)
    ModelVersion.objects.filter(pk=run.version_id).update(alias="champion")
    lane.refresh()
    unsure = ask(lane, desk, "rain toy")
    assert (unsure["decision"], unsure["abstained"]) == (None, True)
    assert unsure["expected_cost"] > 0.3
    assert len(unsure["labels"]) == 3
    assert patch(lane, desk, {"abstain_cost": None}).status_code == 200
    lane.refresh()
    careful = ask(lane, desk, "rain rain sun toy")
    assert (careful["labels"][0]["label"], careful["decision"]) == ("billing", "delivery")
    stored = Slate.objects.get(recommendation_id=careful["recommendation_id"]).context["decision"]
    assert stored == {"label": "delivery", "costs": {"delivery": 0.0}, "otherwise": 1.0}


def ask(lane, desk, text):
    body = {
        "surface": "intents", "unit_id": "u1", "text": text,
        "context": {"decision": {"otherwise": 9}},
    }  # fmt: skip
    answer = lane.post("/v1/classify", body, desk.public)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_metric_counts_costs_from_corrections(shop):
    metric = Metric.objects.create(
        project=shop.project, key="cost", kind="ratio", event="feedback.cost", value="sum",
        denominator="feedback.cost", direction="decrease",
    )  # fmt: skip
    draft = builders.draft(shop, shop.surface, policy={"window_seconds": 600.0})
    experiment = define_experiment(replace(draft, metrics=[ExperimentMetricDraft(metric)]))
    experiment = start_experiment(experiment=experiment, by="a test")
    Surface.objects.filter(pk=shop.surface.pk).update(kind="classify")
    variant = experiment.variants.get(key="treatment")
    at = builders.minutes_ago(5)
    decisions = {
        "a": ({"label": "routine", "costs": {"routine": 0.0, "urgent": 20.0}, "otherwise": 1.0}, " Urgent"),
        "b": ({"label": None, "costs": {}, "otherwise": 0.4}, "urgent"),
        "c": ({"label": "routine", "costs": {"routine": 0.0}, "otherwise": 1.0}, "other"),
        "d": (None, "urgent"),  # a static list answered: nothing was decided
    }  # fmt: skip
    rows, corrections = Rows(), Rows()
    for unit, (decision, correction) in decisions.items():
        slate = builders.slate(
            shop, unit, ("routine",), context={"decision": decision, "text": "t"},
            experiment_id=experiment.pk, variant_id=variant.pk, served_at=at,
        )  # fmt: skip
        rows.exposures.append(builders.exposure(variant, unit=unit, at=at))
        rows.slates.append(slate)
        corrections.feedback.append(
            builders.feedback(
                shop, slate.recommendation_id, unit_id=unit, kind="correction", text=correction,
                value=None, received_at=builders.minutes_ago(4.9),
            )
        )  # fmt: skip
    builders.write(rows)
    builders.write(corrections)  # a slate is there before somebody corrects it
    with transaction.atomic():
        roll_up(experiment.pk, timezone.now() + timedelta(minutes=20))
    seen = Observation.objects.filter(experiment=experiment).values_list(
        "unit_id", "value", "denominator"
    )
    assert sorted(seen) == [("a", 20.0, 1.0), ("b", 0.4, 1.0), ("c", 1.0, 1.0), ("d", 0.0, 0.0)]


def test_where_mistakes_cost_the_mean_cost_decides_and_not_accuracy():
    """As a triage does: to call what is doubtful urgent is wrong more often, and much cheaper."""

    def scores(right, cost) -> Scores:
        per_unit = {"accuracy": np.array(right), "log_score": np.full(100, -0.5)}
        costs = {} if cost is None else {"decision_cost": np.array(cost)}
        return Scores(per_unit={**per_unit, **costs})

    def judged(theirs, ours):
        rival = Rival("tfidf@1", scores(*theirs))
        return judge(rival, [scores(*ours)], Serving(1.0, 1), GateRule.for_labels(), random_seed=0)

    often, seldom = [1.0] * 90 + [0.0] * 10, [1.0] * 80 + [0.0] * 20
    dear, cheap = [0.0] * 90 + [20.0] * 10, [0.0] * 80 + [1.0] * 20
    assert judged((often, dear), (seldom, cheap)).passed
    assert judged((often, dear), (seldom, cheap)).superior
    worse = judged((seldom, cheap), (often, dear))
    assert [reason[:28] for reason in worse.reasons] == ["mean cost of a decision == 2"]
    assert not worse.superior
    plain = judged((often, None), (seldom, None))
    assert any(reason.startswith("accuracy may be as low as") for reason in plain.reasons)


@pytest.mark.parametrize(
    ("ours", "reason"),
    [
        ([0.0, 1.0] * 50, ""),
        ([0.0, 0.0, 0.0, 1.0] * 25, ""),
        ([0.0, 20.0] + [0.0, 1.0] * 49, "must be at most 0.5250 (tfidf@1 0.5000 plus 5%)"),
        ([0.04, 1.0] * 50, "is higher than that of tfidf@1 by 0.0"),
    ],
)
def test_the_gate_refuses_decisions_that_cost_more(ours, reason):
    right = np.array([1.0, 0.0] * 50)  # as accurate as the champion, whatever the mistakes cost

    def scores(cost) -> Scores:
        per_unit = {"accuracy": right, "log_score": right - 1, "decision_cost": np.array(cost)}
        return Scores(per_unit=per_unit)

    rival = Rival("tfidf@1", scores([0.0, 1.0] * 50))
    gate = judge(rival, [scores(ours)], Serving(1.0, 1), GateRule.for_labels(), random_seed=0)
    assert gate.passed == (not reason)
    assert [one for one in gate.reasons if reason in one] == gate.reasons


def test_no_single_seed_may_cost_more_than_the_margin():
    right = np.array([1.0, 0.0] * 50)

    def scores(cost) -> Scores:
        per_unit = {"accuracy": right, "log_score": right - 1, "decision_cost": np.array(cost)}
        return Scores(per_unit=per_unit)

    def judged(seeds, **rival):
        theirs = Rival("tfidf@1", scores([0.0, 1.0] * 50), **rival)
        return judge(theirs, seeds, Serving(1.0, 1), GateRule.for_labels(), random_seed=0)

    cheap, dear = scores([0.0, 0.6] * 50), scores([0.0, 1.2] * 50)
    assert judged([cheap, cheap, cheap]).passed
    assert judged([cheap, dear, cheap]).reasons == [
        "mean cost of a decision of seed 1 == 0.6000, must be at most 0.5250"
    ]
    assert judged([cheap, scores([0.0, 1.04] * 50), cheap]).passed  # within the margin
    # Beside the labels' shares the mean alone is bounded, as with accuracy.
    reasons = judged([cheap, dear, cheap], beaten="log_score").reasons
    assert not [reason for reason in reasons if "seed" in reason]
