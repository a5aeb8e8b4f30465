"""Shares as signed per cent, as sentences and tables write them."""

from __future__ import annotations


def percent(share: float) -> str:
    """Return a share as signed per cent, with a true minus."""
    digits = 0 if abs(share) >= 0.1 else 1
    return f"{share * 100:+.{digits}f}%".replace("-", "−")
