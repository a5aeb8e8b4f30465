"""Rows that break a rule, set aside in a file beside the one that is read."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from inference.plurals import counted

if TYPE_CHECKING:
    from pathlib import Path


class RejectedRows:
    """The file of bad rows; made when there is one, and written when the good ones are committed.

    Where the folder cannot be written, the rows are still counted.
    """

    def __init__(self, file: Path, *, append: bool = False) -> None:
        """Begin anew, or go on where a load was interrupted."""
        self.file = file.with_name(f"{file.name}.rejected.csv")
        self.count, self.first = 0, ""
        self._waiting: list[dict[str, Any]] = []
        self._obstacle = ""  # why the file cannot be written
        if not append:
            try:
                self.file.unlink(missing_ok=True)
            except OSError as error:
                self._obstacle = error.strerror or str(error)

    def add(self, row: dict[str, Any], number: int, reason: str) -> None:
        """Set a row aside.

        Args:
            row: as the file has it.
            number: of the row, where the header is 1.
            reason: which rule it breaks, as a sentence.
        """
        self.first = self.first or reason
        self.count += 1
        self._waiting.append({**row, "row": number, "reason": reason})

    def write(self) -> None:
        """Write down what was added since."""
        if self._waiting:
            try:
                self._write()
            except OSError as error:
                self._obstacle = error.strerror or str(error)
            self._waiting.clear()

    def _write(self) -> None:
        fresh = not self.file.exists()
        with self.file.open("a", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, fieldnames=list(self._waiting[0]), extrasaction="ignore")
            if fresh:
                writer.writeheader()
            writer.writerows(self._waiting)

    def sentence(self) -> str:
        """Say how many there are, where they are, and why the first is among them."""
        cannot = f" cannot be written: {self._obstacle}" if self._obstacle else ""
        rejected = f"{counted(self.count, 'row', 'is', 'are')} rejected ({self.file}{cannot})"
        return f"{rejected}, the first because {self.first}"
