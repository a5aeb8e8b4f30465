"""A line of a few values beside a figure, as inline SVG without axes: words say what it shows."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT, EDGE = 120, 24, 3


def draw_spark(values: Sequence[float], label: str) -> str:
    """Return the values as a line with a point at its end; nothing of fewer than two.

    Args:
        values: the oldest first; the lowest drawn value is 0 or below.
        label: what a screen reader says.
    """
    if len(values) < 2:
        return ""
    low, high = min(*values, 0), max(*values, 0)
    step = (WIDTH - 2 * EDGE) / (len(values) - 1)
    scale = (HEIGHT - 2 * EDGE) / ((high - low) or 1)
    points = [
        f"{EDGE + n * step:.1f},{HEIGHT - EDGE - (value - low) * scale:.1f}"
        for n, value in enumerate(values)
    ]
    x, y = points[-1].split(",")
    return (
        f'<svg class="spark" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f'<polyline points="{" ".join(points)}"/><circle cx="{x}" cy="{y}" r="2"/></svg>'
    )
