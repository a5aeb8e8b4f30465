"""Train for real on small behaviour that has something to learn."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from inference.algorithms import recommenders
from inference.compression.project_vectors import project_vectors
from inference.evaluation.gate import GateResult, GateRule, LatencyRatio, Rival, Serving, judge
from inference.evaluation.ranking import score_rankings
from inference.evaluation.scores import Scores
from inference.options import FitOptions
from inference.recommenders import RECOMMENDERS
from inference.runs.compress_and_judge import Parent, compress_and_judge
from inference.runs.fit_and_judge import Catalogue, fit_and_judge
from inference.runs.outcome import (
    Recipe,
    RunError,
    RunPlan,
    RunProgress,
    Workplace,
    cheap_recipe,
)
from inference.runs.ranking_run import RankingRun
from inference.training.data import TrainingData
from inference.training.snapshot import Likes
from inference.training.split import split_by_time
from tests.support.artifacts import draft_artifact
from tests.support.learning import GROUPS, ITEMS, PER_GROUP, QUICK, make_likes


def vectors(seed=0) -> np.ndarray:
    """Texts that say something of the group, with much noise."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.eye(GROUPS, 12), PER_GROUP, axis=0)
    return (groups + rng.normal(scale=0.5, size=groups.shape)).astype(np.float32)


def run(tmp_path, recommender="two-tower", *, progress=None, likes=None, item_vectors=None, **fields):
    plan = RunPlan(
        recipe=Recipe(recommender, QUICK if recommender == "two-tower" else {}),
        champion=Recipe("popularity", {}, "popularity@1"),
        rule=GateRule(k=5, least_coverage=0.0),
        place=Workplace(tmp_path / "artifacts"),
        about={"snapshot": "s"},
    )
    catalogue = Catalogue(ITEMS, vectors() if item_vectors is None else item_vectors)
    data = likes or make_likes()
    return fit_and_judge(replace(plan, **fields), data, catalogue, progress or RunProgress())


def test_two_towers_learn_what_popularity_cannot(tmp_path):
    result = run(tmp_path)
    assert result.gate.passed
    assert result.gate.superior
    row = result.gate.rows["ndcg"]
    assert row["challenger"] > 2 * row["champion"]
    assert len(result.gate.seeds) == 3


def test_a_model_of_nothing_is_refused(tmp_path):
    noise = np.random.default_rng(9).normal(size=(len(ITEMS), 12)).astype(np.float32)
    many = make_likes(units=200)
    skewed = Likes(many.unit_ids, [ITEMS[int(i[1:]) % 7] for i in many.item_ids], many.liked_at)
    gate = run(tmp_path, "frozen-text", item_vectors=noise, likes=skewed).gate
    assert not gate.passed
    assert any(reason.startswith("ndcg") for reason in gate.reasons)


def test_the_first_version_has_nobody_to_beat(tmp_path):
    gate = run(tmp_path, "popularity", champion=None).gate
    assert gate.passed
    assert "champion" not in gate.rows["ndcg"]


@pytest.mark.parametrize(("units", "epochs"), [(100, 30), (943, 30), (6000, 8), (10**6, 2)])
def test_many_units_get_fewer_passes(units, epochs):
    from inference.training.head_params import HeadParams

    assert HeadParams().epochs_for(units) == epochs


def test_the_same_run_makes_the_same_artifact(tmp_path):
    first, second = run(tmp_path), run(tmp_path)
    assert first.artifact_sha256 == second.artifact_sha256


def test_progress_goes_from_nothing_to_all(tmp_path):
    shares = []
    run(tmp_path, progress=RunProgress(report=lambda share, _line: shares.append(share)))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


class KilledError(Exception):
    pass


@pytest.mark.parametrize("after", [1, 3, 7])
def test_a_killed_run_resumes_and_ends_the_same(tmp_path, monkeypatch, after):
    monkeypatch.setattr("inference.training.heads.CHECKPOINT_SECONDS", 0.0)
    index = {item: n for n, item in enumerate(ITEMS)}
    likes = make_likes()
    by_unit: dict[str, list[int]] = {}
    for unit, item in zip(likes.unit_ids, likes.item_ids, strict=True):
        by_unit.setdefault(unit, []).append(index[item])
    liked = [np.array(items) for items in by_unit.values()]
    data = TrainingData(ITEMS, vectors(), liked)
    epochs = []

    def kill(share: float, line: str) -> None:
        epochs.append(line)
        if len(epochs) == after:
            raise KilledError

    options = FitOptions(seed=1, params=QUICK, checkpoint=tmp_path, report=kill)
    with pytest.raises(KilledError):
        RECOMMENDERS["two-tower"].fit(data, options)
    resumed = RECOMMENDERS["two-tower"].fit(data, replace(options, report=FitOptions().report))
    whole = RECOMMENDERS["two-tower"].fit(data, FitOptions(seed=1, params=QUICK))
    assert np.array_equal(resumed.arrays["item_vectors"], whole.arrays["item_vectors"])
    assert np.array_equal(resumed.arrays["bias"], whole.arrays["bias"])


def test_too_little_to_judge_is_said(tmp_path):
    with pytest.raises(RunError, match="must be at least 20"):
        run(tmp_path, likes=make_likes(units=5))


def test_vectors_are_needed_by_what_reads_text():
    with pytest.raises(ValueError, match="must be given"):
        RECOMMENDERS["two-tower"].fit(TrainingData(ITEMS, None, [np.arange(3)]), FitOptions())


def test_split_holds_out_the_last_likes_of_each_unit():
    likes = make_likes(units=3, each=8)
    split = split_by_time(likes, ITEMS)
    for unit, (earlier, later) in enumerate(zip(split.earlier, split.later, strict=True)):
        rows = [likes.item_ids[n] for n in range(24) if likes.unit_ids[n] == f"u{unit:03}"]
        assert [ITEMS[i] for i in earlier] == rows[:7]
        assert {ITEMS[i] for i in later} == set(rows[7:])


def test_a_unit_with_few_likes_is_only_learnt_from():
    split = split_by_time(Likes(["u"] * 4, ["i1", "i2", "i3", "gone"], [1.0, 2.0, 3.0, 4.0]), ITEMS)
    assert len(split.earlier[0]) == 3
    assert len(split.later[0]) == 0


def test_ranking_metrics_by_hand():
    scores = score_rankings([np.array([3, 1, 2])], [np.array([1, 9])], k=2, items=10)
    assert scores.mean("precision") == 0.5
    assert scores.mean("recall") == 0.5
    assert scores.mean("f1") == 0.5
    assert scores.mean("hit_rate") == 1.0
    assert scores.mean("ndcg") == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))
    assert scores.whole["coverage"] == 0.2


def scores(mean: float, units=200, coverage=0.5) -> Scores:
    rng = np.random.default_rng(0)
    values = rng.normal(mean, 0.05, units)
    return Scores(
        dict.fromkeys(("recall", "precision", "f1", "ndcg", "hit_rate"), values),
        {"coverage": coverage},
    )


CHEAP = Serving(latency_p95_ms=0.1, bytes=1000)


@pytest.mark.parametrize(
    ("challenger", "serving", "rule", "reason"),
    [
        (scores(0.2), CHEAP, GateRule(), "ndcg may be as low as"),
        (scores(0.5, coverage=0.1), CHEAP, GateRule(), "coverage == 0.100"),
        (scores(0.5), Serving(11.0, 1000), GateRule(), "latency p95 == 11.00 ms"),
        (
            scores(0.5),
            Serving(11.0, 1000, LatencyRatio(5.0, 2.2, (1.6, 2.9))),
            GateRule(),
            "latency p95 == 11.00 ms, must be at most 10 ms or 1.5 times the champion's 5.00 ms: it is at "
            "least 1.60 times",
        ),
        (scores(0.5), Serving(0.1, 10**12), GateRule(), "size == 1000000000000 bytes"),
    ],
)
def test_the_gate_says_why_it_refuses(challenger, serving, rule, reason):
    result = judge(Rival("popularity@1", scores(0.5)), [challenger], serving, rule, random_seed=0)
    assert not result.passed
    assert any(reason in text for text in result.reasons)


def test_the_gate_lets_an_equal_pass_and_does_not_call_it_better():
    result = judge(Rival("popularity@1", scores(0.5)), [scores(0.5)], CHEAP, GateRule(), random_seed=0)
    assert result.passed
    assert not result.superior


def test_a_stored_gate_is_read_back_as_it_was():
    rule = GateRule(k=5, guardrails=("recall",))
    result = judge(Rival("popularity@1", scores(0.5)), [scores(0.2)], CHEAP, rule, random_seed=0)
    stored = json.loads(json.dumps(result.as_json()))
    assert GateResult.from_json(stored) == result
    older = {name: stored[name] for name in ("passed", "rows")}
    assert GateResult.from_json(older) == GateResult(
        False, False, [], 0, stored["rows"], [], GateRule()
    )


def test_projection_keeps_the_scores_of_a_low_rank_model():
    rng = np.random.default_rng(0)
    low = rng.normal(size=(6, 2)).astype(np.float32) @ rng.normal(size=(2, 4)).astype(np.float32)
    full = draft_artifact(item_vectors=low, context_vectors=low)
    small, attention = project_vectors(full, 2).arrays, full.arrays["attention"]
    assert small["item_vectors"].shape == (6, 2)
    assert small["item_vectors"] @ small["context_vectors"].T == pytest.approx(low @ low.T, abs=1e-4)
    assert small["context_vectors"] @ small["attention"] == pytest.approx(low @ attention, abs=1e-4)
    with pytest.raises(ValueError, match="must be in"):
        project_vectors(full, 4)


def test_a_compression_is_judged_on_rows_that_it_has_not_seen(tmp_path):
    trained = run(tmp_path, champion=None)
    recipe = Recipe("two-tower", QUICK)
    plan = RunPlan(recipe, None, GateRule(k=5), Workplace(tmp_path / "artifacts"))
    judged = RankingRun.of(plan, make_likes(), Catalogue(ITEMS, vectors()))
    parent = Parent("two-tower@1", trained.artifact_sha256)
    rows = compress_and_judge(parent, judged, ("project", 4), RunProgress()).gate.rows
    assert rows["ndcg"]["champion"] == pytest.approx(trained.gate.seeds[0])


NAMES = ["heat", "rain", "sun", "night"]


@pytest.mark.parametrize(
    ("recommender", "method"),
    [("tuned-two-tower", "lora"), ("tuned-two-tower", "adalora"), ("tuned-two-tower", "full"), ("bert", "full")],
)  # fmt: skip
def test_a_transformer_learns_from_behaviour(tmp_path, tiny_bert, recommender, method):
    texts = [f"{NAMES[n // PER_GROUP]} {n}" for n in range(len(ITEMS))]
    rate = 1e-3 if method == "full" else 1e-4
    # Fewer steps leave the ranker beside popularity; the towers have a head that learns quickly.
    steps = 60 if recommender == "bert" else 30
    params = {"method": method, "steps": steps, "batch": 16, "history": 2, "rate": rate}
    if recommender == "tuned-two-tower":
        params["head_epochs"] = 5
    plan = RunPlan(
        recipe=Recipe(recommender, params),
        champion=Recipe("popularity", {}, "popularity@1"),
        rule=GateRule(k=5, least_coverage=0.0),
        place=Workplace(tmp_path / "artifacts", encoder=str(tiny_bert)),
    )
    losses = []
    progress = RunProgress(curve=lambda fit, step, loss: losses.append((fit, step, loss)))
    gate = fit_and_judge(plan, make_likes(), Catalogue(ITEMS, vectors(), texts), progress).gate
    assert gate.passed, gate.reasons
    assert gate.rows["ndcg"]["challenger"] > gate.rows["ndcg"]["champion"]
    assert losses[-1][2] > 0


class Peeking:
    """Knows what is held out, whatever it is given to learn from."""

    name, reads, seeds = "peeking", frozenset(), 1

    def __init__(self, likes: Likes) -> None:
        self._likes = likes

    def fit(self, data, options):
        index = {item: n for n, item in enumerate(data.item_ids)}
        liked: dict[str, list[int]] = {}
        for unit, item in zip(self._likes.unit_ids, self._likes.item_ids, strict=True):
            liked.setdefault(unit, []).append(index[item])
        return RECOMMENDERS["item-knn"].fit(
            replace(data, liked=[*map(np.array, liked.values())]), options
        )


def test_a_leak_in_the_algorithm_itself_fails_the_run(tmp_path, monkeypatch):
    monkeypatch.setitem(recommenders(), "peeking", Peeking(make_likes()))
    with pytest.raises(RunError, match="hit rate after a fit on shuffled likes"):
        run(tmp_path, "peeking")


def test_several_seeds_have_a_view_by_date_too(tmp_path):
    likes = make_likes(units=60)
    # A unit begins when the one before is half through: the last fifth of time has old and new units.
    at = [at + 4 * int(unit[1:]) for unit, at in zip(likes.unit_ids, likes.liked_at, strict=True)]
    view = run(tmp_path, "als", likes=replace(likes, liked_at=at)).gate.about["cold_view"]
    assert view["units_known_before"]
    assert view["units_new"]
    assert 0 <= view["ndcg_known_before"] <= 1
    assert 0 <= view["ndcg_new"] <= 1


@pytest.mark.parametrize("recommender", ["item-knn", "ease", "als"])
def test_classic_recommenders_learn_what_popularity_cannot(tmp_path, recommender):
    gate = run(tmp_path, recommender).gate
    assert gate.superior
    assert {row["slice"] for row in gate.about["slices"]} >= {"items with at most 2 likes"}
    assert len(gate.about["checks"]) == 5
    assert gate.about["window"]["judged"] == gate.units


@pytest.mark.parametrize("recommender", ["item-knn", "ease", "als", "two-tower"])
def test_a_cold_item_is_placed_by_its_text(tmp_path, recommender):
    """Item 0 belongs to group 0 by its text alone: who likes that group gets it before who does not."""
    from inference.serving.artifact import save_artifact
    from inference.serving.ranker import Ranker

    rng = np.random.default_rng(0)
    liked = [
        rng.permutation(np.arange(max(1, g * PER_GROUP), (g + 1) * PER_GROUP))[:7]
        for g in [n % GROUPS for n in range(80)]
    ]
    text = np.repeat(np.eye(GROUPS, 12), PER_GROUP, axis=0).astype(np.float32)
    text += rng.normal(scale=0.05, size=text.shape).astype(np.float32)
    params = QUICK | {"own": 0.0} if recommender == "two-tower" else {}
    draft = RECOMMENDERS[recommender].fit(TrainingData(ITEMS, text, liked), FitOptions(params=params))
    ranker = Ranker(tmp_path, save_artifact(tmp_path, draft))
    cold = np.array([0], dtype=np.int32)
    assert ranker.score(cold, [3, 5, 7])[0] > ranker.score(cold, [13, 15, 17])[0]


def test_a_unit_is_folded_in_as_the_library_does(tmp_path):
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy import sparse

    from inference.serving.artifact import save_artifact
    from inference.serving.ranker import Ranker

    liked = [np.array([n % 7, (n * 3) % 11 + 7, 20 + n % 5]) for n in range(60)]
    params = {"factors": 8, "iterations": 5, "l2": 1.0, "alpha": 3.0}
    draft = RECOMMENDERS["als"].fit(TrainingData(ITEMS, None, liked), FitOptions(params=params))
    ranker = Ranker(tmp_path, save_artifact(tmp_path, draft))
    model = AlternatingLeastSquares(factors=8, regularization=1.0, alpha=1.0, num_threads=1)
    model.item_factors = draft.arrays["item_factors"]
    row = sparse.csr_matrix(([4.0, 4.0], ([0, 0], [3, 21])), (1, len(ITEMS)))
    theirs = model.recalculate_user(np.array([0]), row)
    assert ranker.scorer.unit_vector([3, 21]) == pytest.approx(theirs.ravel(), rel=1e-3)


def test_vectors_of_the_users_own_are_fused(tmp_path):
    noise = np.random.default_rng(3).normal(size=(len(ITEMS), 6)).astype(np.float32)
    seen = np.repeat(np.eye(GROUPS), PER_GROUP, axis=0).astype(np.float32)
    params = QUICK | {"own": 0.0, "cooccurrence": False}  # which would say as much as they do
    plan = RunPlan(
        recipe=Recipe("two-tower", params),
        champion=None,
        rule=GateRule(k=5),
        place=Workplace(tmp_path),
    )

    def ndcg(own) -> float:
        result = fit_and_judge(plan, make_likes(), Catalogue(ITEMS, noise, None, own), RunProgress())
        return result.gate.rows["ndcg"]["challenger"]

    assert ndcg(seen) > ndcg(None)


def test_live_likes_near_the_held_out_ones_are_not_learnt_from():
    likes = make_likes(units=30, each=10)
    live = Likes(likes.unit_ids, likes.item_ids, likes.liked_at, live=[True] * 300)
    assert [len(unit.items) for unit in split_by_time(live, ITEMS, gap_seconds=3).past] == [6] * 30
    assert [len(unit.items) for unit in split_by_time(likes, ITEMS, gap_seconds=3).past] == [8] * 30


def test_a_short_fit_is_short_in_every_part_of_a_blend():
    parts = ["als", {"algorithm": "two-tower", "params": {"epochs": 90, "width": 8}}]
    cheap = cheap_recipe(Recipe("blend", {"parts": parts, "weights": [0.4, 0.6]}), recommenders())
    assert cheap.params == {
        "parts": [
            {"algorithm": "als", "params": {}},
            {"algorithm": "two-tower", "params": {"epochs": 3, "most_steps": 60, "width": 8}},
        ],
        "weights": [0.4, 0.6],
    }
