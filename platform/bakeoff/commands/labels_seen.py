"""Warnings about the labels of a file that is loaded."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from inference.plurals import counted, verb
from inference.serving.folded_labels import fold_label
from inference.training.split import question_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from inference.actions.example_draft import ExampleDraft


class LabelsSeen:
    """Counts labels that contradict each other, and labels that the surface does not declare."""

    def __init__(self, declared: Sequence[str]) -> None:
        """Start with the surface's labels; none means that every label is learnt."""
        self._declared = {fold_label(label) for label in declared}
        self._first: dict[int, str] = {}
        self._torn: set[int] = set()
        self._strange: Counter[str] = Counter()
        self._textless = self._with_text = 0

    def add(self, example: ExampleDraft) -> ExampleDraft:
        """Count the label of an example; return the example."""
        has_text = bool(example.text.strip())
        self._with_text += has_text
        self._textless += not has_text
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
            texts = counted(len(self._torn), "text", "stands", "stand")
            yield (
                f"{texts} with more than one label in this file: no model can get all of them right."
            )
        if self._textless and self._with_text:
            rows, its = (
                counted(self._textless, "example", "has", "have"),
                verb(self._textless, "its features", "their features"),
            )
            yield f"{rows} no text: learnt by {its} alone."
        if self._strange:
            names = ", ".join(f"'{label}' ({n})" for label, n in self._strange.most_common(5))
            count = self._strange.total()
            yield (
                f"{counted(count, 'example', 'has a label', 'have labels')} that the "
                f"surface does not declare, and {verb(count)} not learnt: {names}."
            )
