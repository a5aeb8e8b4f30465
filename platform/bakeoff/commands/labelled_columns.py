"""Which columns of a file of labelled texts are what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bakeoff.commands.row_values import id_of, text_of
from bakeoff.replay.dataset import DatasetError, as_feature

if TYPE_CHECKING:
    from pathlib import Path

    from inference.actions.load_examples import ExampleDraft


@dataclass(frozen=True, slots=True)
class LabelledColumns:
    """The columns of a file.

    Attributes:
        file: for messages.
        text: column of the text; a file may be without, when its rows have features.
        label: column of the label.
        id: column of an id; None names each row by its content.
        features: whether all other columns are features.
    """

    file: Path
    text: str
    label: str
    id: str | None
    features: bool

    def example(self, row: dict[str, Any]) -> ExampleDraft:
        """Return the labelled text of a row.

        Raises:
            DatasetError: the file has no column of that name.
            BoundsError: a value breaks its bound: only this row is rejected.
        """
        from inference.actions.load_examples import ExampleDraft

        for name in (self.label, *([self.id] if self.id else [])):
            if name not in row:
                raise DatasetError(f"file '{self.file}' has no column '{name}': it has {sorted(row)}.")
        return ExampleDraft(
            example_id=id_of(row, self.id) if self.id else "",
            text=text_of(row, self.text),
            label=id_of(row, self.label),
            features=self._features(row) if self.features else {},
        )

    def _features(self, row: dict[str, Any]) -> dict[str, Any]:
        named = {self.text, self.label, self.id}
        return {name: as_feature(value) for name, value in row.items() if name not in named}
