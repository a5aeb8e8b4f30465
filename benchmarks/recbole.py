"""SASRec and EASE beside RecBole's own code, on MovieLens-100k: the same likes, the same lists judged.

Each side picks its settings without the held-out likes, by each user's last likes before them: RecBole its
number of passes, ours the best of some draws of hyper-parameters, with the first seed. Both then learn from
all likes before the held-out ones. RecBole reads no texts, so ours is measured with them and without.

A seed of RecBole's takes up to an hour. Finished ones stay beside its environment, so a command that was
stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.movielens import K, Stage, split_movielens
from benchmarks.peers.environment import peer_python
from benchmarks.results import Row, write_result
from inference.algorithms import params_of, recommenders
from inference.options import FitOptions, draw_params
from inference.recommenders.blend import mean_ndcg
from inference.serving.artifact import save_artifact
from inference.serving.ranker import Ranker
from inference.serving.scorers import scorer_of
from inference.training.split import hold_out_last

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.evaluation.scores import Scores
    from inference.training.data import TrainingData

REQUIREMENTS = ("recbole==1.2.1", "torch==2.13.*", "numpy==1.26.4", "scipy<1.14", "pandas<2.3")
SCRIPT = Path(__file__).parent / "peers" / "recbole_lists.py"


@dataclass(frozen=True, slots=True)
class Size:
    """How much is run: seeds of each side, draws that ours chooses from, items that a history holds.

    With `refit` RecBole's SASRec learns once more from the likes that its passes were picked by.
    """

    seeds: int
    draws: int
    history: int
    refit: bool


SIZES = {"full": Size(5, 3, 20, True), "small": Size(1, 3, 20, True)}


def run(size: str, home: str) -> None:
    root, how = Path(home), SIZES[size]
    stage = split_movielens(root)
    plain = replace(stage, data=replace(stage.data, item_vectors=None, item_texts=None))
    file = root / "likes.npz"
    units, items = stage.data.pairs
    np.savez(file, units=units, items=items, judged=stage.judged, count=len(stage.data.item_ids))
    params, chosen = _choose(plain.data, "sasrec", how)
    theirs = [_peer_scores(stage, file, "SASRec", seed, how) for seed in range(how.seeds)]
    without = [_our_scores(root, plain, "sasrec", params, seed) for seed in range(how.seeds)]
    texts = [_our_scores(root, stage, "sasrec", params, seed) for seed in range(how.seeds)]
    ease = [_our_scores(root, plain, "ease", {}, 0)], [_peer_scores(stage, file, "EASE", 0, how)]
    rows = [
        *_rows("sasrec, without texts", without, theirs, target=True),
        *_rows("sasrec, with texts", texts, theirs),
        *_rows("ease", *ease, target=True),
    ]
    notes = (
        f"{len(stage.judged)} users, {how.seeds} seeds of both. Ratios with 95 % of a bootstrap over users of the mean over "
        f"seeds. RecBole 1.2.1 with its defaults but 256 samples a step, passes by early stopping{', then learnt once more from all likes' if how.refit else ''}; both read {how.history} recent items. sasrec's settings: {json.dumps(params)}, the best of "
        f"{how.draws} draws and the defaults on the validation part (NDCG {chosen[0]:.4f}, the defaults {chosen[1]:.4f})."
    )  # fmt: skip
    write_result("recbole", size, rows, notes, ("torch",))


def _choose(data: TrainingData, name: str, how: Size) -> tuple[dict, tuple[float, float]]:
    """Return the best hyper-parameters on a validation part, and its NDCG with them and with none."""
    learnt, judged, wanted = hold_out_last(data)
    histories = [learnt.liked[unit] for unit in judged]
    rng = np.random.default_rng(0)
    trials = [{}, *(draw_params(params_of("recommend", name), rng) for _ in range(how.draws))]
    trials = [{**params, "history": how.history} for params in trials]
    scores = []
    for params in trials:
        draft = recommenders()[name].fit(learnt, FitOptions(params=params))
        scorer = scorer_of(draft.form, draft.arrays.__getitem__)
        scores.append(float(mean_ndcg([scorer], [np.ones(1)], histories, wanted)[0]))
        print(f"{name} {params}: validation NDCG {scores[-1]:.4f}", flush=True)
    best = int(np.argmax(scores))
    return trials[best], (scores[best], scores[0])


def _our_scores(root: Path, stage: Stage, name: str, params: dict, seed: int) -> Scores:
    draft = recommenders()[name].fit(stage.data, FitOptions(seed=seed, params=params))
    ranker = Ranker(root, save_artifact(root, draft))
    ranked = ranker.candidates([liked[::-1][:50] for liked in stage.past], stage.past, K)
    return stage.scores_of(ranked)


def _peer_scores(stage: Stage, file: Path, model: str, seed: int, how: Size) -> Scores:
    """Score RecBole's lists by our metrics; what an earlier run has finished is read again."""
    python, settings = (
        peer_python("recbole", REQUIREMENTS),
        [model, str(seed), str(how.history), str(int(how.refit))],
    )
    content = SCRIPT.read_bytes() + file.read_bytes() + repr(settings).encode()
    out = python.parents[1] / f"{hashlib.sha256(content).hexdigest()}.npz"
    if not out.exists():
        part = file.with_name("part.npz")
        command = [str(python), "-W", "ignore", str(SCRIPT), str(file), str(part), *settings]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=file.parent)
        if done.returncode:
            raise SystemExit(done.stderr)
        shutil.move(part, out)  # a seed takes an hour: who stops the command keeps what is whole
    saved = np.load(out)
    scores = saved["scores"]
    for row, seen in enumerate(stage.past):
        scores[row, seen] = -np.inf
    judged = stage.scores_of(np.argsort(-scores, axis=1, kind="stable")[:, :K].astype(np.int32))
    print(
        f"RecBole {model}, seed {seed}: NDCG {judged.mean('ndcg'):.4f} after {saved['epochs']} passes"
    )
    return judged


def _rows(
    name: str, ours: Sequence[Scores], theirs: Sequence[Scores], *, target: bool = False
) -> list[Row]:
    rows = []
    for metric in ("ndcg", "recall", "hit_rate"):
        mine, other = (
            np.mean([one.per_unit[metric] for one in side], axis=0) for side in (ours, theirs)
        )
        low, high = _ratio_interval(mine, other)
        wanted = "ratio_to_peer >= 0.98" if target and metric == "ndcg" else ""
        rows.append(
            Row(
                f"{name}: {metric}@10 beside RecBole's", float(mine.mean()), "share", float(other.mean()), None,
                wanted, spread=f"ratio {low:.3f} to {high:.3f}",
            )
        )  # fmt: skip
    return rows


def _ratio_interval(mine: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(1000):
        drawn = rng.integers(len(mine), size=len(mine))
        ratios.append(mine[drawn].mean() / other[drawn].mean())
    return float(np.quantile(ratios, 0.025)), float(np.quantile(ratios, 0.975))
