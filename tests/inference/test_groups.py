"""Groups of people: rates per group, gaps, small groups hidden, and the limit at the gate."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.ingest.rows import Rows
from experiments.models import LabelTask
from experiments.training_data import answer_features
from inference.actions.example_draft import ExampleDraft
from inference.actions.load_examples import load_examples
from inference.evaluation.gate import GateRule
from inference.models import Surface
from inference.runs.label_and_judge import label_and_judge
from inference.runs.label_groups import MISSING, Decisions, check_gaps, group_views, groups_of
from inference.runs.label_run import LabelRun
from inference.runs.outcome import Labelling, Recipe, RunPlan, RunProgress, Workplace
from inference.serving.label_costs import LabelCosts
from inference.training.snapshot import Examples
from tests.support import builders


def applicants(count=600, seed=0) -> Examples:
    """Loans whose purpose says little of the young: a model errs on them more often."""
    rng = np.random.default_rng(seed)
    texts, features, labels = [], [], []
    for n in range(count):
        group = ("young", "old", "rare")[0 if n % 2 else (1 if n % 40 else 2)]
        label = str(rng.choice(["default", "paid"]))
        sure = rng.random() < (0.6 if group == "young" else 0.97)
        shown = label if sure else str(rng.choice(["default", "paid"]))
        texts.append(f"{'casino' if shown == 'default' else 'house'} loan {n}")
        features.append({"age_group": group, "score": float(n)})
        labels.append(label)
    return Examples([""] * count, texts, features, labels, list(map(float, range(count))))


def plan_of(tmp_path, **labelling) -> RunPlan:
    place = Workplace(tmp_path / "artifacts")
    recipe = Recipe("tfidf", {})
    return RunPlan(recipe, None, GateRule.for_labels(), place, labelling=Labelling(**labelling))


def test_the_gate_limits_the_gap_and_small_groups_are_not_stored(tmp_path):
    plan = plan_of(tmp_path, slices=("age_group",), max_gap=0.05)
    gate = label_and_judge(plan, applicants(), RunProgress()).gate
    (attribute,) = gate.about["groups"]["attributes"]
    assert [row["group"] for row in attribute["groups"]] == ["old", "young"]
    assert attribute["hidden"] == 1
    assert "rare" not in str(gate.about["groups"])
    assert {gap["metric"] for gap in attribute["gaps"]} == {
        "accuracy", "false_positive_rate", "false_negative_rate"
    }  # fmt: skip
    (reason,) = [one for one in gate.reasons if one.startswith("gap of")]
    assert "by 'age_group' == 0." in reason
    assert reason.endswith("must be at most 0.05")
    assert not gate.passed
    wide = label_and_judge(
        plan_of(tmp_path, slices=("age_group",), max_gap=1.0), applicants(), RunProgress()
    )
    assert wide.gate.passed, wide.gate.reasons


def test_a_limit_that_nothing_can_be_held_against_is_not_kept(tmp_path):
    plan = plan_of(tmp_path, slices=("agegroup",), max_gap=0.5)
    gate = label_and_judge(plan, applicants(), RunProgress()).gate
    assert gate.reasons == ["nothing was compared: no held-out example has 'agegroup'"]
    assert not gate.passed
    (attribute,) = gate.about["groups"]["attributes"]
    assert (attribute["groups"], attribute["absent"]) == ([], True)
    free = label_and_judge(plan_of(tmp_path, slices=("agegroup",)), applicants(), RunProgress()).gate
    assert free.passed, free.reasons


def test_rates_are_those_of_the_decisions(tmp_path):
    plan = plan_of(tmp_path, slices=("score",), costs=LabelCosts.parse({"b": {"a": 9}}, 0.4))
    rows = 200
    labels = ["a" if n % 2 else "b" for n in range(rows)]
    examples = Examples([""] * rows, [f"t{n}" for n in range(rows)], [{"score": float(n)} for n in range(rows)], labels, list(map(float, range(rows))))  # fmt: skip
    run = LabelRun.of(plan, examples)
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet([1, 1], len(run.held_out.truth)).astype(np.float32)
    decisions = Decisions.of(plan.labelling, run.held_out, probabilities)
    shown = decisions.rates(np.ones(len(decisions.truth), bool))
    p, truth = probabilities[:, 1].astype(float), run.held_out.truth
    answer = np.where(9 * p < 1 - p, 0, 1)  # "a" costs 9 p, "b" costs 1 - p
    sent = np.minimum(9 * p, 1 - p) > 0.4
    cost = np.where(sent, 0.4, np.where(answer == truth, 0, np.where(truth == 1, 9, 1)))
    assert shown["abstained"] == sent.mean()
    assert shown["decision_cost"] == pytest.approx(cost.mean())
    negatives = ~sent & (truth == 0)
    assert shown["false_positive_rate"]["rate"] == pytest.approx((answer[negatives] == 1).mean())
    assert shown["accuracy"]["n"] == (~sent).sum()
    low, high = shown["accuracy"]["interval"]
    assert low < shown["accuracy"]["rate"] < high
    views = group_views(plan.labelling, run.held_out, probabilities)
    assert views["positive"] == "b"
    assert check_gaps(views, None) is None


def test_many_numbers_are_cut_into_quarters():
    groups = groups_of([float(n) for n in range(101)])
    assert len(set(groups)) == 4
    assert (groups[0], groups[100]) == ("0 to 25", "75 to 100")
    assert groups[25] == "25 to 50"
    assert groups_of([1, 2, 1, None, ""]) == ["1", "2", "1", MISSING, MISSING]
    assert groups_of([True, False, "x"]) == ["True", "False", "x"]
    assert groups_of([*map(float, range(40)), None])[-1] == MISSING


def test_a_surface_refuses_groups_it_cannot_compare(lane, desk):
    headers = {"Authorization": f"Bearer {desk.secret}"}
    for body, field in (
        ({"slices": ["a", "a"]}, "slices"),
        ({"max_gap": 0.1}, "max_gap"),
        ({"slices": ["a"], "max_gap": 0}, "max_gap"),
        ({"slices": ["a"], "max_gap": 1.5}, "max_gap"),
    ):
        refused = lane.client.patch("/v1/surfaces/intents", json=body, headers=headers)
        assert refused.status_code == 422, refused.text
        error = refused.json()["error"]
        assert (error["code"], error["field"]) == ("invalid_slice", field)
        assert "must be" in error["message"]
    desk.surface.examples.all().delete()  # before there are any, every name may come
    body = {"slices": ["age_group"], "max_gap": 0.2}
    assert lane.client.patch("/v1/surfaces/intents", json=body, headers=headers).status_code == 200
    assert Surface.objects.get(pk=desk.surface.pk).slices == ["age_group"]


@pytest.mark.parametrize(
    ("features", "hint"),
    [
        ({"age_group": "old"}, "Did you mean 'age_group'?"),
        ({"sex": "f"}, "Known are ['sex']."),
        ({}, "They have texts alone: load features first."),
    ],
)
def test_a_surface_with_examples_refuses_groups_by_what_none_has(lane, desk, features, hint):
    rows = [
        ExampleDraft(f"e{n}", label="a", text=f"t {n}", features=features if n else {})
        for n in range(3)
    ]
    load_examples(surface_id=desk.surface.pk, examples=rows)
    headers = {"Authorization": f"Bearer {desk.secret}"}
    body = {"slices": ["agegroup"], "max_gap": 0.2}
    refused = lane.client.patch("/v1/surfaces/intents", json=body, headers=headers)
    assert refused.json()["error"] == {
        "code": "invalid_slice",
        "message": f"slice == 'agegroup': no example has such a feature. {hint}",
        "field": "slices",
    }
    body = {"slices": [*features]}
    assert lane.client.patch("/v1/surfaces/intents", json=body, headers=headers).status_code == 200


def test_groups_by_a_feature_that_is_gone_stop_no_other_edit(lane, desk):
    load_examples(surface_id=desk.surface.pk, examples=[ExampleDraft("e1", label="a", text="t")])
    Surface.objects.filter(pk=desk.surface.pk).update(slices=["gone"], max_gap=0.2)

    def patch(body):
        headers = {"Authorization": f"Bearer {desk.secret}"}
        return lane.client.patch("/v1/surfaces/intents", json=body, headers=headers)

    for body in ({"max_gap": 0.3}, {"abstain_cost": 0.5}, {"exploration": 0.1}, {"slices": ["gone"]}):
        answer = patch(body)
        assert answer.status_code == 200, answer.text
    assert patch({"slices": ["gone", "lost"]}).json()["error"]["field"] == "slices"
    assert patch({"slices": [], "max_gap": None}).status_code == 200


def test_groups_may_be_by_what_only_requests_and_reviewed_texts_bring(lane, desk, monkeypatch):
    load_examples(surface_id=desk.surface.pk, examples=[ExampleDraft("e1", label="a", text="t")])

    def answer(features, **fields):
        context = {"text": "t", "features": features}
        slate = builders.make_slate(desk, "u1", ("a",), context=context)
        rows = Rows()
        rows.feedback.append(builders.feedback(desk, slate, **fields))
        builders.write(rows)

    def refused(name):
        headers = {"Authorization": f"Bearer {desk.secret}"}
        body = {"slices": [name]}
        answered = lane.client.patch("/v1/surfaces/intents", json=body, headers=headers)
        return answered.json()["error"]["message"] if answered.status_code == 422 else None

    answer({"country": "FI"}, kind="correction", text="a", value=None)
    answer({"plan": "pro"}, kind="thumb", value=1.0)
    answer({"seat": 3}, kind="thumb", value=-1.0)  # nothing is learnt from it
    LabelTask.objects.create(
        project=desk.project, surface=desk.surface, source_id="answer:x", features={"device": "tv"}
    )
    for name in ("country", "plan", "device"):
        assert refused(name) is None
    assert "no example has such a feature" in refused("seat")
    assert "Did you mean 'country'?" in refused("county")
    monkeypatch.setattr(answer_features, "MAX_READ", 1)  # not all of them were read
    assert refused("seat") is None


def test_the_page_of_a_run_shows_groups(desk):
    from django.test import Client

    from tests.support.learning import make_examples, train

    Surface.objects.filter(pk=desk.surface.pk).update(slices=["channel"], max_gap=1.0)
    load_examples(surface_id=desk.surface.pk, examples=make_examples(each=120, features=True))
    desk.surface.refresh_from_db()
    run = train(desk.surface, "tfidf")
    client = Client()
    client.force_login(builders.make_root())
    page = client.get(f"/runs/{run.pk}/").content.decode()
    for part in ("<h2>Groups</h2>", "<h3>channel</h3>", "Left to a person", "largest gap"):
        assert part in page, part
