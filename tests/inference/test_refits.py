"""A refit of the champion is compared at its gate with the version that last won a test."""

from __future__ import annotations

import numpy as np
import pytest

from inference.evaluation.gate import GateRule
from inference.runs.fit_and_judge import Catalogue, fit_and_judge
from inference.runs.label_and_judge import label_and_judge
from inference.runs.outcome import Recipe, RefitRival, RunPlan, RunProgress, Workplace
from inference.training.snapshot import Examples, Likes

ITEMS = [f"i{n}" for n in range(40)]
RECIPE = Recipe("popularity", {}, "popularity@1")


def likes_of_days(days, units=60, seed=0, shift=0) -> Likes:
    """Each unit likes an item a day, of the first ten, or from the day of the shift on others."""
    rng = np.random.default_rng(seed)
    rows = []
    for unit in range(units):
        drawn = {half: rng.permutation(10) for half in (0, 1)}
        for day in range(days):
            moved = bool(shift) and day >= shift
            rows.append((f"u{unit:03}", f"i{drawn[moved][day % 10] + 20 * moved}", day * 86_400.0))
    return Likes(*map(list, zip(*rows, strict=True)))


def plan_of(tmp_path, recipe, rule, tested=None, champion=None) -> RunPlan:
    place = Workplace(tmp_path / "artifacts")
    return RunPlan(recipe=recipe, champion=champion, rule=rule, place=place, tested=tested)


def refit(tmp_path, likes, tested):
    plan = plan_of(tmp_path, RECIPE, GateRule(), tested, champion=RECIPE)
    return fit_and_judge(plan, likes, Catalogue(ITEMS), RunProgress()).gate


@pytest.fixture(scope="module")
def tested(tmp_path_factory):
    """A version that learnt from the first six days."""
    folder = tmp_path_factory.mktemp("tested")
    plan = plan_of(folder, RECIPE, GateRule())
    result = fit_and_judge(plan, likes_of_days(6), Catalogue(ITEMS), RunProgress())
    return folder, RefitRival("popularity@1", result.artifact_sha256, "popularity", 5 * 86_400.0)


def test_a_refit_that_follows_a_change_is_better_than_the_tested_version(tested):
    folder, version = tested
    view = refit(folder, likes_of_days(14, shift=6), version).about["refit"]
    assert (view["tested_version"], view["against"]) == ("popularity@1", "tested_version")
    assert view["bounds"] == []
    assert view["superior"]
    assert view["non_inferior"]
    row = view["rows"]["ndcg"]
    assert row["difference"] == pytest.approx(row["challenger"] - row["champion"])
    assert row["interval"][0] > 0
    assert view["units"] == 60


def test_too_few_likes_since_the_test_leave_the_comparison_of_recipes(tested):
    folder, version = tested
    view = refit(folder, likes_of_days(6), version).about["refit"]
    assert (view["against"], view["non_inferior"], view["superior"]) == ("recipe", True, False)


@pytest.mark.parametrize(
    ("version", "why"),
    [
        (RefitRival("a@1", "0" * 64, "popularity", 0.0), "artifact"),
        (RefitRival("a@1", "0" * 64, "endpoint", 0.0), "a@1 is asked elsewhere"),
        (RefitRival("a@1", "0" * 64, "ease", None), "nobody knows until when a@1 has learnt"),
    ],
)
def test_what_cannot_be_compared_is_no_refit_that_passes(tested, version, why):
    folder, _ = tested
    gate = refit(folder, likes_of_days(6), version)
    view = gate.about["refit"]
    assert why in view["not_compared"]
    assert not view["non_inferior"]
    assert gate.passed  # it may still be tested


def texts_of(count, seed=0, swapped=False) -> Examples:
    rng = np.random.default_rng(seed)
    labels = [("yes", "no")[n % 2] for n in range(count)]
    words = {"yes": "good", "no": "bad"}
    if swapped:
        words = {"yes": "fine", "no": "poor"}
    texts = [f"{words[label]} {rng.integers(10_000)}" for label in labels]
    return Examples([""] * count, texts, [{}] * count, labels, [float(n) for n in range(count)])


def test_classifiers_are_compared_on_examples_after_the_test(tmp_path):
    recipe = Recipe("tfidf", {}, "tfidf@1")
    rule = GateRule.for_labels()
    old = texts_of(200)
    first = label_and_judge(plan_of(tmp_path, recipe, rule), old, RunProgress())
    tested = RefitRival("tfidf@1", first.artifact_sha256, "tfidf", 199.0)
    new = texts_of(200, seed=1, swapped=True)
    both = Examples(
        [""] * 400,
        [*old.texts, *new.texts],
        [{}] * 400,
        [*old.labels, *new.labels],
        [float(n) for n in range(400)],
    )
    plan = plan_of(tmp_path, recipe, rule, tested, champion=recipe)
    view = label_and_judge(plan, both, RunProgress()).gate.about["refit"]
    assert view["against"] == "tested_version"
    assert view["superior"]
    assert view["rows"]["accuracy"]["challenger"] > 0.9 > view["rows"]["accuracy"]["champion"]
