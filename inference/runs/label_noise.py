"""Examples whose stated label is improbable: out-of-fold confident learning.

Every example is judged by a fit that has not learnt from it: five folds, each label spread over all. A
label's threshold is the mean probability that its own examples have of it; an example is likely of
another label where that one passes its threshold and is the most probable of those that do (Northcutt,
Jiang and Chuang 2021, Confident learning). Rows are named by their place in the run's snapshot, not by
their text: what a person asks to be erased must not live on in a version's gate.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.algorithms import CUSTOM
from inference.runs.outcome import CHEAP_SECONDS, Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inference.evaluation.gate import GateResult
    from inference.runs.label_run import JudgedLabels, LabelRun
    from inference.runs.outcome import RunProgress
    from inference.serving.artifact import Floats

FOLDS = 5
MAX_LISTED = 50  # what a person reads at once
PROBE = Recipe("tfidf", {"max_steps": 50})  # in place of what is dear, or custom


def noise_view(run: LabelRun, judged: JudgedLabels, progress: RunProgress) -> dict[str, Any]:
    """Return the least probable labels, worst first; nothing where fits would take too long.

    Args:
        run: whose examples are examined.
        judged: the first seed.
        progress: receives which of the folds' fits is made.
    """
    recipe = run.plan.recipe
    if recipe.algorithm in CUSTOM or not run.algorithm.refits or run.algorithm.reads_encoder:
        recipe = PROBE
    elif FOLDS * judged.fit_seconds > CHEAP_SECONDS:
        return {}
    fold = folds_of(run.whole.truth, seed=run.plan.seed)
    probabilities = _out_of_fold(run, recipe, fold, progress)
    rows = find_noise(probabilities, run.whole.truth, fold >= 0)
    labels = run.whole.labels
    return {
        "examined": int((fold >= 0).sum()),
        "count": len(rows),
        "algorithm": recipe.algorithm,
        "rows": [
            {
                "row": row,
                "stated": labels[run.whole.truth[row]],
                "likely": labels[likely],
                "probability": round(float(probabilities[row, likely]), 4),
                "stated_probability": round(float(probabilities[row, run.whole.truth[row]]), 4),
            }
            for row, likely in rows[:MAX_LISTED]
        ],
    }


def note_doubtful_labels(gate: GateResult) -> GateResult:
    """Say of a refused version that labels look wrong: what they ask for may be why it was refused."""
    noise = gate.about.get("label_noise", {})
    if gate.passed or not noise.get("count"):
        return gate
    note = (
        f"{noise['count']} of {noise['examined']} labels look wrong, which may be why: "
        "'Labels to check' on the run's page sends them to review."
    )
    return replace(gate, about={**gate.about, "notes": [*gate.about.get("notes", ()), note]})


def folds_of(truth: NDArray[np.int64], *, seed: int) -> NDArray[np.int64]:
    """Return each row's fold, each label spread over all; -1 for labels with fewer rows than folds."""
    rng = np.random.default_rng(seed)
    fold = np.full(len(truth), -1, dtype=np.int64)
    for label in np.unique(truth):
        rows = rng.permutation(np.flatnonzero(truth == label))
        if len(rows) >= FOLDS:
            fold[rows] = np.arange(len(rows)) % FOLDS
    return fold


def _out_of_fold(
    run: LabelRun, recipe: Recipe, fold: NDArray[np.int64], progress: RunProgress
) -> Floats:
    probabilities = np.zeros((len(fold), len(run.whole.labels)), dtype=np.float32)
    for n in range(FOLDS):
        part = progress.part(n, FOLDS, f"labels to check, fit {n + 1} of {FOLDS}")
        part.report(0.0, "fitting")  # what is quick reports nothing until its end
        draft = run.fit_aside(run.whole.rows(np.flatnonzero(fold != n)), recipe, part)
        rows = np.flatnonzero(fold == n)
        if len(rows):
            probabilities[rows] = run.predict(draft, run.whole.rows(rows))
    return probabilities


def find_noise(
    probabilities: Floats, truth: NDArray[np.int64], judged: NDArray[np.bool_]
) -> list[tuple[int, int]]:
    """Return the row and the likely label of each example that seems mislabelled, worst first.

    Args:
        probabilities: of fits that have not learnt from the row, (rows, labels).
        truth: index of the stated label, (rows,).
        judged: which rows have probabilities, (rows,).
    """
    places = np.arange(len(truth))
    stated = probabilities[places, truth].astype(np.float64)
    counts = np.bincount(truth[judged], minlength=probabilities.shape[1])
    sums = np.bincount(truth[judged], stated[judged], minlength=probabilities.shape[1])
    # A label without judged rows has no threshold, so nothing is likely of it.
    threshold = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    confident = np.where(probabilities >= threshold, probabilities, 0.0)
    likely = confident.argmax(1)
    noisy = judged & (confident.max(1) > 0) & (likely != truth)
    margin = probabilities[places, likely] - stated
    rows = np.flatnonzero(noisy)
    return [(int(row), int(likely[row])) for row in rows[np.argsort(-margin[rows], kind="stable")]]
