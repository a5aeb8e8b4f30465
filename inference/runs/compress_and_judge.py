"""A compression's run, free of Django: shrink, then compare with the parent on the parent's gate.

Both artifacts are judged as they are, on the rows that the parent's run held out; latencies are
measured in turn, so that what else the machine does hits both. What is not faster is refused.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.compression import COMPRESSIONS
from inference.evaluation.gate import Rival, Serving, judge
from inference.evaluation.labelling import score_labels
from inference.evaluation.ranking import score_rankings
from inference.options import FitOptions
from inference.runs.outcome import RunResult
from inference.serving.artifact import artifact_bytes, load_draft, save_artifact
from inference.serving.model_worker import open_worker_model
from inference.serving.ranker import Ranker
from inference.training.snapshot import Examples, Likes
from inference.training.split import split_by_time, split_examples

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from inference.evaluation.scores import Scores
    from inference.runs.outcome import RunPlan, RunProgress

MIN_SPEED_UP = 1.05
TIMED = 100


@dataclass(frozen=True, slots=True)
class Parent:
    """The version that is compressed: its label and its artifact."""

    label: str
    digest: str


@dataclass(frozen=True, slots=True)
class _ArtifactScore:
    """How one artifact is scored and timed."""

    scores: Scores
    once: Callable[[int], Any]


def compress_and_judge(
    plan: RunPlan,
    parent: Parent,
    rows: Likes | Examples,
    how: tuple[str, int],
    progress: RunProgress,
) -> RunResult:
    """Run.

    Args:
        plan: place and rule.
        parent: what is compressed.
        rows: the snapshot that the parent was trained on.
        how: a name of `COMPRESSIONS`, and how far: layers, heads or dimensions; 0 for int8.
        progress: who is told.

    Raises:
        ValueError: the parent cannot be compressed so.
    """
    root = plan.place.artifacts
    draft = load_draft(root, parent.digest)
    texts = _learnt_texts(rows)
    options = FitOptions(
        seed=plan.seed,
        report=lambda share, line: progress.report(0.9 * share, line),
        curve=lambda step, loss: progress.curve(how[0], step, loss),
        checkpoint=plan.place.checkpoints,
        device=plan.place.device,
    )
    small = COMPRESSIONS[how[0]](draft, texts, how[1], options)
    about = {**small.about, **plan.about, "compressed": list(how), "parent": parent.digest}
    digest = save_artifact(root, replace(small, about=about))
    progress.report(0.9, f"comparing with {parent.label}")
    before, after = (_judge(root, name, rows, plan) for name in (parent.digest, digest))
    times = _time_in_turn(before, after)
    speed_up = float(np.median(times[0]) / np.median(times[1]))
    sizes = [artifact_bytes(root, name) for name in (parent.digest, digest)]
    gate = judge(
        Rival(parent.label, before.scores),
        [after.scores],
        Serving(latency_p95_ms=float(np.quantile(times[1], 0.95)), bytes=sizes[1]),
        plan.rule,
        random_seed=plan.seed,
        about={
            "compression": {
                "how": how[0],
                "size": how[1],
                "speed_up": speed_up,
                "bytes_before": sizes[0],
                "bytes_after": sizes[1],
                "median_ms_before": float(np.median(times[0])),
                "median_ms_after": float(np.median(times[1])),
            }
        },
    )
    gate.rows["latency_p95_ms"]["champion"] = float(np.quantile(times[0], 0.95))
    gate.rows["bytes"]["champion"] = sizes[0]
    if speed_up < MIN_SPEED_UP:
        reason = f"speed-up == {speed_up:.2f}, must be at least {MIN_SPEED_UP}: it is not faster"
        gate = gate.refused_for(reason)
    return RunResult(artifact_sha256=digest, gate=gate)


def _learnt_texts(rows: Likes | Examples) -> list[str]:
    if isinstance(rows, Likes):
        return []
    earlier, _ = split_examples(rows)
    return [rows.texts[i] for i in earlier]


def _judge(root: Path, digest: str, rows: Likes | Examples, plan: RunPlan) -> _ArtifactScore:
    if isinstance(rows, Examples):
        return _judge_labels(root, digest, rows)
    return _judge_rankings(root, digest, rows, plan)


def _judge_labels(root: Path, digest: str, rows: Examples) -> _ArtifactScore:
    classifier = open_worker_model(root, digest)
    _, later = split_examples(rows)
    index = {label: i for i, label in enumerate(classifier.labels)}
    later = np.array([i for i in later if rows.labels[i] in index], dtype=np.int64)
    texts, features = [rows.texts[i] for i in later], [rows.features[i] for i in later]
    truth = np.array([index[rows.labels[i]] for i in later], dtype=np.int64)
    return _ArtifactScore(
        score_labels(classifier.probabilities(texts, features), truth),
        lambda n: classifier.probabilities([texts[n % len(texts)]], [features[n % len(texts)]]),
    )


def _judge_rankings(root: Path, digest: str, rows: Likes, plan: RunPlan) -> _ArtifactScore:
    ranker = Ranker(root, digest)
    split = split_by_time(rows, ranker.item_ids)
    judged = split.judged
    past = [split.past[i].items.tolist() for i in judged]
    ranked = ranker.candidates([liked[::-1] for liked in past], past, plan.rule.k)
    candidates = ranker.default_order[:200]
    return _ArtifactScore(
        score_rankings(
            ranked, [split.later[i] for i in judged], k=plan.rule.k, items=len(ranker.item_ids)
        ),
        lambda n: [ranker.score(candidates, past[n % len(past)][::-1][:50]) for _ in range(20)],
    )


def _time_in_turn(*judges: _ArtifactScore) -> list[list[float]]:
    times: list[list[float]] = [[] for _ in judges]
    for n in range(TIMED):
        for mine, one in zip(times, judges, strict=True):
            start = time.perf_counter()
            one.once(n)
            mine.append((time.perf_counter() - start) * 1000)
    return times
