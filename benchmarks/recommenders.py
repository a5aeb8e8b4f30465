"""All recommenders on MovieLens-100k: each user's last fifth held out, beside two peers on the same split.

Hits and NDCG at 10 over the full catalogue, the user's earlier items left out. Intervals are a bootstrap over
users. Peers run their own code with the same likes: `implicit` scores the users that it was fitted on, and a
plain dense EASE keeps every weight.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from benchmarks.movielens import K, split_movielens
from benchmarks.results import Row, write_result
from inference.evaluation.gate import GateRule, Rival, Serving, judge
from inference.options import FitOptions
from inference.recommenders import RECOMMENDERS
from inference.serving.artifact import artifact_bytes, save_artifact
from inference.serving.ranker import Ranker
from inference.training.data import TrainingData

PLAIN = ("popularity", "frozen-text", "item-knn", "ease", "als", "two-tower")
TUNED = (("tuned-two-tower", {"method": "lora"}), ("bert", {"method": "full", "steps": 300}))


def run(size: str, home: str) -> None:
    root = Path(home)
    stage = split_movielens(root)
    data, judged, past, encoder = stage.data, stage.judged, stage.past, stage.encoder
    scores_of = stage.scores_of

    def measure(name, params, seed=0):
        options = FitOptions(seed=seed, params=params, encoder=encoder)
        start = time.perf_counter()
        draft = RECOMMENDERS[name].fit(data, options)
        seconds = time.perf_counter() - start
        digest = save_artifact(root, draft)
        ranker = Ranker(root, digest)
        start = time.perf_counter()
        ranked = ranker.candidates([liked[::-1][:50] for liked in past], past, K)
        each = (time.perf_counter() - start) / len(past) * 1000
        return scores_of(ranked), seconds, each, artifact_bytes(root, digest) / 2**20

    rows, notes, rankings = [], [], {}
    seeds = 5 if size == "full" else 2
    for name, params in [*((name, {}) for name in PLAIN), *(TUNED if size == "full" else ())]:
        many = RECOMMENDERS[name].seeds > 1
        measured = [measure(name, params, seed) for seed in range(seeds if many else 1)]
        rankings[name] = [scores for scores, *_ in measured]
        first = measured[0]
        for metric in ("ndcg", "recall", "hit_rate"):
            values = np.mean([scores.per_unit[metric] for scores in rankings[name]], axis=0)
            low, high = _interval(values)
            rows.append(
                Row(
                    f"{name}: {metric}@10 ({low:.4f} to {high:.4f})",
                    float(values.mean()),
                    "share",
                    None,
                    None,
                )
            )
        rows += [
            Row(f"{name}: coverage@10", float(np.mean([s.whole["coverage"] for s in rankings[name]])), "share", None, None),
            Row(f"{name}: training", first[1], "s", None, None, higher_is_better=False),
            Row(f"{name}: ranking the catalogue, a user", first[2], "ms", None, None, higher_is_better=False),
            Row(f"{name}: artifact", first[3], "MiB", None, None, higher_is_better=False),
        ]  # fmt: skip
    popular = rankings["popularity"][0]
    for seed, scores in enumerate(rankings["two-tower"]):
        difference = scores.per_unit["hit_rate"] - popular.per_unit["hit_rate"]
        low, _ = _interval(difference)
        rows.append(
            Row(
                f"two-tower, seed {seed}: hit rate above popularity, lower end of 95 %",
                low,
                "share",
                None,
                None,
                "ours >= 0.0001",
            )
        )
    gate = judge(
        Rival("popularity", popular),
        rankings["frozen-text"],
        Serving(0.1, 1),
        GateRule(),
        random_seed=0,
    )
    rows.append(
        Row(
            "frozen-text passes the gate against popularity",
            float(gate.passed),
            "times",
            None,
            None,
            "ours <= 0",
            higher_is_better=False,
        )
    )
    for name, ranked in _peers(data, judged, past):
        ours = float(np.mean([s.mean("ndcg") for s in rankings[name]]))
        theirs = scores_of(ranked).mean("ndcg")
        rows.append(
            Row(
                f"{name}: ndcg@10 beside the peer's own code",
                ours,
                "share",
                theirs,
                None,
                "ratio_to_peer >= 0.98",
            )
        )
    notes = (
        f"{len(judged)} users with something to find, {seeds} seeds for what is random. Training is one fit on one thread. "
        "Peers: implicit 0.7 scoring the users it was fitted on; EASE with every weight and the user's whole history."
    )
    write_result("recommenders", size, rows, notes, ("torch", "transformers", "implicit"))


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
