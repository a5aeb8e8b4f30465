"""Recommenders on MovieLens-100k: each user's last fifth held out, beside two peers on the same split.

Those that fine-tune an encoder take an hour of training: tuned_recommenders.py measures them.

Hits and NDCG at 10 over the full catalogue, the user's earlier items left out. Intervals are a bootstrap over
users. Peers run their own code with the same likes: `implicit` scores the users that it was fitted on, and a
plain dense EASE keeps every weight.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.movielens import K, Stage, split_movielens
from benchmarks.processor_time import processor_seconds
from benchmarks.results import Row, write_result
from inference.algorithms import recommenders
from inference.evaluation.gate import GateRule, Rival, Serving, judge
from inference.evaluation.scores import Scores
from inference.options import FitOptions
from inference.serving.artifact import artifact_bytes, save_artifact
from inference.serving.ranker import Ranker
from inference.serving.scorers import scorer_of
from inference.training.data import TrainingData
from inference.training.split import hold_out_last

PLAIN = ("popularity", "frozen-text", "item-knn", "ease", "als", "two-tower", "sasrec")
BLEND = ("blend", {"parts": ["als", "item-knn"]})


@dataclass(frozen=True, slots=True)
class Fitted:
    """One fit, and what it costs.

    Attributes:
        scores: of its rankings of what is held out.
        training_s: processor seconds of the fit.
        ranking_ms: milliseconds of processor time per user of ranking the catalogue.
        artifact_mib: size on disk.
    """

    scores: Scores
    training_s: float
    ranking_ms: float
    artifact_mib: float


def run(size: str, home: str) -> None:
    root = Path(home)
    stage = split_movielens(root)
    seeds = 5 if size == "full" else 2
    fitted = {
        name: fit_seeds(root, stage, name, params, seeds)
        for name, params in [*((name, {}) for name in PLAIN), BLEND]
    }
    scores = {name: [fit.scores for fit in fits] for name, fits in fitted.items()}
    rows = [row for name, fits in fitted.items() for row in rows_of(name, fits)]
    rows += _above_popularity(scores)
    rows.append(_beside_item_knn(scores))
    rows.append(_passes_gate(scores))
    rows += _beside_peers(stage, scores)
    rows += rows_of_other_likes(stage, seeds)
    notes = (
        f"{len(stage.judged)} users with something to find, {seeds} seeds for what is random. Training is one fit, in processor seconds. "
        "Peers: implicit 0.7 scoring the users it was fitted on; EASE with every weight and the user's whole history."
    )
    write_result("recommenders", size, rows, notes, ("torch", "transformers", "implicit"))


def fit_seeds(root: Path, stage: Stage, name: str, params: dict, seeds: int) -> list[Fitted]:
    """Fit an algorithm with as many seeds; once where nothing is random."""
    count = seeds if recommenders()[name].seeds > 1 else 1
    return [_fit(root, stage, name, params=params, seed=seed) for seed in range(count)]


def _fit(root: Path, stage: Stage, name: str, *, params: dict, seed: int) -> Fitted:
    options = FitOptions(seed=seed, params=params, encoder=stage.encoder)
    start = processor_seconds()
    draft = recommenders()[name].fit(stage.data, options)
    seconds = processor_seconds() - start
    digest = save_artifact(root, draft)
    ranker = Ranker(root, digest)
    start = processor_seconds()
    ranked = ranker.candidates([liked[::-1][:50] for liked in stage.past], stage.past, K)
    each = (processor_seconds() - start) / len(stage.past) * 1000
    return Fitted(stage.scores_of(ranked), seconds, each, artifact_bytes(root, digest) / 2**20)


def rows_of(name: str, fits: list[Fitted]) -> list[Row]:
    """Quality over all seeds, costs of the first."""
    rows = []
    for metric in ("ndcg", "recall", "hit_rate"):
        values = np.mean([fit.scores.per_unit[metric] for fit in fits], axis=0)
        low, high = _interval(values)
        what = f"{name}: {metric}@10 ({low:.4f} to {high:.4f})"
        rows.append(Row(what, float(values.mean()), "share", None, None))
    first = fits[0]
    coverage = float(np.mean([fit.scores.whole["coverage"] for fit in fits]))
    return [
        *rows,
        Row(f"{name}: coverage@10", coverage, "share", None, None),
        Row(f"{name}: training, processor time", first.training_s, "s", None, None, higher_is_better=False),
        Row(f"{name}: ranking the catalogue, a user, processor time", first.ranking_ms, "ms", None, None, higher_is_better=False),
        Row(f"{name}: artifact", first.artifact_mib, "MiB", None, None, higher_is_better=False),
    ]  # fmt: skip


def rows_of_other_likes(stage: Stage, seeds: int) -> Iterator[Row]:
    """Judge by each user's fifth before the last, which chose no default; the last is not read at all."""
    learnt, judged, wanted = hold_out_last(stage.data)
    past = [learnt.liked[user].tolist() for user in judged]
    other = Stage(learnt, judged, past, list(wanted), stage.encoder)
    knn: list[float] = []
    for name in ("item-knn", "ease", "als", "two-tower", "sasrec"):
        values = []
        for seed in range(seeds if recommenders()[name].seeds > 1 else 1):
            draft = recommenders()[name].fit(learnt, FitOptions(seed=seed))
            scorer = scorer_of(draft.form, draft.arrays.__getitem__)
            ranked = [_top(scorer.score_all([one[::-1][:50]])[0], one) for one in past]
            values.append(other.scores_of(ranked).mean("ndcg"))
        knn = knn or values
        spread = f"{min(values):.4f} to {max(values):.4f}"
        what = f"{name}: ndcg@10 of likes that chose no default (peer: item-knn)"
        yield Row(what, float(np.mean(values)), "share", float(np.mean(knn)), None, spread=spread)


def _top(scores: np.ndarray, seen: list[int]) -> np.ndarray:
    scores = scores.copy()
    scores[seen] = -np.inf
    return np.argsort(-scores, kind="stable")[:K]


def _above_popularity(scores: dict[str, list[Scores]]) -> Iterator[Row]:
    popular = scores["popularity"][0].per_unit["hit_rate"]
    for seed, ours in enumerate(scores["two-tower"]):
        low, _ = _interval(ours.per_unit["hit_rate"] - popular)
        what = f"two-tower, seed {seed}: hit rate above popularity, lower end of 95 %"
        yield Row(what, low, "share", None, None, "ours >= 0.0001")


def _beside_item_knn(scores: dict[str, list[Scores]]) -> Row:
    """Whether `auto` may try two towers: it must reach what takes a tenth of a second to fit."""
    ours = float(np.mean([one.mean("ndcg") for one in scores["two-tower"]]))
    theirs = scores["item-knn"][0].mean("ndcg")
    return Row(
        "two-tower: ndcg@10 beside item-knn", ours, "share", theirs, None, "ratio_to_peer >= 1.0"
    )


def _passes_gate(scores: dict[str, list[Scores]]) -> Row:
    popular = Rival("popularity", scores["popularity"][0])
    gate = judge(popular, scores["frozen-text"], Serving(0.1, 1), GateRule(), random_seed=0)
    what = "frozen-text passes the gate against popularity"
    return Row(what, float(gate.passed), "times", None, None, "ours <= 0", higher_is_better=False)


def _beside_peers(stage: Stage, scores: dict[str, list[Scores]]) -> Iterator[Row]:
    for name, ranked in _peers(stage.data, stage.judged, stage.past):
        ours = float(np.mean([s.mean("ndcg") for s in scores[name]]))
        theirs = stage.scores_of(ranked).mean("ndcg")
        what = f"{name}: ndcg@10 beside the peer's own code"
        yield Row(what, ours, "share", theirs, None, "ratio_to_peer >= 0.98")


def _interval(values: np.ndarray) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(1000)]
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def _peers(data: TrainingData, judged: list[int], past: list[list[int]]):
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy import sparse

    units, items = data.pairs
    liked = sparse.csr_matrix(
        (np.ones(len(items), np.float32), (units, items)), (len(data.liked), len(data.item_ids))
    )
    liked.data[:] = 1.0
    gram = (liked.T @ liked).toarray().astype(np.float64) + 200.0 * np.eye(liked.shape[1])
    inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    scores = liked[judged] @ weights
    for row, seen in enumerate(past):
        scores[row, seen] = -np.inf
    yield "ease", np.argsort(-scores, axis=1)[:, :K].astype(np.int32)
    model = AlternatingLeastSquares(
        factors=64, regularization=30.0, alpha=5.0, iterations=20, random_state=0, num_threads=1
    )
    model.fit(liked, show_progress=False)
    recommended, _ = model.recommend(
        np.array(judged), liked[judged], N=K, filter_already_liked_items=True
    )
    yield "als", recommended.astype(np.int32)
