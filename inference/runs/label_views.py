"""What a classifier's run page shows beside the gate: window, slices, calibration, learning, notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from inference.encoders.text_length import notes_on_length
from inference.runs.label_checks import notes_on_recall
from inference.runs.label_noise import noise_view
from inference.runs.outcome import CHEAP_SECONDS, LEARNING_SHARES, Recipe

if TYPE_CHECKING:
    from inference.evaluation.scores import Scores
    from inference.runs.label_run import JudgedLabels, LabelRun
    from inference.runs.outcome import RunProgress
    from inference.serving.artifact import ArtifactDraft

MAX_SLICES = 20  # as many labels as a page can show


def label_views(
    run: LabelRun,
    judged: JudgedLabels,
    prior: Scores,
    draft: ArtifactDraft,
    progress: RunProgress,
) -> dict[str, Any]:
    """Return what is shown of the challenger's first seed beside the gate's table.

    Args:
        run: of which.
        judged: the first seed.
        prior: scores of always answering with the labels' shares.
        draft: what is exported.
        progress: receives the fits that views make.
    """
    return {
        "window": _window(run),
        "slices": _slices(run, judged),
        "calibration": judged.scores.curves["calibration"],
        "label_noise": noise_view(run, judged, progress),
        "groups": judged.groups,
        "temperature": _temperature(judged, draft),
        "learning": _learning(run, judged),
        "prior": {"accuracy": prior.mean("accuracy")},
        "notes": _notes(run, judged, draft),
        "privacy": _privacy(run, judged, draft),
        "ranks": dict(draft.about.get("ranks", {})),
    }


def _privacy(run: LabelRun, judged: JudgedLabels, draft: ArtifactDraft) -> dict[str, Any]:
    """Return what training under differential privacy has spent, and what it costs in accuracy."""
    spent = draft.about.get("privacy")
    if spent is None:
        return {}
    plain = run.judge(run.fit_aside(run.earlier, Recipe("frozen-head", {}))).scores
    return {
        **spent,
        "accuracy": judged.scores.mean("accuracy"),
        "accuracy_without": plain.mean("accuracy"),
    }


def _window(run: LabelRun) -> dict[str, Any]:
    return {
        "from": float(min(run.examples.labelled_at)),
        "to": float(max(run.examples.labelled_at)),
        "labels": len(run.whole.labels),
        "learnt": len(run.earlier.texts),
        "judged": len(run.held_out.texts),
        "by_visitors": sum(1 for unit in run.examples.unit_ids if unit),
    }


def _temperature(judged: JudgedLabels, draft: ArtifactDraft) -> dict[str, Any]:
    """Return how the probabilities were calibrated, with the error before and after; else nothing."""
    if judged.uncalibrated is None:
        return {}
    before, after = judged.uncalibrated, judged.scores
    return {
        **draft.about["calibration"],
        "error_before": before.whole["calibration_error"],
        "error_after": after.whole["calibration_error"],
        "bins_before": before.curves["calibration"],
    }


def _slices(run: LabelRun, judged: JudgedLabels) -> list[dict[str, Any]]:
    """Return the labels that the challenger gets wrong most, and how often they were learnt from."""
    labels, truth = run.held_out.labels, run.held_out.truth
    correct = judged.scores.per_unit["accuracy"]
    learnt = np.bincount(run.earlier.truth, minlength=len(labels))
    rows: list[dict[str, Any]] = []
    for label in np.unique(truth):
        has_label = truth == label
        rows.append(
            {
                "slice": f"{labels[label]} ({learnt[label]} learnt)",
                "metric": "recall",
                "count": int(has_label.sum()),
                "challenger": float(correct[has_label].mean()),
            }
        )
    return sorted(rows, key=lambda row: row["challenger"])[:MAX_SLICES]


def _learning(run: LabelRun, whole: JudgedLabels) -> list[dict[str, float]]:
    """Return the primary metric of fits on growing shares of the examples: would more data help?"""
    if whole.fit_seconds > CHEAP_SECONDS:
        return []
    data, primary = run.earlier, run.plan.rule.primary
    points = []
    for share in LEARNING_SHARES:
        part = data.part(share, run.plan.seed)
        scores = run.judge(run.fit_aside(part)).scores
        points.append({"rows": len(part.texts), primary: scores.mean(primary)})
    return [*points, {"rows": len(data.texts), primary: whole.scores.mean(primary)}]


def _notes(run: LabelRun, judged: JudgedLabels, draft: ArtifactDraft) -> list[str]:
    """Return what a person should know of the fit, in sentences."""
    notes = []
    fit = draft.about.get("fit", {})
    if not fit.get("converged", True):
        notes.append(
            f"the regression has not converged in {fit['steps']} steps: raise max_steps, or lower "
            "inverse_l2."
        )
    if run.algorithm.reads_encoder:
        notes += notes_on_length(run.plan.place.encoder, run.whole.texts)
    return notes + notes_on_recall(judged.scores, run.held_out)
