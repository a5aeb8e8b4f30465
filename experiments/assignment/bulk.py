"""The vectorised twin of `assign` for the hash alone, for analysis and simulation."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from .hashing import growthbook_bucket

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from .allocation import ExperimentRule

OUTSIDE = -1
_SCALE = 2.0**-53


def assign_many(rule: ExperimentRule, unit_ids: Iterable[str]) -> NDArray[np.int16]:
    """Assign many units at once, as if they passed every check.

    Args:
        rule: the experiment; of its checks none is looked at.
        unit_ids: n units.

    Returns:
        Array of shape (n,): the index of each unit's variant in `rule.variants`, or -1 outside.
    """
    keys = [variant.key for variant in rule.variants]
    owners = np.array([keys.index(owner) for owner in rule.range_variants], dtype=np.int16)
    if rule.hashing == "growthbook_v2":
        return _assign_by_fnv(rule, owners, unit_ids)
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
    variant = owners[np.searchsorted(np.array(rule.boundaries), bucket, side="right")]
    variant[gate >= rule.allocation] = OUTSIDE
    return variant


def _assign_by_fnv(
    rule: ExperimentRule, owners: NDArray[np.int16], unit_ids: Iterable[str]
) -> NDArray[np.int16]:
    bucket = np.array([growthbook_bucket(rule.salt, unit_id, 2) for unit_id in unit_ids], dtype=float)
    low, high = np.array(rule.ranges()).T
    part = np.clip(np.searchsorted(low, bucket, side="right") - 1, 0, len(low) - 1)
    variant = owners[part]
    variant[(bucket < low[part]) | (bucket >= high[part])] = OUTSIDE
    return variant
