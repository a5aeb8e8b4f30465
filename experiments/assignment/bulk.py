"""The vectorised twin of `assign`, for analysis and simulation."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from experiments.assignment.allocation import ExperimentRule

OUTSIDE = -1
_SCALE = 2.0**-53


def assign_many(rule: ExperimentRule, unit_ids: Iterable[str]) -> NDArray[np.int16]:
    """Assign many units at once.

    Args:
        rule: the experiment.
        unit_ids: n units.

    Returns:
        Array of shape (n,): the index of each unit's variant in `rule.variants`, or -1 outside.
    """
    # Hashing the salt once and copying its state saves its share of every digest.
    salted = sha256(f"{rule.salt}\0".encode())
    digests = bytearray()
    for unit_id in unit_ids:
        state = salted.copy()
        state.update(unit_id.encode())
        digests += state.digest()
    words = np.frombuffer(digests, dtype=">u8").reshape(-1, 4)
    gate = (words[:, 0] >> np.uint64(11)) * _SCALE
    bucket = (words[:, 1] >> np.uint64(11)) * _SCALE
    variant = np.searchsorted(np.array(rule.edges), bucket, side="right").astype(np.int16)
    variant[gate >= rule.allocation] = OUTSIDE
    return variant
