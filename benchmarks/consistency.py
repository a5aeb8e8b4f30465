"""Does anything that is said of an effect contradict itself? Looks at random totals, by their thousands.

`python -m benchmarks.consistency 100000` prints the tally alone; `make bench ONLY=statistics` holds it
against zero.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.support.random_looks import Tally, contradictions

PART = 500  # looks of one seed: the draws do not depend on how many processes share them
RARELY_EXACT = 0.08  # share of rule `exact`, whose likelihood costs ten times the others


def measure_contradictions(count: int, *, seconds: float = float("inf")) -> Tally:
    """Take so many looks, or as many as fit into the time, in as many processes as there are cores."""
    started, total = time.monotonic(), Tally()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for tally in pool.map(_part, range(-(-count // PART))):
            total += tally
            if time.monotonic() - started > seconds:
                pool.shutdown(cancel_futures=True)
                break
    return total


def _part(seed: int) -> Tally:
    return contradictions(PART, seed=1_000_000 + seed, exact=RARELY_EXACT)


def main() -> int:
    """Print the tally; 1 if anything contradicts itself."""
    arguments = [*map(float, sys.argv[1:])]
    tally = measure_contradictions(
        int(arguments[0]) if arguments else 100_000, seconds=(arguments + [float("inf")] * 2)[1]
    )
    for (kind, rule), comparisons in sorted(tally.by_kind.items()):
        print(f"{kind:12} {rule:18} {comparisons:8,} comparisons")
    for share, looks in sorted(tally.by_split.items()):
        print(f"smallest variant {share:12} {looks:8,} looks")
    print(
        f"{tally.looks:,} looks: {tally.intervals:,} intervals, {tally.decided:,} without 0, "
        f"{tally.lifts:,} relative; {len(tally.wrong)} contradictions"
    )
    for problem in tally.wrong[:5]:
        print(problem)
    return bool(tally.wrong)


if __name__ == "__main__":
    sys.exit(main())
