"""What a refit of the champion is compared with: the version that last won a test, scored now.

A champion that is refitted every night would sink a little with each refit that is not worse than the
one before. So each is compared with the version that users have tested, never with yesterday's. That
version learnt from older data, and both are judged on the held-out rows that are later than these.
Where such rows are few, hardly anything has changed since, and the comparison of recipes decides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.evaluation.gate import Rival, Serving, cost_reasons, judge
from inference.evaluation.labelling import label_weights, score_labels
from inference.evaluation.scores import Scores
from inference.runs.rankings import score_lists
from inference.runs.serving_checks import MIN_COMPARED, rank_artifact
from inference.serving.artifact import ArtifactError
from inference.serving.folded_labels import fold_label
from inference.serving.model_worker import open_worker_model
from inference.serving.models import ENDPOINT, PYTHON
from inference.serving.ranker import Ranker
from inference.training.split import question_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inference.evaluation.gate import GateResult
    from inference.runs.label_run import JudgedLabels, LabelRun
    from inference.runs.outcome import RefitRival, RunPlan
    from inference.runs.ranking_run import RankingRun
    from inference.runs.rankings import JudgedRankings
    from inference.serving.artifact import Floats
    from inference.training.split import UnitLikes

NO_COST = Serving(latency_p95_ms=0.0, bytes=0)  # bounded by the gate already


class NotComparableError(Exception):
    """The tested version cannot be scored; the message says why."""


def add_refit(
    gate: GateResult,
    recipes: GateResult,
    tested: GateResult | str | None,
    version: RefitRival,
    serving: Serving,
) -> GateResult:
    """Return the gate's result with what decides on a refit, under `about.refit`.

    Args:
        gate: the whole result.
        recipes: the comparison of recipes and the costs, before the other checks.
        tested: the comparison with the tested version; None where rows are too few, then the recipes'
            stands in; a sentence where it cannot be made.
        version: that was tested.
        serving: cost of the artifact.
    """
    costs = cost_reasons(serving, recipes.rule)
    compared = [reason for reason in recipes.reasons if reason not in costs]
    view: dict[str, Any] = {
        "tested_version": version.label,
        # What holds whatever the comparison says: checks, leaks, latency and size.
        "bounds": [reason for reason in gate.reasons if reason not in compared],
        "metric": recipes.rule.primary,
    }
    if isinstance(tested, str):
        view |= {"not_compared": tested, "non_inferior": False, "superior": False, "units": 0}
        return replace(gate, about={**gate.about, "refit": view})
    decides = tested or replace(recipes, reasons=compared)
    view |= {
        "against": "tested_version" if tested else "recipe",
        "units": decides.units,
        "rows": {name: row for name, row in decides.rows.items() if "interval" in row},
        "non_inferior": not decides.reasons,
        "superior": decides.superior,
        "reasons": decides.reasons,
    }
    return replace(gate, about={**gate.about, "refit": view})


def compare_with_tested(
    plan: RunPlan, version: RefitRival, theirs: Scores, seeds: Sequence[Scores]
) -> GateResult:
    """Apply the gate's rule against the tested version's scores, on the same rows."""
    rival = Rival(version.label, theirs)
    return judge(rival, seeds, NO_COST, plan.rule, random_seed=plan.seed)


def compare_rankings(
    plan: RunPlan, version: RefitRival, run: RankingRun, seeds: Sequence[JudgedRankings]
) -> GateResult | str | None:
    """Compare a recommender's judged fits with the tested version; see `add_refit` for the answer."""
    try:
        end = _comparable(version)
        ranker = Ranker(plan.place.artifacts, version.digest)
    except (NotComparableError, ArtifactError, OSError, ValueError) as error:
        return str(error)
    wanted = [_likes_after(run.split.whole[i], run.split.later[i], end) for i in run.judged]
    rows = [row for row, items in enumerate(wanted) if len(items)]
    if len(rows) < MIN_COMPARED:
        return None

    def score(lists: Sequence[NDArray[np.int32]]) -> Scores:
        units = [run.judged[row] for row in rows]
        some = [lists[row] for row in rows], [wanted[row] for row in rows]
        return score_lists(some[0], run.split, units, some[1], k=plan.rule.k)

    theirs = score(rank_artifact(ranker, run.split, run.judged, plan.rule.k))
    return compare_with_tested(plan, version, theirs, [score(seed.ranked) for seed in seeds])


def compare_labels(
    plan: RunPlan, version: RefitRival, run: LabelRun, seeds: Sequence[JudgedLabels]
) -> GateResult | str | None:
    """Compare a classifier's judged fits with the tested version; see `add_refit` for the answer."""
    try:
        end = _comparable(version)
        classifier = open_worker_model(plan.place.artifacts, version.digest)
    except (NotComparableError, ArtifactError, OSError, ValueError) as error:
        return str(error)
    chosen = np.flatnonzero(_examples_after(run, end))
    if len(chosen) < MIN_COMPARED:
        return None
    data = run.held_out.rows(chosen)
    answers = classifier.probabilities(data.texts, data.features)
    theirs = score_labels(_in_labels(answers, classifier.labels, data.labels), data.truth)
    ours = [_part(seed.scores, chosen, data.truth) for seed in seeds]
    return compare_with_tested(plan, version, theirs, ours)


def _part(scores: Scores, chosen: NDArray[np.int64], truth: NDArray[np.int64]) -> Scores:
    """Return the scores of some examples; recall weighs labels by their shares among these."""
    correct = scores.per_unit["accuracy"][chosen]
    return Scores(
        per_unit={
            "accuracy": correct,
            "log_score": scores.per_unit["log_score"][chosen],
            "recall": correct * label_weights(truth),
        }
    )


def _comparable(version: RefitRival) -> float:
    """Return when its training data end.

    Raises:
        NotComparableError: it answers elsewhere, or nobody knows what it has learnt from.
    """
    if version.algorithm in {ENDPOINT, PYTHON}:
        raise NotComparableError(f"{version.label} is asked elsewhere")
    if version.learnt_until is None:
        raise NotComparableError(f"nobody knows until when {version.label} has learnt")
    return version.learnt_until


def _likes_after(unit: UnitLikes, later: NDArray[np.int64], end: float) -> NDArray[np.int64]:
    """Return the held-out items that a unit liked after a time, and never before."""
    before = set(unit.items[unit.at <= end].tolist())
    return np.array([item for item in later.tolist() if item not in before], dtype=np.int64)


def _examples_after(run: LabelRun, end: float) -> NDArray[np.bool_]:
    """Return which held-out examples are later than a time, and were not asked before it."""
    examples = run.examples
    at = np.array(examples.labelled_at, dtype=float)
    questions = list(map(question_key, examples.texts, examples.features))
    before = {question for question, when in zip(questions, at, strict=True) if when <= end}
    later = run.later.tolist()
    return np.array([at[row] > end and questions[row] not in before for row in later], dtype=bool)


def _in_labels(answers: Floats, names: Sequence[str], labels: Sequence[str]) -> Floats:
    """Return probabilities in the order of other labels; one that is not known has none."""
    place = {fold_label(name): column for column, name in enumerate(names)}
    columns = np.zeros((len(answers), len(labels)), dtype=np.float32)
    for column, label in enumerate(labels):
        if fold_label(label) in place:
            columns[:, column] = answers[:, place[fold_label(label)]]
    return columns
