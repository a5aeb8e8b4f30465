"""Policies: what they read, learn and prefer; their gate; and their life from decisions to champion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from django.conf import settings
from django.urls import reverse

from experiments.actions.advance_challenger import advance_challenger
from experiments.actions.change_surface import CannotChangeSurfaceError, patch_surface
from experiments.actions.promote_version import promote_version
from experiments.actions.retrain_surface import retrain_surface
from experiments.actions.shadow_version import CannotShadowError, shadow_version
from experiments.reports.read_autopilot import read_autopilot
from experiments.training_data.decisions import decisions_of
from inference.actions.queue_training import CannotTrainError
from inference.models import ModelVersion, TrainingRun
from inference.options import FitOptions
from inference.policies import POLICIES
from inference.runs.outcome import Recipe, RunError, RunPlan, RunProgress, Workplace
from inference.runs.policy_and_judge import RULE, policy_and_judge
from inference.serving.action_features import MAX_PRODUCTS, Columns, FeatureSpace
from inference.serving.action_set import ActionSet
from inference.serving.artifact import save_artifact
from inference.serving.linear_policy import LinearPolicy
from inference.serving.rank_settings import RankSettings
from inference.training.decisions import Decisions
from inference.training.snapshot import read_snapshot, write_snapshot
from inference.training_process.attempt import _work_of
from tests.support import builders
from tests.support.dashboard import sign_in
from tests.support.fast_lane import test_database_url
from tests.support.learning import train
from tests.support.ranking import (
    TASTES,
    best_of,
    decide,
    make_decisions,
    make_rank_surface,
    taste,
    write_decisions,
)

SETTINGS = RankSettings(sample=1.0)


def policy_of(draft, tmp_path) -> LinearPolicy:
    return LinearPolicy.load(tmp_path, save_artifact(tmp_path, draft))


def run(rows, tmp_path, *, name="linear-thompson", champion=None, settings=SETTINGS, **params):
    plan = RunPlan(
        recipe=Recipe(name, params), champion=champion, rule=RULE, place=Workplace(artifacts=tmp_path)
    )
    return policy_and_judge(plan, rows, RunProgress(), settings=settings)


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_a_policy_learns_which_action_suits_which_context(tmp_path, name):
    policy = policy_of(POLICIES[name].fit(make_decisions(1500), FitOptions()), tmp_path)
    rng = np.random.default_rng(0)
    for context in TASTES:
        shares = policy.prefer(taste(context), rng).shares
        assert shares.sum() == pytest.approx(1)
        assert taste(context).ids[int(np.argmax(shares))] == best_of(context)


def test_expected_rewards_are_those_of_ridge_regression():
    rows = make_decisions(400)
    draft = POLICIES["linucb"].fit(rows, FitOptions(params={"ridge": 2.0}))
    space = FeatureSpace(Columns.learn(rows.features), Columns.learn(rows.context))
    x = space.rows(space.actions.read_rows(rows.features), space.context.read_rows(rows.context))
    y = np.array(rows.reward)
    # The oracle: least squares of the centred rewards with √ridge · I below the rows.
    below = np.sqrt(2.0) * np.eye(space.size)
    whole = np.concatenate([x, below])
    weights, *_ = np.linalg.lstsq(whole, np.concatenate([y - y.mean(), np.zeros(space.size)]))
    weights[0] += y.mean()
    np.testing.assert_allclose(draft.arrays["mean"], weights, atol=1e-5)
    factor = draft.arrays["factor"].astype(float)
    # What the prior says of the weights counts as noise, too; it is around the mean reward.
    drawn = weights - np.eye(space.size)[0] * y.mean()
    noise = (((y - x @ weights) ** 2).sum() + 2.0 * drawn @ drawn) / len(y)
    wanted = noise * np.linalg.inv(x.T @ x + 2.0 * np.eye(space.size))
    np.testing.assert_allclose(factor @ factor.T, wanted, atol=1e-4 * wanted.max())


def test_many_products_share_columns_by_a_hash():
    numbers = {f"x{n}": (0.0, 1.0) for n in range(40)}
    space = FeatureSpace(Columns(numbers, {}), Columns(dict(list(numbers.items())[:10]), {}))
    rng = np.random.default_rng(0)
    actions, context = rng.normal(size=(3, 40)), rng.normal(size=(1, 10))
    rows = space.rows(actions, context)
    assert rows.shape == (3, space.size)
    assert space.size <= 1 + 10 + 40 + MAX_PRODUCTS < 1 + 10 + 40 + 400
    # A product is in exactly one sum: all sums together are all products, up to signs.
    order, signs, _ = space.products
    each = (context[:, :, None] * actions[:, None, :]).reshape(3, -1)
    np.testing.assert_allclose(rows[:, 51:].sum(1), (each[:, order] * signs).sum(1))


@pytest.mark.parametrize(("features", "context"), [(40, 10), (4, 3), (3, 0)])
def test_a_decisions_rows_are_those_that_were_learnt_from(features, context):
    """Serving multiplies matrices where training gathers products: both are the same rows."""
    rng = np.random.default_rng(1)
    numbers = {f"x{n}": (0.5, 2.0) for n in range(features)}
    space = FeatureSpace(
        Columns(numbers, {"brand": ("a", "b")}),
        Columns({f"c{n}": (0.0, 1.0) for n in range(context)}, {}),
    )
    about = {f"c{n}": float(rng.normal()) for n in range(context)}
    actions = ActionSet(
        list("uvw"), tuple(numbers), rng.normal(size=(3, features)), {"brand": ["a", None, "b"]}, about
    )
    actions.numbers[1, 2] = np.nan
    each = [dict(zip(numbers, row.tolist(), strict=True)) | {"brand": brand} for row, brand in zip(actions.numbers, ["a", None, "b"], strict=True)]  # fmt: skip
    learnt = space.rows(space.actions.read_rows(each), space.context.read_rows([about] * 3))
    np.testing.assert_allclose(space.rows_of(actions), learnt, atol=1e-12)


def test_draws_have_their_mirror_images():
    """Of two actions that differ in nothing but their signs each is the best in half of all draws."""
    space = FeatureSpace(Columns({"x": (0.0, 1.0)}, {}), Columns({}, {}))
    policy = LinearPolicy(
        space, np.zeros(2, np.float32), np.eye(2, dtype=np.float32), kind="thompson", width=0.5
    )
    actions = ActionSet(["a", "b"], ("x",), np.array([[1.0], [-1.0]]), {}, {})
    for seed in range(5):
        shares = policy.prefer(actions, np.random.default_rng(seed)).shares
        assert shares.tolist() == [0.5, 0.5]


def test_words_and_missing_values_are_read_as_they_were_learnt():
    columns = Columns.learn(
        [{"price": 1.0, "brand": "x"}, {"price": 3.0, "brand": "y"}, {"price": None, "brand": "x"}]
    )
    assert columns.texts == {"brand": ("x", "y")}
    assert columns.numbers == {"price": (2.0, 1.0)}
    read = columns.read_rows([{"price": None, "brand": "z"}, {"price": 1e9, "brand": "y"}])
    assert read.tolist() == [[0.0, 0.0, 0.0], [10.0, 0.0, 1.0]]
    assert Columns.from_json(columns.as_json()) == columns


def test_the_same_rows_give_the_same_artifact(tmp_path):
    rows = make_decisions(300)
    first, second = run(rows, tmp_path), run(rows, tmp_path)
    assert first.artifact_sha256 == second.artifact_sha256
    assert first.gate.rows["match"] == second.gate.rows["match"]
    assert first.gate.about["off_policy"] == second.gate.about["off_policy"]


def test_a_better_policy_passes_and_its_value_is_what_it_then_earns(tmp_path):
    gate = run(make_decisions(1500), tmp_path).gate
    assert gate.passed
    assert gate.superior
    low, high = gate.rows["reward"]["interval"]
    # Served uniformly .4; the best action earns .8, and a fifth of the decisions are floors.
    assert low < (0.8 * 0.8 + 0.1 * 0.4 + 0.1 * 0.2) - 0.4 < high


def test_what_is_worse_for_certain_is_refused(tmp_path):
    # What is learnt is turned round in what is held out.
    rows = make_decisions(1500, turned_from=1200)
    gate = run(rows, tmp_path, champion=Recipe("linucb", {}, "linucb@1")).gate
    assert not gate.passed
    assert "reward is lower than that of what was served by" in gate.reasons[0]


def upside_down(count):
    """Decisions of a surface without a champion whose rewards are turned round but for the last fifth."""
    rows = make_decisions(count, served="floors", turned_from=count * 4 // 5)
    return replace(rows, reward=[1 - one for one in rows.reward])


def test_at_default_settings_what_learnt_rewards_upside_down_is_refused(tmp_path):
    gate = run(upside_down(5000), tmp_path, settings=RankSettings()).gate
    assert not gate.passed
    assert "reward is lower than that of what was served by" in gate.reasons[0]
    value = gate.about["off_policy"]
    assert value["estimate"] < value["earned"] - 0.3
    assert 20 < value["effective_size"] < 100


def test_of_few_decisions_a_policy_is_not_judged(tmp_path):
    gate = run(upside_down(500), tmp_path, settings=RankSettings()).gate
    assert gate.passed
    assert "reward" not in gate.rows
    assert "must be at least 20" in gate.about["off_policy"]["refused"]
    (note,) = gate.about["notes"]
    assert note.startswith("the policy's value was not judged: effective sample size == ")
    unknown = run(make_decisions(300, sample=False), tmp_path).gate
    assert unknown.about["off_policy"]["refused"] == (
        "held-out decisions with all actions == 0, must be at least 20."
    )


def test_too_few_decisions_are_refused(tmp_path):
    with pytest.raises(RunError, match="decisions == 50, must be at least 200"):
        run(make_decisions(50), tmp_path)
    apprentice = RankSettings(apprentice=0.8)
    with pytest.raises(RunError, match="decisions with all actions == 0, must be at least 200"):
        run(make_decisions(300, sample=False), tmp_path, settings=apprentice)


def test_an_apprentice_passes_when_it_predicts_the_default_action(tmp_path):
    apprentice = RankSettings(apprentice=0.8)
    by_rule = make_decisions(400, served="rule")
    learnt = run(by_rule, tmp_path, settings=apprentice).gate
    assert learnt.passed
    assert learnt.rows["match"]["challenger"] > 0.95
    by_chance = run(make_decisions(400, served="chance"), tmp_path, settings=apprentice).gate
    assert "match with the default action == 0." in by_chance.reasons[0]
    assert "must be at least 0.8" in by_chance.reasons[0]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"ridge": -1}, "parameter ridge == -1, must be at least 0"),
        ({"width": -1.0}, "parameter width == -1, must be above 0"),
        ({"depth": 3}, "parameter == 'depth', must be one of"),
    ],
)
def test_parameters_are_refused(shop, params, message):
    surface = make_rank_surface(shop.project)
    with pytest.raises(CannotTrainError, match=message):
        retrain_surface(surface=surface, algorithm="linucb", trigger="a test", params=params)


def test_a_surface_without_decisions_and_another_kind_train_no_policy(shop):
    surface = make_rank_surface(shop.project)
    with pytest.raises(CannotTrainError, match="has no decisions to learn from"):
        retrain_surface(surface=surface, algorithm="linucb", trigger="a test")
    with pytest.raises(CannotTrainError, match="must be one of"):
        retrain_surface(surface=shop.surface, algorithm="linucb", trigger="a test")


@pytest.fixture(scope="module")
def offers(tables, shared_lane):
    """A shop whose policy was trained by a worker, and is champion."""
    shop = builders.make_shop()
    shop.surface = make_rank_surface(shop.project)
    write_decisions(shop, shop.surface, make_decisions(500))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", test_database_url())
        run = train(shop.surface, "linear-thompson")
    assert run.state == "passed", run.message
    shared_lane.refresh()
    assert advance_challenger(surface=shop.surface) is None
    shared_lane.refresh()
    return shop


def test_decisions_are_learnt_from_as_they_were_stored(shop, tmp_path):
    surface, rows = make_rank_surface(shop.project), make_decisions(30)
    write_decisions(shop, surface, rows)
    read = decisions_of(surface)
    assert read.as_columns()["chosen"] == rows.as_columns()["chosen"]
    assert read.as_columns()["actions"] == rows.as_columns()["actions"]
    assert list(read.reward) == list(rows.reward)
    assert list(read.stored) == [1.0] * 30
    rare = replace(read, stored=[0.25, *read.stored[1:]])
    assert read_snapshot(tmp_path, write_snapshot(tmp_path, rare), Decisions).stored[:2] == [0.25, 1.0]
    other = make_decisions(1)
    write_decisions(shop, surface, replace_features(other, {"colour": "red"}))
    assert len(decisions_of(surface)) == 31  # a feature may be missing
    write_decisions(shop, surface, replace_features(make_decisions(1), {"brand": 3}))
    misread = decisions_of(surface)
    assert len(misread) == 31  # one that a client got wrong sets no other aside
    left_out = "left out: a feature is a number in them and a text in most of the newest"
    assert misread.notes == [f"1 decision was {left_out}, or the reverse."]
    write_decisions(shop, surface, replace_features(make_decisions(40), {"brand": 3}))
    assert len(decisions_of(surface)) == 42
    run = retrain_surface(surface=surface, algorithm="linucb", trigger="a test")
    with pytest.raises(RunError, match=f"== 42, must be at least 200. 30 decisions were {left_out}"):
        _work_of(run, None, None)(RunProgress())


def replace_features(rows, features):
    columns = {name: getattr(rows, name) for name in rows.__slots__}
    return type(rows)(**{**columns, "features": [features] * len(rows)})


def test_rare_features_are_not_learnt_and_missing_ones_are_the_mean():
    rows = [{"price": 1.0}, {"price": 3.0, "brand": "x"}] * 150 + [{"price": None, "odd": 1}]
    columns = Columns.learn(rows)
    assert columns.numbers == {"price": (2.0, 1.0)}
    assert columns.texts == {"brand": ("x",)}
    assert columns.read_rows([{}, {"brand": "x", "odd": 1}]).tolist() == [[0.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize("imitates", [False, True])
def test_decisions_without_a_text_or_with_another_type_fail_no_run(tmp_path, imitates):
    rows = make_decisions(600, served="rule" if imitates else "uniform")
    for i, actions in enumerate(rows.actions):
        if i % 10 == 0:  # as a request stores a text that is null for all its actions
            actions["names"], actions["texts"] = ["size", "brand"], {}
            actions["numbers"] = [[row[0], None] for row in actions["numbers"]]
            rows.features[i] = {**rows.features[i], "brand": None}
        if i % 10 == 1:
            actions["texts"]["size"] = ["s"] * 3
            actions["names"], actions["numbers"] = [], [[]] * 3
    settings = RankSettings(sample=1.0, apprentice=0.8 if imitates else 0.0)
    gate = run(rows, tmp_path, settings=settings).gate
    assert gate.passed
    assert gate.units == 108
    assert gate.about["notes"] == [
        "12 decisions were not judged: of the actions: 'size' is a text, must be a number."
    ]


def test_the_first_version_serves_by_its_policy(offers, lane):
    lane.refresh()
    champion = offers.surface.versions.champions().get()
    assert champion.label == "linear-thompson@1"
    for context in TASTES:
        actions = [{"id": i, "features": f} for i, f in zip("abc", FEATURES, strict=True)]
        drawn = [
            decide(lane, offers, unit=f"u{n}", actions=actions, features=context) for n in range(12)
        ]
        assert {one["model"] for one in drawn} == {champion.label}
        assert {one["fallback"] for one in drawn} == {None}
        assert sum(one["action"] == best_of(context) for one in drawn) >= 6  # 10 expected
        assert all(0 < one["propensity"] <= 1 for one in drawn)


FEATURES = [{"size": 0.0, "brand": "x"}, {"size": 1.0, "brand": "y"}, {"size": 2.0, "brand": "y"}]


@pytest.mark.parametrize(
    ("features", "context", "message"),
    [
        ({"brand": 1}, {"mobile": 1}, "of the actions: 'brand' is a number, must be a text"),
        ({"size": "s", "brand": "x"}, {"mobile": 1}, "of the actions: 'size' is a text, must be a"),
        ({"size": 1, "brand": "x"}, {"mobile": "1"}, "of the decision: 'mobile' is a text, must be"),
        ({"shade": 1}, {}, "of the actions: all of ['brand', 'size'] are missing, must be at least"),
        ({"size": None, "brand": None}, {}, "of the actions: all of ['brand', 'size'] are missing"),
    ],
)
def test_features_that_differ_are_named_and_the_default_is_taken(
    offers, lane, features, context, message
):
    lane.refresh()
    actions = [{"id": one, "features": features} for one in "abc"]
    answer = decide(lane, offers, actions=actions, features=context)
    assert answer["fallback"] == "features_differ"
    assert message in answer["hint"]
    assert "as linear-thompson@1 has learnt it" in answer["hint"]


def test_the_page_of_its_run_says_what_it_would_have_earned_or_why_nobody_knows(offers):
    version = offers.surface.versions.champions().get()
    visitor, address = (
        sign_in(offers.project),
        reverse("run", args=[TrainingRun.objects.get(version=version).pk]),
    )
    page = visitor.get(address).content.decode()
    assert "evaluated on 100 decisions against" in page
    assert "100 held-out decisions that were stored with all actions." in page
    value = version.gate["about"]["off_policy"]
    assert f"would have earned {value['estimate']:.4f} per decision" in page
    version.gate["about"]["off_policy"] = {"decisions": 100, "refused": "effective sample size == 7.1"}
    version.save()
    page = visitor.get(address).content.decode()
    assert "Not evaluated: effective sample size == 7.1" in " ".join(page.split())
    assert "A person can promote it." in page
    version.gate["about"]["off_policy"] = value
    version.save()


def test_a_first_version_that_was_not_judged_waits_for_a_person(shop):
    surface = make_rank_surface(shop.project)
    refused = {"about": {"off_policy": {"decisions": 9, "refused": "effective sample size == 7.1"}}}
    draft = POLICIES["linucb"].fit(make_decisions(60), FitOptions())
    version = ModelVersion.objects.create(
        surface=surface, algorithm="linucb", number=1, alias="challenger", gate=refused,
        artifact_sha256=save_artifact(settings.BAKEOFF.artifacts, draft),
    )  # fmt: skip
    assert advance_challenger(surface=surface) is None
    assert not surface.versions.champions().exists()
    assert read_autopilot(surface, builders.now()).now.sentence == (
        "linucb@1 waits for a person: its gate could not judge it."
    )
    promote_version(version=version, by="a test", reason="it looks right")
    assert surface.versions.champions().get() == version


def test_features_that_are_missing_or_null_for_all_actions_are_served(offers, lane):
    lane.refresh()
    for features in ({"size": 1}, {"size": 1, "brand": None}):
        actions = [{"id": one, "features": features} for one in "abc"]
        answer = decide(lane, offers, actions=actions)
        assert answer["fallback"] is None
        assert "hint" not in answer


def test_another_run_on_the_same_rows_is_skipped_or_makes_the_same_artifact(offers, monkeypatch):
    again = retrain_surface(
        surface=offers.surface, algorithm="linear-thompson", trigger="a test", skip_unchanged=True
    )
    assert again.state == "skipped"
    first = ModelVersion.objects.get(surface=offers.surface, number=1)
    monkeypatch.setenv("DATABASE_URL", test_database_url())
    run = train(offers.surface, "linear-thompson")
    assert run.version.artifact_sha256 == first.artifact_sha256
    assert (settings.BAKEOFF.artifacts / first.artifact_sha256).is_dir()


def test_no_version_goes_into_shadow(offers):
    version = offers.surface.versions.first()
    with pytest.raises(CannotShadowError, match="must be of another kind for shadow"):
        shadow_version(version=version, by="a test", reason="a test")
    with pytest.raises(CannotChangeSurfaceError, match="shadow_first == 5, must be 0 on a surface"):
        patch_surface(surface=offers.surface, changes={"shadow_first": 5}, by="a test")


def test_an_apprentice_takes_the_default_and_stores_all_actions(shop, lane):
    from experiments.models import Slate

    make_rank_surface(shop.project, apprentice=0.8, sample=0)
    lane.refresh()
    answers = [decide(lane, shop, unit=f"u{n}") for n in range(5)]
    assert {(one["action"], one["propensity"], one["fallback"]) for one in answers} == {
        ("a", 1.0, "apprentice")
    }
    stored = Slate.objects.get(recommendation_id=answers[0]["recommendation_id"])
    assert stored.context["$rank"]["actions"]["ids"] == ["a", "b", "c"]


def test_the_set_of_one_action_reads_as_among_others():
    features = {"size": 1.0, "brand": "x", "gone": None}
    one = ActionSet.of_one(features, {})
    assert one.features_of(0) == features
