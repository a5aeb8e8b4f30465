"""From a salt and a unit to numbers in [0, 1).

One SHA-256 gives 256 independent bits; the traffic gate and the variant read different 64-bit words
of it, so they are as independent as under two salts. A layer, which several experiments share, is
hashed under a salt of its own.
"""

from __future__ import annotations

from hashlib import sha256

GATE, VARIANT = 0, 1
_SCALE = 2.0**-53


def buckets_of(salt: str, unit_id: str) -> tuple[float, float]:
    """Return the (gate, variant) buckets of a unit.

    Args:
        salt: the experiment's salt, fixed for its life.
        unit_id: what is randomised.

    Returns:
        Two numbers in [0, 1) with 53 uniform bits each.
    """
    digest = sha256(f"{salt}\0{unit_id}".encode()).digest()
    # 53 of the 64 bits: more would round up to 1.0 in a double.
    gate = (int.from_bytes(digest[0:8], "big") >> 11) * _SCALE
    return gate, (int.from_bytes(digest[8:16], "big") >> 11) * _SCALE


def bucket_of(salt: str, unit_id: str) -> float:
    """Return one bucket in [0, 1) of a unit, for a layer or a holdout."""
    return buckets_of(salt, unit_id)[GATE]
