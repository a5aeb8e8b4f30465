"""From a salt and a unit to numbers in [0, 1).

One SHA-256 gives 256 independent bits; the traffic gate and the variant read different 64-bit words
of it, so they are as independent as under two salts. Layers and holdouts, which experiments of either
hashing share, and experiments that GrowthBook's SDKs evaluate, are hashed as those do.
"""

from __future__ import annotations

from hashlib import sha256

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


def fnv1a(text: str) -> int:
    """Return FNV-1a, 32 bits, over UTF-16 code units, as browsers compute it.

    Source: Fowler, Noll, Vo; http://www.isthe.com/chongo/tech/comp/fnv.
    """
    state = 0x811C9DC5
    if text.isascii():
        for byte in text.encode():
            state = ((state ^ byte) * 0x01000193) & 0xFFFFFFFF
        return state
    units = text.encode("utf-16-le", "surrogatepass")
    for low, high in zip(units[::2], units[1::2], strict=True):
        state = ((state ^ (low | high << 8)) * 0x01000193) & 0xFFFFFFFF
    return state


def growthbook_bucket(seed: str, value: str, version: int) -> float | None:
    """Return the bucket in [0, 1) that GrowthBook's SDKs compute; None for a version that is none.

    Version 1 has 1,000 buckets, version 2 has 10,000 and no correlation between seeds.
    """
    if version == 1:
        return fnv1a(value + seed) % 1000 / 1000
    if version == 2:
        return fnv1a(str(fnv1a(seed + value))) % 10_000 / 10_000
    return None
