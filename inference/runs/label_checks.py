"""Checks label by label: which ones lose, and which are hardly ever recalled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference.evaluation.falls import compare_fall, find_label_falls
from inference.runs.serving_checks import Finding

if TYPE_CHECKING:
    from inference.evaluation.gate import Rival
    from inference.evaluation.scores import Scores
    from inference.training.data import LabelledData

CHECK = "no label is found much less often than by the champion"
MACRO_MARGIN = 0.05  # of macro recall, as a share of the champion's
LOW_RECALL, MIN_JUDGED = 0.2, 5  # of fewer examples a recall says little
MAX_NAMED = 5  # in one sentence


def check_labels_preserved(rival: Rival, ours: Scores, held_out: LabelledData) -> Finding:
    """Refuse a version that gives up labels: accuracy hides a rare one."""
    macro = compare_fall(
        "recall",
        ours.per_unit["recall"],
        rival.scores.per_unit["recall"],
        margin=MACRO_MARGIN,
        on="the held-out rows",
    )
    right, theirs = ours.per_unit["accuracy"] > 0, rival.scores.per_unit["accuracy"] > 0
    fallen = find_label_falls(right, theirs, held_out.truth)
    summary = f"macro recall {macro.challenger:.4f}, {rival.name} {macro.other:.4f}"
    reasons = [summary] if macro.fell else []
    for label in fallen[:MAX_NAMED]:
        has_label = held_out.truth == label
        reasons.append(
            f"recall of label '{held_out.labels[label]}' == {right[has_label].mean():.2f} on "
            f"{has_label.sum()} examples, {rival.name} {theirs[has_label].mean():.2f}"
        )
    return Finding(CHECK, summary, "; ".join(reasons))


def notes_on_recall(scores: Scores, held_out: LabelledData) -> list[str]:
    """Return a note on labels that are hardly ever found."""
    correct = scores.per_unit["accuracy"]
    low = []
    for label in np.unique(held_out.truth):
        has_label = held_out.truth == label
        hits, count = correct[has_label].sum(), has_label.sum()
        if count >= MIN_JUDGED and hits / count < LOW_RECALL:
            low.append(f"'{held_out.labels[label]}' ({hits:.0f} of {count} found)")
    if not low:
        return []
    more = f" and {len(low) - MAX_NAMED} more" if len(low) > MAX_NAMED else ""
    return [
        f"labels that are hardly ever found: {', '.join(low[:MAX_NAMED])}{more}. More examples of them "
        "help; so may the parameter class_weight 'balanced'."
    ]
