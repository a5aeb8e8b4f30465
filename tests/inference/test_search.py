"""Hyper-parameters by random draws and halving, on a validation part, within a candidate's time."""

from __future__ import annotations

import json
from itertools import count

import numpy as np
import pytest

from inference.algorithms import RankingPortfolio, params_of
from inference.evaluation.gate import GateRule
from inference.options import draw_params, specs_of
from inference.runs.outcome import Recipe, RunPlan, RunProgress, Workplace
from inference.runs.portfolio import choose_recipe
from inference.runs.ranking_run import Catalogue, RankingRun
from inference.runs.search import search_params
from tests.support.learning import ITEMS, make_likes


def run_of(tmp_path) -> RankingRun:
    plan = RunPlan(
        recipe=Recipe("auto", {}),
        champion=None,
        rule=GateRule(k=5),
        place=Workplace(tmp_path / "artifacts", checkpoints=tmp_path / "checkpoints"),
    )
    return RankingRun.of(plan, make_likes(), Catalogue(ITEMS))


def test_a_search_is_never_worse_than_the_defaults_on_its_validation_part(tmp_path):
    result = search_params(run_of(tmp_path), Recipe("ease", {}), 6, RunProgress())
    best, default = result.validation
    assert best >= default
    assert set(result.recipe.params) <= {"l2"}
    # Seven with the defaults, then three and the defaults, then two and the defaults.
    assert result.trials == 7 + 4 + 3
    again = search_params(run_of(tmp_path / "again"), Recipe("ease", {}), 6, RunProgress())
    assert again == result


def test_a_search_that_was_killed_goes_on(tmp_path):
    knn = Recipe("item-knn", {})
    result = search_params(run_of(tmp_path), knn, 4, RunProgress())
    (notes,) = (tmp_path / "checkpoints" / "search").glob("item-knn-*.json")
    assert len(json.loads(notes.read_bytes())) == result.trials
    lines = []
    progress = RunProgress(report=lambda _share, line: lines.append(line))
    assert search_params(run_of(tmp_path), knn, 4, progress) == result
    assert not lines  # nothing was fitted again


def test_a_candidate_is_searched_in_a_part_of_its_time(tmp_path):
    portfolio = RankingPortfolio(algorithms=["item-knn", "ease"], blend=False, search=4)
    run, tried = choose_recipe(run_of(tmp_path), portfolio, RunProgress())
    assert [one["algorithm"] for one in tried] == ["item-knn", "ease"]
    assert all(one["search"]["trials"] == 5 + 3 + 2 for one in tried)
    (chosen,) = [one for one in tried if one["state"] == "chosen"]
    assert run.plan.recipe.params == chosen["params"]


def test_without_time_the_defaults_are_tried(tmp_path):
    ticks = count()  # every look at the clock takes a second
    portfolio = RankingPortfolio(algorithms=["item-knn"], blend=False, search=9, budget_seconds=12.0)
    _, (one,) = choose_recipe(
        run_of(tmp_path), portfolio, RunProgress(), now=lambda: float(next(ticks))
    )
    assert one["search"]["trials"] < 10
    assert one["params"] == {}


@pytest.mark.parametrize(
    ("kind", "algorithm", "drawn"),
    [
        ("recommend", "popularity", {"half_life_days"}),
        ("recommend", "item-knn", {"neighbours", "shrink"}),
        ("recommend", "als", {"factors", "l2", "alpha"}),
        ("recommend", "two-tower", {"rate", "decay", "dropout"}),
        ("recommend", "sasrec", {"rate", "decay", "dropout"}),
        ("recommend", "frozen-text", set()),
        ("classify", "tfidf", {"inverse_l2", "least"}),
        ("classify", "frozen-head", {"inverse_l2"}),
        ("classify", "bert", {"epochs", "rate", "head_rate"}),
    ],
)
def test_what_an_algorithm_declares_is_drawn_within_its_span(kind, algorithm, drawn):
    rng, cls = np.random.default_rng(0), params_of(kind, algorithm)
    specs = {} if cls is None else {spec.name: spec for spec in specs_of(cls)}
    for _ in range(50):
        params = draw_params(cls, rng)
        assert set(params) == drawn
        for name, value in params.items():
            span = specs[name].drawn
            assert span.low * 0.99 <= value <= span.high * 1.01
            specs[name].check(value)


@pytest.mark.parametrize("search", [-1, 501])
def test_a_search_that_is_too_long_is_refused(search):
    with pytest.raises(ValueError, match=r"search == -?\d+, must be at least 0 and at most 500\."):
        RankingPortfolio.parse({"search": search})
