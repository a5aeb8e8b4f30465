"""A compression's run, free of Django: shrink, then compare with the parent on the parent's gate.

Both artifacts are judged as they are, on the rows that the parent's run held out; latencies are
measured in turn, so that what else the machine does hits both. What is not faster is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.compression import COMPRESSIONS
from inference.evaluation.gate import Rival, judge
from inference.evaluation.labelling import score_labels
from inference.evaluation.ranking import score_rankings
from inference.options import FitOptions
from inference.runs.latency import time_in_turn
from inference.runs.outcome import RunResult
from inference.serving.artifact import artifact_bytes, load_draft, save_artifact
from inference.serving.model_worker import open_worker_model
from inference.serving.ranker import Ranker
from inference.training.snapshot import Examples, Likes
from inference.training.split import split_by_time, split_examples

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from inference.evaluation.gate import GateResult
    from inference.evaluation.scores import Scores
    from inference.runs.latency import Latencies
    from inference.runs.outcome import RunPlan, RunProgress
    from inference.serving.artifact import ArtifactDraft

MIN_SPEED_UP = 1.05  # less is within what one machine measures twice
TIMED = 100  # answers of each artifact whose latency is measured
CANDIDATES, HISTORY = 200, 50  # as many as a request to a surface re-ranks, and carries
RANKINGS_AT_ONCE = 20  # a ranking takes microseconds: one alone is shorter than the clock's noise


@dataclass(frozen=True, slots=True)
class Parent:
    """The version that is compressed: its label and its artifact."""

    label: str
    digest: str


@dataclass(frozen=True, slots=True)
class _JudgedArtifact:
    """One artifact's scores and size, and how to make it answer once more.

    Attributes:
        scores: on what the parent's run held out.
        size: of the artifact, in bytes.
        answer: makes it answer its n-th request.
    """

    scores: Scores
    size: int
    answer: Callable[[int], object]


def compress_and_judge(
    plan: RunPlan,
    parent: Parent,
    rows: Likes | Examples,
    how: tuple[str, int],
    progress: RunProgress,
) -> RunResult:
    """Compress a version and put the result through its parent's gate.

    Args:
        plan: place and rule.
        parent: what is compressed.
        rows: the snapshot that the parent was trained on.
        how: a name of `COMPRESSIONS`, and how far: layers, heads or dimensions; 0 for int8.
        progress: receives the share done and losses.

    Raises:
        ValueError: the parent cannot be compressed so.
    """
    root = plan.place.artifacts
    draft = _compress(plan, parent, rows, how, progress)
    digest = save_artifact(root, draft)
    progress.report(0.9, f"comparing with {parent.label}")
    before, after = (_judge(root, name, rows, plan) for name in (parent.digest, digest))
    repeats = RANKINGS_AT_ONCE if isinstance(rows, Likes) else 1
    latencies = time_in_turn(TIMED, after.answer, before.answer, repeats=repeats)
    gate = judge(
        Rival(parent.label, before.scores),
        [after.scores],
        latencies.serving(after.size),
        plan.rule,
        random_seed=plan.seed,
        about={"compression": _compression_view(how, before, after, latencies)},
    )
    gate.rows["bytes"]["champion"] = before.size
    return RunResult(artifact_sha256=digest, gate=_refuse_slow(gate, latencies.speed_up))


def _compress(
    plan: RunPlan,
    parent: Parent,
    rows: Likes | Examples,
    how: tuple[str, int],
    progress: RunProgress,
) -> ArtifactDraft:
    """Return the smaller artifact's draft."""
    name, size = how
    options = FitOptions(
        seed=plan.seed,
        report=lambda share, line: progress.report(0.9 * share, line),
        curve=lambda step, loss: progress.curve(name, step, loss),
        checkpoint=plan.place.checkpoints,
        device=plan.place.device,
    )
    draft = load_draft(plan.place.artifacts, parent.digest)
    small = COMPRESSIONS[name](draft, _learnt_texts(rows), size, options)
    about = {**small.about, **plan.about, "compressed": list(how), "parent": parent.digest}
    return replace(small, about=about)


def _compression_view(
    how: tuple[str, int], before: _JudgedArtifact, after: _JudgedArtifact, latencies: Latencies
) -> dict[str, Any]:
    return {
        "how": how[0],
        "size": how[1],
        "speed_up": latencies.speed_up,
        "bytes_before": before.size,
        "bytes_after": after.size,
        "median_ms_before": float(np.median(latencies.other)),
        "median_ms_after": float(np.median(latencies.ours)),
    }


def _refuse_slow(gate: GateResult, speed_up: float) -> GateResult:
    if speed_up >= MIN_SPEED_UP:
        return gate
    return gate.refused_for(
        f"speed-up == {speed_up:.2f}, must be at least {MIN_SPEED_UP}: it is not faster"
    )


def _learnt_texts(rows: Likes | Examples) -> list[str]:
    if isinstance(rows, Likes):
        return []
    earlier, _ = split_examples(rows)
    return [rows.texts[i] for i in earlier]


def _judge(root: Path, digest: str, rows: Likes | Examples, plan: RunPlan) -> _JudgedArtifact:
    if isinstance(rows, Examples):
        return _judge_labels(root, digest, rows)
    return _judge_rankings(root, digest, rows, plan)


def _judge_labels(root: Path, digest: str, rows: Examples) -> _JudgedArtifact:
    classifier = open_worker_model(root, digest)
    _, later = split_examples(rows)
    index = {label: i for i, label in enumerate(classifier.labels)}
    later = np.array([i for i in later if rows.labels[i] in index], dtype=np.int64)
    texts, features = [rows.texts[i] for i in later], [rows.features[i] for i in later]
    truth = np.array([index[rows.labels[i]] for i in later], dtype=np.int64)

    def answer(n: int) -> object:
        i = n % len(texts)
        return classifier.probabilities([texts[i]], [features[i]])

    scores = score_labels(classifier.probabilities(texts, features), truth)
    return _JudgedArtifact(scores, artifact_bytes(root, digest), answer)


def _judge_rankings(root: Path, digest: str, rows: Likes, plan: RunPlan) -> _JudgedArtifact:
    ranker = Ranker(root, digest)
    split = split_by_time(rows, ranker.item_ids)
    judged = split.judged
    past = [split.past[i].items.tolist() for i in judged]
    ranked = ranker.candidates([liked[::-1] for liked in past], past, plan.rule.k)
    candidates = ranker.default_order[:CANDIDATES]

    def answer(n: int) -> object:
        history = past[n % len(past)][::-1][:HISTORY]
        return ranker.score(candidates, history)

    wanted = [split.later[i] for i in judged]
    scores = score_rankings(ranked, wanted, k=plan.rule.k, items=len(ranker.item_ids))
    return _JudgedArtifact(scores, artifact_bytes(root, digest), answer)
