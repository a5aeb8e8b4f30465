"""The heart of a training run, free of Django: split, check, fit, gate, fit on all, export."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.evaluation.gate import GateResult, GateRule, Serving, judge
from inference.evaluation.ranking import RankingScores, score_rankings
from inference.recommenders import RECOMMENDERS, Recommender, TrainingData
from inference.recommenders.protocol import FitOptions
from inference.serving.artifact import Draft, Floats, Indices, artifact_bytes, save_artifact
from inference.serving.ranker import Ranker
from inference.training.snapshot import Likes, SplitData, split_by_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LEAST_JUDGED = 20
UNITS_AT_ONCE = 1000


class RunError(Exception):
    """A run that cannot be finished; the message says where and why."""


@dataclass(frozen=True, slots=True)
class RunInput:
    """What a run works on.

    Attributes:
        recommender: name of what is trained.
        params: its hyper-parameters.
        champion: name and hyper-parameters of the champion's recipe, or None.
        likes: the snapshot.
        item_ids: the catalogue.
        item_vectors: text vectors of the catalogue, or None.
        artifacts: where artifacts are kept.
        checkpoints: where checkpoints of this run are kept, or None.
        rule: the gate's.
        seed: of everything random.
        about: what the manifest must name: encoder, snapshot.
    """

    recommender: str
    params: Mapping[str, Any]
    champion: tuple[str, Mapping[str, Any]] | None
    likes: Likes
    item_ids: list[str]
    item_vectors: Floats | None
    artifacts: Path
    checkpoints: Path | None
    rule: GateRule
    seed: int
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RunResult:
    """The artifact and the gate's verdict on it."""

    artifact_sha256: str
    gate: GateResult


def fit_and_judge(given: RunInput, report: Callable[[float, str], None]) -> RunResult:
    """Run.

    The champion's recipe is fitted on the same earlier likes as the challenger, so that neither has
    seen what is held out; what is exported has learnt from all.

    Raises:
        RunError: too little data, or a leak.
    """
    recommender = RECOMMENDERS[given.recommender]
    split = split_by_time(given.likes, given.item_ids)
    judged = [i for i, later in enumerate(split.later) if len(later) and len(split.earlier[i])]
    if len(judged) < LEAST_JUDGED:
        raise RunError(f"units with held-out likes == {len(judged)}, must be at least {LEAST_JUDGED}.")
    _refuse_leaks(split)
    data = _data(given, split.earlier)
    champion = None
    if given.champion is not None:
        name, params = given.champion
        report(0.0, f"scoring the champion ({name}) on {len(judged)} units")
        draft = RECOMMENDERS[name].fit(data, FitOptions(seed=given.seed, params=params))
        champion = _score(draft, split, judged, given.rule.k)
    scores = []
    parts = recommender.seeds + 1
    for seed in range(recommender.seeds):
        part = _part(report, seed, parts, f"seed {seed}: ")
        draft = _fit(recommender, data, given, seed, part)
        scores.append(_score(draft, split, judged, given.rule.k))
    everything = [np.concatenate(pair) for pair in zip(split.earlier, split.later, strict=True)]
    last = _part(report, parts - 1, parts, "on all: ")
    final = _fit(recommender, _data(given, everything), given, given.seed, last)
    final = replace(final, about={**final.about, **given.about})
    digest = save_artifact(given.artifacts, final)
    serving = _measure(Ranker(given.artifacts, digest), given.artifacts, split, judged)
    gate = judge(champion, scores, serving, given.rule, random_seed=given.seed)
    return RunResult(artifact_sha256=digest, gate=gate)


def _fit(
    recommender: Recommender,
    data: TrainingData,
    given: RunInput,
    seed: int,
    report: Callable[[float, str], None],
) -> Draft:
    # The rows are part of the name: a fit on other rows must not resume from this one.
    rows = sum(len(liked) for liked in data.liked)
    folder = given.checkpoints / f"seed-{seed}-rows-{rows}" if given.checkpoints else None
    options = FitOptions(seed=seed, params=given.params, report=report, checkpoint=folder)
    return recommender.fit(data, options)


def _data(given: RunInput, liked: list[np.ndarray]) -> TrainingData:
    return TrainingData(
        item_ids=given.item_ids,
        item_vectors=given.item_vectors,
        liked=liked,
    )


def _part(
    report: Callable[[float, str], None], index: int, parts: int, prefix: str
) -> Callable[[float, str], None]:
    """Return a report that fills one part of the whole."""
    return lambda share, line: report((index + share) / parts, prefix + line)


def _refuse_leaks(split: SplitData) -> None:
    """Fail when a unit would be judged on what it was learnt from."""
    for earlier, later in zip(split.earlier, split.later, strict=True):
        if len(np.intersect1d(earlier, later)):
            raise RunError("a unit's held-out items are among those learnt from: leak.")


def _score(draft: Draft, split: SplitData, judged: list[int], k: int) -> RankingScores:
    """Rank the full catalogue for each judged unit, as serving would: its own likes left out."""
    with tempfile.TemporaryDirectory() as scratch:
        ranker = Ranker(Path(scratch), save_artifact(Path(scratch), draft))
        ranked: list[Indices] = []
        for start in range(0, len(judged), UNITS_AT_ONCE):  # scores are units × items
            part = [split.earlier[i] for i in judged[start : start + UNITS_AT_ONCE]]
            ranked += ranker.candidates(
                [liked[::-1].tolist() for liked in part], [liked.tolist() for liked in part], k
            )
    wanted = [split.later[i] for i in judged]
    return score_rankings(ranked, wanted, k=k, items=len(split.item_ids))


def _measure(ranker: Ranker, root: Path, split: SplitData, judged: list[int]) -> Serving:
    """Time what a request does: score 200 candidates for one unit."""
    candidates = ranker.default_order[:200]
    times = []
    for i in judged[:200]:
        history = split.earlier[i][::-1][:50].tolist()
        start = time.perf_counter()
        ranker.score(candidates, history)
        times.append((time.perf_counter() - start) * 1000)
    return Serving(
        latency_p95_ms=float(np.quantile(times, 0.95)),
        bytes=artifact_bytes(root, ranker.folder.name),
    )
