"""A compression's run, free of Django: shrink, then compare with the parent on the parent's gate.

What is judged has seen none of the held-out rows. Where the parent's artifact has learnt from them too,
its recipe is fitted again on the earlier rows, and this fit is compressed in the same way: that pair is
judged, and the compressed artifact itself is exported. Latencies are those of the two artifacts,
measured in turn, so that what else the machine does hits both. What is not faster is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.compression import COMPRESSIONS
from inference.evaluation.gate import Rival, judge
from inference.runs.label_run import LabelRun
from inference.runs.latency import time_in_turn
from inference.runs.outcome import RunResult
from inference.serving.artifact import artifact_bytes, load_draft, save_artifact

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from inference.evaluation.gate import GateResult
    from inference.runs.latency import Latencies
    from inference.runs.outcome import RunProgress
    from inference.runs.ranking_run import RankingRun
    from inference.serving.artifact import ArtifactDraft

    How = tuple[str, int]

MIN_SPEED_UP = 1.05  # less is within what one machine measures twice
TIMED = 100  # answers of each artifact whose latency is measured
RANKINGS_AT_ONCE = 20  # a ranking takes microseconds: one alone is shorter than the clock's noise
PARTS = 3  # of the progress: what is exported, and the two that are judged


@dataclass(frozen=True, slots=True)
class Parent:
    """The version that is compressed: its label and its artifact."""

    label: str
    digest: str


@dataclass(frozen=True, slots=True)
class _Compression:
    """The drafts of one compression.

    Attributes:
        exported: made from the parent's artifact.
        before: what is judged in the parent's place; it has seen no held-out row.
        after: the same, compressed.
    """

    exported: ArtifactDraft
    before: ArtifactDraft
    after: ArtifactDraft


def compress_and_judge(
    parent: Parent, run: RankingRun | LabelRun, how: How, progress: RunProgress
) -> RunResult:
    """Compress a version and put the result through its parent's gate.

    Args:
        parent: what is compressed.
        run: of the parent's recipe, on the parent's own snapshot.
        how: a name of `COMPRESSIONS`, and how far: layers, heads or dimensions; 0 for int8.
        progress: receives the share done and losses.

    Raises:
        ValueError: the parent cannot be compressed so.
    """
    plan = run.plan
    root = plan.place.artifacts
    drafts = _compress(parent, run, how, progress.span(0.0, 0.9))
    about = {**drafts.exported.about, **plan.manifest, "compressed": list(how), "parent": parent.digest}
    digest = save_artifact(root, replace(drafts.exported, about=about))
    progress.report(0.9, f"comparing with {parent.label}")
    repeats = 1 if isinstance(run, LabelRun) else RANKINGS_AT_ONCE
    latencies = time_in_turn(
        TIMED, run.answer_by(digest), run.answer_by(parent.digest), repeats=repeats
    )
    sizes = artifact_bytes(root, parent.digest), artifact_bytes(root, digest)
    gate = judge(
        Rival(parent.label, run.judge(drafts.before).scores),
        [run.judge(drafts.after).scores],
        latencies.serving(sizes[1]),
        plan.rule,
        random_seed=plan.seed,
        about={"compression": _compression_view(how, sizes, latencies)},
    )
    gate.rows["bytes"]["champion"] = sizes[0]
    return RunResult(artifact_sha256=digest, gate=_refuse_slow(gate, latencies.speed_up))


def _compress(
    parent: Parent, run: RankingRun | LabelRun, how: How, progress: RunProgress
) -> _Compression:
    """Compress the parent's artifact and, where that has seen what is held out, a fit that has not."""
    root = run.plan.place.artifacts
    draft = load_draft(root, parent.digest)
    labels = run if isinstance(run, LabelRun) else None
    earlier = labels.earlier.texts if labels else ()
    if labels and not labels.algorithm.refits:  # its one fit was judged, and is what serves
        small = _shrink(draft, earlier, how, run, progress)
        return _Compression(exported=small, before=draft, after=small)
    whole = labels.whole.texts if labels else ()
    small = _shrink(draft, whole, how, run, progress.part(0, PARTS, "on all"))
    before = run.fit_earlier(progress.part(1, PARTS, parent.label))
    last = progress.part(2, PARTS, how[0])
    for step in _lineage(root, parent.digest):
        before = _shrink(before, earlier, step, run, last)
    return _Compression(small, before, _shrink(before, earlier, how, run, last))


def _lineage(root: Path, digest: str) -> list[How]:
    """Return how an artifact was compressed from what was trained, first step first."""
    about = load_draft(root, digest).about
    if "compressed" not in about:
        return []
    name, size = about["compressed"]
    return [*_lineage(root, about["parent"]), (name, size)]


def _shrink(
    draft: ArtifactDraft,
    texts: Sequence[str],
    how: How,
    run: RankingRun | LabelRun,
    progress: RunProgress,
) -> ArtifactDraft:
    """Return the smaller draft.

    Raises:
        ValueError: this draft cannot be compressed so.
    """
    name, size = how
    options = run.plan.options(run.plan.recipe, run.plan.seed, len(texts), progress)
    # One that learns from other texts must not resume from this one.
    folder = options.checkpoint and options.checkpoint.with_name(f"{name}-{size}-texts-{len(texts)}")
    return COMPRESSIONS[name](draft, texts, size, replace(options, params={}, checkpoint=folder))


def _compression_view(how: How, sizes: tuple[int, int], latencies: Latencies) -> dict[str, Any]:
    return {
        "how": how[0],
        "size": how[1],
        "speed_up": latencies.speed_up,
        "bytes_before": sizes[0],
        "bytes_after": sizes[1],
        "median_ms_before": float(np.median(latencies.other)),
        "median_ms_after": float(np.median(latencies.ours)),
    }


def _refuse_slow(gate: GateResult, speed_up: float) -> GateResult:
    if speed_up >= MIN_SPEED_UP:
        return gate
    return gate.refused_for(
        f"speed-up == {speed_up:.2f}, must be at least {MIN_SPEED_UP}: it is not faster"
    )
