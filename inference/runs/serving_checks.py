"""Checks beside the gate's rule: what is exported, and what serves now, on what was held out.

The gate compares recipes, each fitted on the earlier rows. That cannot see harm in what it does not
judge: the export has learnt from every row, the held-out ones too, and both recipes learn from the same
rows, so that both fall with them. Hence

export    what is exported has seen the answers, so it may not do worse than what was judged
serving   the artifact that serves now may not do significantly better; compared on rows that neither
          has seen where these are enough, else, between two fits of one recipe, on all held-out rows,
          which both have seen
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.evaluation.falls import Fall, compare_fall
from inference.runs.rankings import rank_units, score_lists
from inference.serving.artifact import ArtifactError
from inference.serving.folded_labels import fold_label
from inference.serving.model_worker import open_worker_model
from inference.serving.models import ENDPOINT, PYTHON
from inference.serving.ranker import Ranker
from inference.training.snapshot import Examples, Likes
from inference.training.split import question_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inference.evaluation.gate import GateResult, GateRule
    from inference.evaluation.scores import Scores
    from inference.runs.outcome import RunPlan, ServedVersion
    from inference.runs.rankings import JudgedRankings
    from inference.serving.artifact import Indices
    from inference.training.data import LabelledData
    from inference.training.split import SplitData

MIN_COMPARED = 20  # rows; of fewer the interval is as wide as any difference
EXPORT = "what is exported does no worse than what was judged"
SERVING = "no fall against the artifact that serves now"
UNSEEN, SEEN = "held-out rows that neither has seen", "held-out rows that both have seen"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        check: its name, for people.
        summary: its result in words.
        reason: why it refuses the version; empty when it does not.
    """

    check: str
    summary: str
    reason: str = ""


def apply_findings(gate: GateResult, findings: Sequence[Finding]) -> GateResult:
    """Return the gate's result with its checks, refused by those that say so."""
    for finding in findings:
        if finding.reason:
            gate = gate.refused_for(finding.reason)
    checks = [*gate.about.get("checks", ()), *({"check": f.check, "said": f.summary} for f in findings)]
    return replace(gate, about={**gate.about, "checks": checks})


def check_export(rule: GateRule, seeds: Sequence[Scores], exported: Scores) -> Finding:
    """Compare what is exported with what was judged, on what was held out."""
    judged = np.mean([scores.per_unit[rule.primary] for scores in seeds], axis=0)
    ours = exported.per_unit[rule.primary]
    fall = compare_fall(rule.primary, ours, judged, margin=rule.margin, on="the held-out rows")
    summary = f"{fall.metric} {fall.challenger:.4f}, judged {fall.other:.4f}"
    reason = (
        f"{summary}: the last fit, on all rows, has lost what the judged fit knew; look at the dates "
        "and the values of the latest rows"
    )
    return Finding(EXPORT, summary, reason if fall.fell else "")


def check_served_ranking(
    plan: RunPlan,
    split: SplitData,
    judged: list[int],
    seeds: Sequence[JudgedRankings],
    exported: JudgedRankings,
) -> Finding:
    """Compare a recommender with the artifact that serves now."""
    served = plan.served
    if served is None:
        return Finding(SERVING, "nothing serves")
    try:
        ranker = Ranker(plan.place.artifacts, served.digest)
    except (ArtifactError, OSError, ValueError) as error:
        return Finding(SERVING, f"not judged: {error}")
    if ranker.is_remote:
        return Finding(SERVING, f"not judged: {served.label} is asked elsewhere")
    ranked = rank_artifact(ranker, split, judged, plan.rule.k)
    unseen = _unseen_likes(served, split, judged)
    rows = [row for row, wanted in enumerate(unseen) if len(wanted)]
    if len(rows) >= MIN_COMPARED:
        wanted = [unseen[row] for row in rows]

        def score(lists: Sequence[Indices]) -> NDArray[Any]:
            return _score(
                plan, [lists[row] for row in rows], wanted, split, [judged[row] for row in rows]
            )

        ours = np.mean([score(one.ranked) for one in seeds], axis=0)
        return _finding(plan, served, ours, score(ranked), UNSEEN)
    if served.algorithm != plan.recipe.algorithm:
        return Finding(SERVING, f"not judged: {len(rows)} units with likes that neither has seen")
    wanted = [split.later[unit] for unit in judged]
    theirs = _score(plan, ranked, wanted, split, judged)
    return _finding(plan, served, exported.scores.per_unit[plan.rule.primary], theirs, SEEN)


def _score(
    plan: RunPlan,
    lists: Sequence[Indices],
    wanted: Sequence[NDArray[np.int64]],
    split: SplitData,
    units: Sequence[int],
) -> NDArray[Any]:
    scores = score_lists(lists, split, units, wanted, k=plan.rule.k)
    return scores.per_unit[plan.rule.primary]


def rank_artifact(ranker: Ranker, split: SplitData, judged: list[int], k: int) -> list[Indices]:
    """Return its lists in indices of this catalogue; an item that is not in it any more is -1."""
    place = {item_id: i for i, item_id in enumerate(split.item_ids)}
    back = np.array([place.get(item_id, -1) for item_id in ranker.item_ids], dtype=np.int32)
    there = np.array([ranker.index.get(item_id, -1) for item_id in split.item_ids], dtype=np.int64)
    past = []
    for unit in split.past:
        items = there[unit.items]
        refused = there[unit.disliked]
        past.append(replace(unit, items=items[items >= 0], disliked=refused[refused >= 0]))
    lists = rank_units(ranker, replace(split, past=past), judged, k, places=back)
    return [back[best] for best in lists]


def _unseen_likes(
    served: ServedVersion, split: SplitData, judged: list[int]
) -> list[NDArray[np.int64]]:
    """Return per judged unit the held-out items that what serves has not learnt from."""
    if not isinstance(served.seen, Likes):  # nobody knows what it has seen: all of it, perhaps
        return [np.zeros(0, np.int64) for _ in judged]
    seen = set(zip(served.seen.unit_ids, served.seen.item_ids, strict=True))
    return [
        np.array(
            [i for i in split.later[unit] if (split.past[unit].unit_id, split.item_ids[i]) not in seen],
            dtype=np.int64,
        )
        for unit in judged
    ]


def check_served_labels(
    plan: RunPlan,
    held_out: LabelledData,
    judged: NDArray[Any],
    exported: NDArray[Any],
) -> Finding:
    """Compare a classifier with the artifact that serves now, by accuracy.

    Args:
        plan: with what serves.
        held_out: the held-out rows.
        judged: whether the judged fits were right, mean over seeds, (rows,).
        exported: whether what is exported is, (rows,).
    """
    served = plan.served
    if served is None:
        return Finding(SERVING, "nothing serves")
    if served.algorithm in {ENDPOINT, PYTHON}:
        return Finding(SERVING, f"not judged: {served.label} is asked elsewhere")
    try:
        classifier = open_worker_model(plan.place.artifacts, served.digest)
    except (ArtifactError, OSError, ValueError) as error:
        return Finding(SERVING, f"not judged: {error}")
    best = classifier.probabilities(held_out.texts, held_out.features).argmax(1)
    names = [fold_label(label) for label in classifier.labels]
    truth = [fold_label(held_out.labels[i]) for i in held_out.truth]
    theirs = np.array([names[i] == label for i, label in zip(best, truth, strict=True)], dtype=float)
    unseen = _unseen_examples(served, held_out, truth)
    if unseen.sum() >= MIN_COMPARED:
        return _finding(plan, served, judged[unseen], theirs[unseen], UNSEEN)
    if served.algorithm != plan.recipe.algorithm:
        return Finding(SERVING, f"not judged: {int(unseen.sum())} examples that neither has seen")
    return _finding(plan, served, exported, theirs, SEEN)


def _unseen_examples(
    served: ServedVersion, held_out: LabelledData, truth: Sequence[str]
) -> NDArray[np.bool_]:
    if not isinstance(served.seen, Examples):
        return np.zeros(len(truth), dtype=bool)
    seen = {
        (question_key(text, features), fold_label(label))
        for text, features, label in zip(
            served.seen.texts, served.seen.features, served.seen.labels, strict=True
        )
    }
    return np.array(
        [
            (question_key(text, features), label) not in seen
            for text, features, label in zip(held_out.texts, held_out.features, truth, strict=True)
        ]
    )


def _finding(
    plan: RunPlan, served: ServedVersion, ours: NDArray[Any], theirs: NDArray[Any], on: str
) -> Finding:
    fall: Fall = compare_fall(
        plan.rule.primary, ours, theirs, margin=plan.rule.margin, on=on, random_seed=plan.seed
    )
    summary = (
        f"{fall.metric} {fall.challenger:.4f}, {served.label} {fall.other:.4f} on {fall.units} {on}"
    )
    low, high = fall.interval
    return Finding(SERVING, summary, f"{summary} ({low:+.4f} to {high:+.4f})" if fall.fell else "")
