"""How well a classifier labels: per example, per label, and whether its probabilities are true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from inference.evaluation.scores import Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 10
MIN_PROBABILITY = 1e-6  # one sure error costs 14 in log score, not infinity


def score_labels(probabilities: NDArray[np.float32], truth: NDArray[np.int64]) -> Scores:
    """Judge probabilities against true labels.

    Per example: accuracy (0 or 1), log score (log of the true label's probability, at most 0), and
    recall, whose mean over examples is the mean over the labels that occur of each label's recall
    (macro): an example counts by the inverse of its label's share. Of the whole: precision and F1 as
    means over labels, the expected calibration error (Guo et al. 2017), and, of two labels, the area
    under the ROC curve.

    Args:
        probabilities: (examples, labels), rows sum to 1.
        truth: index of the true label, (examples,).
    """
    rows = np.arange(len(truth))
    best = probabilities.argmax(1)
    correct = best == truth
    of_truth = np.maximum(probabilities[rows, truth], MIN_PROBABILITY)
    labels = probabilities.shape[1]
    bins = _bins(probabilities[rows, best], correct)
    whole = {
        **_precision_and_f1(best, truth, labels),
        "calibration_error": float(
            sum(n * abs(confidence - share) for confidence, share, n in bins) / max(len(truth), 1)
        ),
    }
    if labels == 2:
        whole["auc"] = area_under_curve(probabilities[:, 1], truth == 1)
    return Scores(
        per_unit={
            "accuracy": correct.astype(float),
            "log_score": np.log(of_truth).astype(float),
            "recall": correct * label_weights(truth),
        },
        whole=whole,
        curves={"calibration": bins},
    )


def _precision_and_f1(
    best: NDArray[np.int64], truth: NDArray[np.int64], labels: int
) -> dict[str, float]:
    """Return means over the labels that occur; a label that was never answered has 0."""
    hits = np.bincount(truth[best == truth], minlength=labels)
    real = np.bincount(truth, minlength=labels)
    answered = np.bincount(best, minlength=labels)
    occurs = real > 0
    precision = hits / np.maximum(answered, 1)
    f1 = 2 * hits / np.maximum(answered + real, 1)
    return {"precision": float(precision[occurs].mean()), "f1": float(f1[occurs].mean())}


def label_weights(truth: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return weights of examples, (examples,), mean 1, by which labels that occur count alike."""
    counts = np.bincount(truth)
    weights: NDArray[np.float64] = len(truth) / ((counts > 0).sum() * counts[truth])
    return weights


def area_under_curve(scores: NDArray[Any], positive: NDArray[np.bool_]) -> float:
    """Return the chance that a positive example scores above a negative one; ties count half."""
    count = int(positive.sum())
    if not 0 < count < len(scores):
        return float("nan")
    _, inverse, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[inverse]
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(scores) - count)))


def _bins(
    confidence: NDArray[np.float32], correct: NDArray[np.bool_]
) -> list[tuple[float, float, int]]:
    """Return mean confidence, share correct and count of each tenth of confidence that occurs."""
    index = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        (
            float(confidence[index == b].mean()),
            float(correct[index == b].mean()),
            int((index == b).sum()),
        )
        for b in np.unique(index)
    ]
