"""Cumulative gains: how often the 95 % interval of a sum of promotions holds the truth."""

from __future__ import annotations

from benchmarks.results import Row, write_result
from tests.support.gains import error_of, measure_gains

LEVEL = 0.95
# A project whose tests hardly differ and nearly all lose, and few of them: its wins are noise, and five
# tests do not say so. Measured, and no target.
HARDEST = (0.01, -0.02)


def run(size: str, home: str) -> None:
    cells = measure_gains(4_000 if size == "full" else 400)
    rows = [
        Row(
            f"coverage: {cell.decisions} tests, effects N({cell.mean:.0%}, {cell.spread:.0%})",
            cell.covered,
            "share",
            target=""
            if (cell.spread, cell.mean) == HARDEST
            else f"ours >= {LEVEL - 0.03 - 2 * error_of(cell):.4f}",
            spread=f"± {error_of(cell):.4f}; bias {cell.bias:+.2%}, unadjusted {cell.raw_bias:+.1%}",
        )
        for cell in cells
    ]
    write_result(
        "gains",
        size,
        rows,
        "Each project promotes its tests with z > 1.96, standard errors 1 to 4 %. The interval is that of "
        "the sum of the promotions' adjusted log gains. `bias` is the mean error of the sum, beside that "
        "of the sum of estimates.",
    )
