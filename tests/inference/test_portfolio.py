"""A run of several recommenders: judged on the same rows, the best goes on; a blend competes too."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from inference.algorithms import RankingPortfolio, recommenders
from inference.encoders.locate import sha256_of_encoder
from inference.evaluation.gate import GateRule
from inference.options import FitOptions
from inference.runs.fit_and_judge import Catalogue, fit_and_judge
from inference.runs.outcome import Recipe, RunError, RunPlan, RunProgress, Workplace
from inference.runs.portfolio import choose_recipe
from inference.runs.ranking_run import RankingRun
from inference.serving.artifact import save_artifact
from inference.serving.ranker import Ranker
from inference.training.data import TrainingData
from tests.support.learning import ITEMS, make_likes

THREE = RankingPortfolio(algorithms=["popularity", "item-knn", "ease"])


def plan_of(tmp_path, portfolio=THREE, **fields) -> RunPlan:
    plan = RunPlan(
        recipe=Recipe("auto", {}),
        champion=Recipe("popularity", {}, "popularity@1"),
        rule=GateRule(k=5, least_coverage=0.0),
        place=Workplace(tmp_path / "artifacts", checkpoints=tmp_path / "checkpoints"),
        portfolio=portfolio,
    )
    return replace(plan, **fields)


def run_of(tmp_path, portfolio=THREE, **fields) -> RankingRun:
    return RankingRun.of(plan_of(tmp_path, portfolio, **fields), make_likes(), Catalogue(ITEMS))


def test_the_best_goes_on_and_all_are_listed(tmp_path):
    result = fit_and_judge(plan_of(tmp_path), make_likes(), Catalogue(ITEMS), RunProgress())
    tried = result.gate.about["candidates"]
    assert [one["algorithm"] for one in tried] == ["popularity", "item-knn", "ease", "blend"]
    (chosen,) = [one for one in tried if one["state"] == "chosen"]
    assert chosen["ndcg"] == max(one["ndcg"] for one in tried)
    assert (result.recipe.algorithm, result.recipe.params) == (chosen["algorithm"], chosen["params"])
    assert result.gate.seeds[0] == pytest.approx(chosen["ndcg"])
    assert result.gate.passed
    ranker = Ranker(tmp_path / "artifacts", result.artifact_sha256)
    assert ranker.about["algorithm"] == chosen["algorithm"]
    again = fit_and_judge(plan_of(tmp_path / "again"), make_likes(), Catalogue(ITEMS), RunProgress())
    assert again.artifact_sha256 == result.artifact_sha256


def test_a_first_version_is_shown_beside_popularity_and_live_orders_are_tried(tmp_path):
    portfolio = RankingPortfolio(algorithms=["popularity", "trending", "latest", "item-knn"])
    assert set(portfolio.algorithms) < set(RankingPortfolio().names)
    plan = plan_of(tmp_path, portfolio, champion=None)
    gate = fit_and_judge(plan, make_likes(), Catalogue(ITEMS), RunProgress()).gate
    tried = {one["algorithm"]: one for one in gate.about["candidates"]}
    assert [*tried] == ["popularity", "trending", "latest", "item-knn", "blend"]
    # An order is made anew all the time: a blend would keep it as it was.
    parts = {part["algorithm"] for part in tried["blend"]["params"]["parts"]}
    assert parts == {"popularity", "item-knn"}
    assert (gate.rival, gate.passed) == ("popularity", True)
    assert gate.rows["ndcg"]["champion"] == pytest.approx(tried["popularity"]["ndcg"])
    # It is shown, and refuses nothing: latest is worse for certain where tastes decide.
    alone = plan_of(tmp_path, None, champion=None, recipe=Recipe("latest", {}))
    latest = fit_and_judge(alone, make_likes(), Catalogue(ITEMS), RunProgress()).gate
    assert (latest.rival, latest.reasons) == ("popularity", [])
    own = plan_of(tmp_path, None, champion=None, recipe=Recipe("popularity", {}))
    assert fit_and_judge(own, make_likes(), Catalogue(ITEMS), RunProgress()).gate.rival == ""


class Slow:
    """Reports forever, and never ends by itself."""

    name = "slow"
    reads = frozenset()
    seeds = 1

    def fit(self, _data, options):
        while True:
            options.report(0.5, "still fitting")


def test_who_is_out_of_time_is_stopped_and_listed(tmp_path, monkeypatch):
    monkeypatch.setitem(recommenders(), "slow", Slow())
    portfolio = RankingPortfolio(algorithms=["popularity", "slow", "item-knn"], budget_seconds=1000.0)
    # Every look at the clock takes a second: nothing here depends on how fast the machine is.
    ticks = count()
    run, tried = choose_recipe(
        run_of(tmp_path), portfolio, RunProgress(), now=lambda: float(next(ticks))
    )
    assert {one["algorithm"]: one["state"] for one in tried}["slow"] == "out_of_time"
    # A share of what the cheap one before it has left.
    assert 300 < {one["algorithm"]: one["seconds"] for one in tried}["slow"] < 1000 / 3 + 5
    assert run.plan.recipe.algorithm in {"item-knn", "blend"}
    only = RankingPortfolio(algorithms=["slow"], budget_seconds=5.0)
    no_champion = run_of(tmp_path, champion=None)
    with pytest.raises(RunError, match="no candidate could be judged: slow: out_of_time"):
        choose_recipe(no_champion, only, RunProgress(), now=lambda: float(next(ticks)))
    brief = RankingPortfolio(algorithms=["ease"], budget_seconds=3.0)
    with pytest.raises(RunError, match="no candidate could be judged: ease: out_of_time"):
        choose_recipe(no_champion, brief, RunProgress(), now=lambda: float(next(ticks)))


def test_who_fails_does_not_fail_the_run(tmp_path):
    portfolio = RankingPortfolio(algorithms=["two-tower", "item-knn"], blend=False)
    run, tried = choose_recipe(run_of(tmp_path), portfolio, RunProgress())
    failed, chosen, champion = tried
    assert (failed["state"], chosen["state"]) == ("failed", "chosen")
    assert failed["reason"] == "item_vectors == None, must be given to 'two-tower'."
    assert champion["algorithm"] == "popularity"  # the champion's recipe is always a candidate
    assert run.plan.recipe == Recipe("item-knn", {})


def test_what_was_finished_before_a_kill_is_not_fitted_again(tmp_path):
    first, tried = choose_recipe(run_of(tmp_path), THREE, RunProgress())
    lines = []
    progress = RunProgress(report=lambda _share, line: lines.append(line))
    second, again = choose_recipe(run_of(tmp_path), THREE, progress)
    assert again == tried  # to the second: what a fit took is kept with it
    assert second.plan.recipe == first.plan.recipe
    assert not lines


def test_a_refit_is_one_when_the_champions_recipe_wins(tmp_path):
    from inference.runs.outcome import RefitRival

    tested = RefitRival("item-knn@1", "0" * 64, "item-knn", 1.0)
    only = RankingPortfolio(algorithms=["popularity", "item-knn"], blend=False)
    same = run_of(tmp_path, champion=Recipe("item-knn", {}, "item-knn@1"), tested=tested)
    assert choose_recipe(same, only, RunProgress())[0].plan.tested == tested
    other = run_of(tmp_path, tested=tested)
    assert choose_recipe(other, only, RunProgress())[0].plan.tested is None


def test_each_that_reads_texts_reads_them_by_the_encoder_that_is_named(tmp_path):
    names = ["popularity", "frozen-text", "item-knn"]
    portfolio = RankingPortfolio.parse({"algorithms": names, "encoder": "pretrain@1", "search": 1})
    adapted = np.eye(len(ITEMS), dtype=np.float32)
    catalogue = Catalogue(ITEMS, vectors=1 - adapted, vectors_by={"pretrain@1": adapted})
    plan = plan_of(tmp_path, portfolio, recipe=Recipe("auto", {"encoder": "pretrain@1"}))
    plan = replace(plan, place=replace(plan.place, encoders={"pretrain@1": str(tmp_path)}))
    run, tried = choose_recipe(RankingRun.of(plan, make_likes(), catalogue), portfolio, RunProgress())
    assert [one["params"].get("encoder") for one in tried[:3]] == [None, "pretrain@1", "pretrain@1"]
    assert {one["state"] for one in tried} <= {"judged", "chosen"}
    (blend,) = [one["params"] for one in tried if one["algorithm"] == "blend"]
    assert blend["encoder"] == "pretrain@1"
    assert not [part for part in blend["parts"] if "encoder" in part["params"]]
    assert run.plan.manifest["encoder"] == sha256_of_encoder(str(tmp_path))


def test_a_blend_is_the_weighted_sum_of_its_parts(tmp_path):
    rng = np.random.default_rng(0)
    liked = [rng.permutation(len(ITEMS))[:8] for _ in range(60)]
    data = TrainingData(ITEMS, None, liked)
    blend = recommenders()["blend"].fit(data, FitOptions(params={"parts": ["ease", "als"]}))
    weights = blend.about["params"]["weights"]
    assert all(weight > 0 for weight in weights)

    def ranker(draft) -> Ranker:
        return Ranker(tmp_path, save_artifact(tmp_path, draft))

    whole, parts = (
        ranker(blend),
        [ranker(recommenders()[n].fit(data, FitOptions())) for n in ("ease", "als")],
    )
    items, recent = np.arange(12, dtype=np.int32), [3, 5, 7]
    wanted = sum(w * part.score(items, recent) for w, part in zip(weights, parts, strict=True))
    assert whole.score(items, recent) == pytest.approx(wanted, rel=1e-5)
    assert whole.scorer.score_all([recent])[0, :12] == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    assert whole.vectors_of(items).shape == (12, 64)  # of the part that has any
    # With its weights, what was fitted is fitted again without a validation part.
    again = recommenders()["blend"].fit(data, FitOptions(params=blend.about["params"]))
    assert ranker(again).digest == whole.digest


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"parts": ["ease"]}, "parts of the blend == 1, must be at least 2"),
        ({"parts": ["ease", "oracle"]}, "part of the blend == 'oracle', must be one of"),
        ({"parts": ["ease", "als"], "weights": [1.0]}, "weights of the blend == 1, must be 2"),
    ],
)
def test_a_blend_of_nothing_is_refused(params, message):
    data = TrainingData(ITEMS, None, [np.arange(5)])
    with pytest.raises(ValueError, match=message):
        recommenders()["blend"].fit(data, FitOptions(params=params))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"algorithms": ["oracle"]}, "algorithms: 'oracle', must be among"),
        ({"algorithms": ["endpoint"]}, "algorithms: 'endpoint', must be among"),
        ({"budget_seconds": 0.0}, "budget_seconds == 0, must be above 0"),
        ({"budget": 3}, "parameter == 'budget', must be one of"),
    ],
)
def test_a_portfolio_that_cannot_be_tried_is_refused(params, message):
    with pytest.raises(ValueError, match=message):
        RankingPortfolio.parse(params)
