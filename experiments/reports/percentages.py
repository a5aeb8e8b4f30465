"""Changes as sentences and tables write them: shares as signed per cent, others as signed numbers."""

from __future__ import annotations

NOISE = 1e-12  # of adding floats in any order, on either side of 0


def percent(share: float) -> str:
    """Return a share as signed per cent, with a true minus."""
    digits = 0 if abs(share) >= 0.1 else 1
    shown = share if abs(share) >= NOISE else 0.0
    return f"{shown * 100:+.{digits}f}%".replace("-", "−")


def signed_number(value: float) -> str:
    """Return a change in a metric's own unit: three digits, signed, with a true minus."""
    shown = value if abs(value) >= NOISE else 0.0
    text = f"{shown:+,.0f}" if abs(shown) >= 1000 else f"{shown:+.3g}"
    return text.replace("-", "−")
