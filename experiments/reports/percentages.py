"""Shares as signed per cent, as sentences and tables write them."""

from __future__ import annotations

NOISE = 1e-12  # of adding floats in any order, on either side of 0


def percent(share: float) -> str:
    """Return a share as signed per cent, with a true minus."""
    digits = 0 if abs(share) >= 0.1 else 1
    shown = share if abs(share) >= NOISE else 0.0
    return f"{shown * 100:+.{digits}f}%".replace("-", "−")
