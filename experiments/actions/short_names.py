"""Names that fit their columns and stay unique."""

from __future__ import annotations

import hashlib

HASH_LENGTH = 16


def short_name(name: str, limit: int) -> str:
    """Return a name that fits its column; a longer one ends with its hash, so that it stays unique."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:HASH_LENGTH]
    return f"{name[: limit - HASH_LENGTH - 1]}-{digest}"
