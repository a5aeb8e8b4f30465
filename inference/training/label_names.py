"""Names of labels: what counts as one label, and which spelling is shown.

Two spellings are one label when they differ in case, in blanks, or in the way Unicode writes the same
characters (NFKC). Pure: no database, no Django.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from inference.serving.folded_labels import fold_label

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MAX_LABELS = 5000
MAX_LABEL = 200


class LabelsError(ValueError):
    """Labels that cannot be declared; the message says why."""


def check_labels(labels: Sequence[str]) -> list[str]:
    """Return declared labels without outer blanks, in their order.

    Raises:
        LabelsError: too many, an empty or a long one, or one that is declared twice.
    """
    if len(labels) > MAX_LABELS:
        raise LabelsError(f"labels == {len(labels)} of them, must be at most {MAX_LABELS}.")
    spelling: dict[str, str] = {}
    for label in labels:
        shown = " ".join(label.split()) if isinstance(label, str) else ""
        if not 1 <= len(shown) <= MAX_LABEL or "\0" in shown:
            raise LabelsError(f"label == {label!r:.50}, must be a text of 1 to {MAX_LABEL} characters.")
        folded = fold_label(shown)
        if folded in spelling:
            raise LabelsError(f"label == '{shown}', is declared already as '{spelling[folded]}'.")
        spelling[folded] = shown
    return list(spelling.values())


def choose_spellings(labels: Iterable[str], declared: Sequence[str]) -> Mapping[str, str]:
    """Return the spelling that is shown of each folded label: the declared, else the most frequent.

    Args:
        labels: as they were written, one for each example.
        declared: the surface's labels.
    """
    counts = Counter(" ".join(label.split()) for label in labels)
    # Of spellings that are as frequent, the first in the alphabet: the same at every run.
    ordered = sorted(counts, key=lambda label: (-counts[label], label))
    spellings = {fold_label(label): label for label in reversed(ordered)}
    return spellings | {fold_label(label): label for label in declared}
