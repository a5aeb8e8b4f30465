"""Items whose texts and images are nearest to an item's.

An artifact may hold per item its nearest ones, found when it was made, and how much they count beside
the version's own list: more for an item that few have liked. A request reads one line of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference.serving.artifact import load_array

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inference.serving.artifact import Floats, Indices

NEAR_ITEMS, NEAR_WEIGHTS = "near_items", "near_weights"  # arrays of an artifact
NEAR_FILES = (f"{NEAR_ITEMS}.npy", f"{NEAR_WEIGHTS}.npy")  # for `/v1/similar` alone
MAX_NEAR = 20  # of an item: more than a list of similar items shows
# Beside the version's own list, of an item with n likes: COLD_WEIGHT / (1 + n / HALF_LIKES).
COLD_WEIGHT, HALF_LIKES = 0.5, 2.0


def weight_of(likes: float) -> float:
    """Return how much the nearest items of one count beside the version's own list.

    Args:
        likes: of the item that the version has learnt from.
    """
    return COLD_WEIGHT / (1 + likes / HALF_LIKES)


class NearItems:
    """The nearest items of each of a version's.

    Attributes:
        items: int32 (n, `MAX_NEAR`), nearest first, -1 for none.
        weights: of these beside the version's own list, float32 (n,).
    """

    def __init__(self, folder: Path) -> None:
        """Map the arrays of an artifact.

        Raises:
            ArtifactError: they cannot be read.
        """
        self.items: Indices = load_array(folder, NEAR_ITEMS)
        self.weights: Floats = load_array(folder, NEAR_WEIGHTS)

    def of(self, item: int) -> Indices:
        """Return the nearest items of one, nearest first."""
        line = self.items[item]
        return np.asarray(line[line >= 0], dtype=np.int32)


def open_near_items(folder: Path, files: Mapping[str, object]) -> NearItems | None:
    """Return the nearest items of an artifact; None where it has none that are whole.

    Raises:
        ArtifactError: they cannot be read.
    """
    return NearItems(folder) if all(name in files for name in NEAR_FILES) else None
