"""Round values for the axes of charts."""

from __future__ import annotations

import math

ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)


def ticks(low: float, high: float, *, about: int = 5) -> list[float]:
    """Return round values from `low` to `high`, `about` so many, 0 among them where it lies between.

    Raises:
        ValueError: the ends are not finite, or not in order.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"low == {low}, high == {high}: both must be finite, and low < high.")
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * one for one in ROUND if power * one >= raw * (1 - 1e-9))
    # A millionth of a step is an error of the division, no place of its own.
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    return [n * step for n in range(first, last + 1)]


def signed(value: float) -> str:
    """Write a value of an axis that has two sides; 0 has no sign."""
    return "0" if value == 0 else f"{value:+.3g}".replace("-", "−")


def signed_share(value: float) -> str:
    """Write a share of an axis that has two sides as per cent."""
    return "0%" if value == 0 else f"{100 * value:+.3g}%".replace("-", "−")
