"""Isotonic maps: a rising line for each label, from what a model states to the share that was right.

Where a temperature bends all labels alike, these follow each label's own reliability (Zadrozny & Elkan
2002). An artifact that has them keeps their corners in three arrays; serving applies them after the
softmax and makes the rows shares of 1 again.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from inference.serving.artifact import load_array

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inference.serving.artifact import Floats

METHOD = "isotonic"
OWN_SHARE = 0.1  # of what the model states: no level is a tie, and none is exactly 0 or 1
CORNERS, STATED, SHARES = "isotonic_corners", "isotonic_stated", "isotonic_shares"

Line = tuple[tuple[float, ...], tuple[float, ...]]  # stated probabilities, rising; shares, not falling


@dataclass(frozen=True, slots=True)
class IsotonicMaps:
    """A line per label, in the order of labels."""

    lines: tuple[Line, ...]

    def apply(self, probabilities: Floats) -> Floats:
        """Return calibrated probabilities, float32 (rows, labels)."""
        mapped = np.empty(probabilities.shape)
        for label, (stated, shares) in enumerate(self.lines):
            mapped[:, label] = np.interp(probabilities[:, label], stated, shares)
        mixed = (1 - OWN_SHARE) * mapped + OWN_SHARE * probabilities
        calibrated: Floats = (mixed / mixed.sum(1, keepdims=True)).astype(np.float32)
        return calibrated

    def arrays(self) -> Mapping[str, Floats]:
        """Return what an artifact keeps."""
        ends = np.cumsum([0, *(len(stated) for stated, _ in self.lines)])
        return {
            CORNERS: ends.astype(np.int32),
            STATED: np.concatenate([stated for stated, _ in self.lines]).astype(np.float32),
            SHARES: np.concatenate([shares for _, shares in self.lines]).astype(np.float32),
        }

    @classmethod
    def load(cls, folder: Path) -> IsotonicMaps:
        """Read them from an artifact that was checked."""
        corners, stated, shares = (load_array(folder, name) for name in (CORNERS, STATED, SHARES))
        spans = [slice(start, end) for start, end in pairwise(corners.tolist())]
        return cls(tuple((tuple(stated[one].tolist()), tuple(shares[one].tolist())) for one in spans))
