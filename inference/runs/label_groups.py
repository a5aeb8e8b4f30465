"""How a classifier does for groups of people: by attributes that the surface names.

Rates are of the decision at the surface's costs. Accuracy and the rates of two labels are of the
examples that were decided; abstention and cost are of all. Groups of fewer than `MIN_GROUP` examples
are neither shown nor stored: a rate of few is a statement about persons. Intervals are Wilson's, of
95 %.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.runs.serving_checks import Finding
from inference.serving.label_costs import ABSTAINED, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from inference.runs.outcome import Labelling
    from inference.serving.artifact import Floats
    from inference.training.data import LabelledData

MIN_GROUP = 20  # examples
MAX_GROUPS = 20  # of one attribute, the largest; more is an identifier, not a group
MAX_NUMBERS = 10  # an attribute with more different numbers is cut into quarters
MISSING = "–"  # group of the examples without the attribute
Z = 1.959964  # of 95 %
ACCURACY, FALSE_POSITIVES, FALSE_NEGATIVES = "accuracy", "false_positive_rate", "false_negative_rate"
CHECK = "no gap between groups is larger than the surface allows"


@dataclass(frozen=True, slots=True)
class Decisions:
    """What was decided on the held-out examples.

    Attributes:
        choices: index of the label, or `ABSTAINED`, (rows,).
        truth: index of the true label, (rows,).
        cost: of each decision, (rows,).
        labels: by index; of two, the second is the positive one.
    """

    choices: NDArray[np.int64]
    truth: NDArray[np.int64]
    cost: NDArray[np.float64]
    labels: Sequence[str]

    @classmethod
    def of(cls, labelling: Labelling, held_out: LabelledData, probabilities: Floats) -> Decisions:
        """Decide by the surface's costs."""
        table, truth = table_of(labelling.costs, tuple(held_out.labels)), held_out.truth
        choices, _ = table.choose(probabilities)
        return cls(choices, truth, table.realised(choices, truth), held_out.labels)

    def rates(self, rows: NDArray[np.bool_]) -> dict[str, Any]:
        """Return what is shown of a group; a rate of no example is None."""
        decided = rows & (self.choices != ABSTAINED)
        right = self.choices == self.truth
        shown: dict[str, Any] = {
            "count": int(rows.sum()),
            ACCURACY: _share(right[decided]),
            "decision_cost": float(self.cost[rows].mean()),
            "abstained": float((self.choices[rows] == ABSTAINED).mean()),
        }
        if len(self.labels) == 2:
            negative, positive = decided & (self.truth == 0), decided & (self.truth == 1)
            shown[FALSE_POSITIVES] = _share(~right[negative])
            shown[FALSE_NEGATIVES] = _share(~right[positive])
        return shown


def group_views(labelling: Labelling, held_out: LabelledData, probabilities: Floats) -> dict[str, Any]:
    """Return the groups of each attribute and its largest gaps; nothing where none is named.

    Args:
        labelling: what the surface says of costs and slices.
        held_out: the examples that judge.
        probabilities: of the challenger on them, (rows, labels).
    """
    if not labelling.slices:
        return {}
    decisions = Decisions.of(labelling, held_out, probabilities)
    attributes = [
        _attribute(name, groups_of([one.get(name) for one in held_out.features]), decisions)
        for name in labelling.slices
    ]
    positive = decisions.labels[1] if len(decisions.labels) == 2 else None
    return {"positive": positive, "attributes": attributes}


def check_gaps(views: Mapping[str, Any], max_gap: float | None) -> Finding | None:
    """Refuse gaps beyond the limit; None where there is no limit."""
    if max_gap is None or not views:
        return None
    absent = [one["attribute"] for one in views["attributes"] if one["absent"]]
    if absent:  # a limit that nothing was held against has not been kept
        reason = f"nothing was compared: no held-out example has '{absent[0]}'"
        return Finding(CHECK, reason, reason)
    gaps = [(one["attribute"], gap) for one in views["attributes"] for gap in one["gaps"]]
    if not gaps:
        return Finding(CHECK, f"no two groups of at least {MIN_GROUP} examples")
    attribute, widest = max(gaps, key=lambda one: one[1]["gap"])
    reason = (
        f"gap of {widest['metric']} by '{attribute}' == {widest['gap']:.3f} "
        f"({widest['low_group']} {widest['low']:.3f}, {widest['high_group']} {widest['high']:.3f}), "
        f"must be at most {max_gap:g}"
    )
    summary = f"the widest is {widest['gap']:.3f}, at most {max_gap:g}"
    return Finding(CHECK, summary, reason if widest["gap"] > max_gap else "")


def groups_of(values: Sequence[Any]) -> list[str]:
    """Return the group of each value: itself, or the quarter that a number is in."""
    numbers = [value for value in values if _is_number(value)]
    if len(set(numbers)) <= MAX_NUMBERS or len(numbers) < sum(value is not None for value in values):
        return [_name(value) for value in values]
    ends = np.quantile(numbers, [0, 0.25, 0.5, 0.75, 1]).tolist()
    names = [f"{low:g} to {high:g}" for low, high in pairwise(ends)]
    # A value that is an inner end belongs to the quarter above, the maximum to the last.
    inner = np.array(ends[1:-1])
    return [
        names[int(np.searchsorted(inner, value, side="right"))] if _is_number(value) else MISSING
        for value in values
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _name(value: Any) -> str:
    if value is None or value == "":
        return MISSING
    return f"{value:g}" if _is_number(value) else str(value)


def _attribute(name: str, groups: Sequence[str], decisions: Decisions) -> dict[str, Any]:
    if set(groups) == {MISSING}:
        return {"attribute": name, "groups": [], "hidden": 0, "gaps": [], "absent": True}
    counts = Counter(groups)
    shown = [group for group, n in counts.most_common(MAX_GROUPS) if n >= MIN_GROUP]
    column = np.array(groups, dtype=object)
    rows = [{"group": group, **decisions.rates(column == group)} for group in sorted(shown)]
    return {
        "attribute": name,
        "groups": rows,
        "hidden": len(counts) - len(rows),
        "absent": False,
        "gaps": [
            gap
            for metric in (ACCURACY, FALSE_POSITIVES, FALSE_NEGATIVES)
            if (gap := _gap(rows, metric)) is not None
        ],
    }


def _gap(rows: Sequence[Mapping[str, Any]], metric: str) -> dict[str, Any] | None:
    """Return the largest difference of a rate between two groups, with Newcombe's interval."""
    known = [row for row in rows if row.get(metric) is not None]
    if len(known) < 2:
        return None
    low = min(known, key=lambda row: row[metric]["rate"])
    high = max(known, key=lambda row: row[metric]["rate"])
    lower, upper = low[metric], high[metric]
    gap = upper["rate"] - lower["rate"]
    below = math.hypot(upper["rate"] - upper["interval"][0], lower["interval"][1] - lower["rate"])
    above = math.hypot(upper["interval"][1] - upper["rate"], lower["rate"] - lower["interval"][0])
    return {
        "metric": metric,
        "gap": gap,
        "interval": [gap - below, gap + above],
        "low_group": low["group"],
        "low": lower["rate"],
        "high_group": high["group"],
        "high": upper["rate"],
    }


def _share(hits: NDArray[np.bool_]) -> dict[str, Any] | None:
    """Return a share with Wilson's interval; None of nothing."""
    n = len(hits)
    if not n:
        return None
    rate = float(hits.mean())
    centre = (rate + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(rate * (1 - rate) / n + Z**2 / (4 * n**2))
    return {"rate": rate, "n": n, "interval": [max(centre - half, 0.0), min(centre + half, 1.0)]}
