"""Shares against the number of looks, as a standalone SVG picture."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 360, 60, 170, 40, 44
# Distinct for a colour-blind reader (Okabe & Ito), and each with its own dash.
LINES = (
    ("#0072b2", ""),
    ("#d55e00", "6 3"),
    ("#009e73", "2 3"),
    ("#cc79a7", "8 3 2 3"),
    ("#5b6776", "1 2"),
)
TEXT = "font: 12px system-ui, sans-serif; fill: #1d2733"


def draw_rates(
    rates: Mapping[str, Sequence[float]],
    alpha: float,
    *,
    title: str = "False positives by number of looks",
) -> str:
    """Return an SVG with a line for each name and a dashed line at alpha."""
    looks = max(len(line) for line in rates.values())
    most = max([alpha * 1.5, *(max(line) for line in rates.values())]) * 1.05

    def x(look: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * look / max(looks, 1)

    def y(rate: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - rate / most)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img" aria-label="{escape(title)}">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
        f'<text x="{LEFT}" y="22" style="{TEXT}; font-weight: 600">{escape(title)}</text>'
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(0):.1f}" y2="{y(0):.1f}" stroke="#1d2733"/>'
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(alpha):.1f}" y2="{y(alpha):.1f}" '
        f'stroke="#1d2733" stroke-dasharray="4 4"/>'
        f'<text x="{LEFT - 8}" y="{y(alpha) + 4:.1f}" text-anchor="end" style="{TEXT}">{alpha:g}</text>'
        f'<text x="{LEFT - 8}" y="{y(0) + 4:.1f}" text-anchor="end" style="{TEXT}">0</text>'
        f'<text x="{LEFT - 8}" y="{y(most) + 10:.1f}" text-anchor="end" style="{TEXT}">'
        f"{most:.2f}</text>"
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 14}" text-anchor="end" style="{TEXT}">'
        f"{looks} looks</text>"
    ]
    ends = sorted((line[-1], n) for n, line in enumerate(rates.values()))
    places: dict[int, float] = {}
    lowest = HEIGHT - BOTTOM + 4.0
    for rate, n in ends:  # labels do not overlap: each stands at least a line above the one below
        lowest = min(y(rate) + 4, lowest - 15 if places else y(rate) + 4)
        places[n] = lowest
    for n, (name, line) in enumerate(rates.items()):
        colour, dash = LINES[n % len(LINES)]
        points = " ".join(f"{x(k + 1):.1f},{y(rate):.1f}" for k, rate in enumerate(line))
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dash}"/>'
            f'<text x="{WIDTH - RIGHT + 8}" y="{places[n]:.1f}" '
            f'style="{TEXT}; fill: {colour}">{escape(name)} {line[-1]:.3f}</text>'
        )
    return "".join([*parts, "</svg>"])
