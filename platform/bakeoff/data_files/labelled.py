"""Which columns of a file of labelled texts are what."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bakeoff.data_files.columns import refuse_near_miss, require_columns
from bakeoff.data_files.values import id_of, text_of
from experiments.bounds import MAX_ID, MAX_VALUE, BoundsError, is_decimal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TEXT, LABEL = "text", "label"


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """One text, what else is known of it, its label, and its id where the file has one."""

    text: str
    features: Mapping[str, Any]
    label: str
    example_id: str = ""


@dataclass(frozen=True, slots=True)
class LabelledColumns:
    """The columns of a file.

    Attributes:
        text: column of the text; None for `text`, which a file may be without.
        label: column of the label; None for `label`.
        id: column of an id; None names each row by its content.
        has_features: whether all other columns are features.
    """

    text: str | None = None
    label: str | None = None
    id: str | None = None
    has_features: bool = True
    _features: set[str] = field(default_factory=set, init=False)

    def check(self, path: Path, columns: Sequence[str]) -> None:
        """Refuse a file without a column that was named, or that each row needs.

        Raises:
            DatasetError: with the columns that the file has.
        """
        named = [name for name in (self.text, self.label, self.id) if name is not None]
        require_columns(path, columns, named)
        if self.label is None:
            require_columns(path, columns, [LABEL], " Or name another with --label COLUMN.")
        if self.text is None and not self.has_features:
            require_columns(path, columns, [TEXT], " Or name another with --text COLUMN.")
        refuse_near_miss(path, columns, self.text or TEXT, "--text")
        self._features.update(set(columns) - {self._text, self._label, self.id})

    @property
    def _text(self) -> str:
        return self.text or TEXT

    @property
    def _label(self) -> str:
        return self.label or LABEL

    def read(self, row: Mapping[str, Any]) -> LabelledRow:
        """Return the labelled text of a row.

        Raises:
            BoundsError: a value breaks its bound, or there is nothing to learn from: neither a text
                nor a feature.
        """
        text = text_of(row, self._text)
        features = (
            {name: as_feature(value) for name, value in row.items() if name in self._features}
            if self.has_features
            else {}
        )
        if not text.strip() and all(value is None for value in features.values()):
            rule = "a text" if not features else "a text, or the row must have a feature"
            raise BoundsError(self._text, text, rule)
        example_id = id_of(row, self.id) if self.id is not None else ""
        return LabelledRow(text, features, id_of(row, self._label), example_id)


def as_feature(value: Any) -> Any:
    """Return a number where a text says one: CSV knows texts alone."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return value
    written = value.isoformat() if isinstance(value, datetime) else str(value)
    if not is_decimal(written):
        # What a file writes for a missing number is not a number either.
        return None if written.lower() in {"nan", "inf", "-inf"} else written[:MAX_ID].replace("\0", "")
    number = float(written)
    return number if abs(number) <= MAX_VALUE else None
