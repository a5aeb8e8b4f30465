"""Fits that a run has finished: kept until it ends, so that its next attempt does not make them again.

A fit is an artifact beside a line that says how long it took. The line is renamed into place when both
are on the disk, so a process that is killed leaves a whole fit or none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.process_group import place
from inference.serving.artifact import load_draft, save_artifact

if TYPE_CHECKING:
    from pathlib import Path

    from inference.serving.artifact import ArtifactDraft


@dataclass(frozen=True, slots=True)
class FinishedFit:
    """What was fitted, and how long that took."""

    draft: ArtifactDraft
    seconds: float


@dataclass(frozen=True, slots=True)
class FinishedFits:
    """The fits of one run.

    Attributes:
        folder: where they lie; None keeps nothing.
    """

    folder: Path | None

    def find(self, key: str) -> FinishedFit | None:
        """Return a fit; None when it was not finished."""
        if self.folder is None or not (self.folder / f"{key}.json").exists():
            return None
        about = json.loads((self.folder / f"{key}.json").read_bytes())
        return FinishedFit(load_draft(self.folder, about["artifact"]), about["seconds"])

    def keep(self, key: str, fit: FinishedFit) -> None:
        """Keep a fit; of processes that train together the first does."""
        if self.folder is None or place():
            return
        about = {"artifact": save_artifact(self.folder, fit.draft), "seconds": fit.seconds}
        new = self.folder / f"{key}.new"
        new.write_text(json.dumps(about))
        new.replace(self.folder / f"{key}.json")
