"""Warnings about the labels of a file that is loaded."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from inference.serving.folded_labels import fold_label
from inference.training.split import question_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from inference.actions.load_examples import ExampleDraft


class LabelsSeen:
    """Counts labels that contradict each other, and labels that the surface does not declare."""

    def __init__(self, declared: Sequence[str]) -> None:
        """Start with the surface's labels; none means that every label is learnt."""
        self._declared = {fold_label(label) for label in declared}
        self._first: dict[int, str] = {}
        self._torn: set[int] = set()
        self._strange: Counter[str] = Counter()

    def add(self, example: ExampleDraft) -> ExampleDraft:
        """Count the label of an example; return the example."""
        folded = fold_label(example.label)
        question = hash(question_key(example.text, example.features))
        if self._first.setdefault(question, folded) != folded:
            self._torn.add(question)
        if self._declared and folded not in self._declared:
            self._strange[example.label] += 1
        return example

    def sentences(self) -> Iterator[str]:
        """Yield the warnings after the whole file was read."""
        if self._torn:
            yield (
                f"{len(self._torn)} texts stand with more than one label in this file: no model can "
                "get all of them right."
            )
        if self._strange:
            names = ", ".join(f"'{label}' ({n})" for label, n in self._strange.most_common(5))
            yield (
                f"{sum(self._strange.values())} examples have labels that the surface does not "
                f"declare, and are not learnt: {names}."
            )
