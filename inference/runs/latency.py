"""How long an artifact takes to answer, beside another one in the same process.

A worker shares its machine, so a wall clock alone refuses a version for what else the machine does.
Two things keep that out. Both artifacts answer the same requests in turn, and the ratio of their 95th
percentiles decides, with an interval over requests (paired bootstrap). And of each request the shortest
of some times counts, because other work only ever adds.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inference.evaluation.gate import LatencyRatio, Serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Answer = Callable[[int], object]

TIMES = 3  # that each request is answered
REPLICATES = 1000  # the ends of a 95 % interval rest on 25 of them each


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds per request of an artifact, and of another one that was measured in turn.

    Attributes:
        ours: (requests,).
        other: (requests,); (0,) when ours was measured alone.
    """

    ours: NDArray[np.float64]
    other: NDArray[np.float64]

    @property
    def speed_up(self) -> float:
        """How many times as fast as the other one ours is, by medians."""
        return float(np.median(self.other) / np.median(self.ours))

    @property
    def ratio(self) -> LatencyRatio | None:
        """How many times the other's 95th percentile ours is; None when it was measured alone."""
        if not len(self.other):
            return None
        draws = np.random.default_rng(0).integers(len(self.ours), size=(REPLICATES, len(self.ours)))
        ours, other = (np.quantile(times[draws], 0.95, axis=1) for times in (self.ours, self.other))
        low, high = np.quantile(ours / other, [0.025, 0.975])
        theirs = float(np.quantile(self.other, 0.95))
        return LatencyRatio(theirs, float(np.quantile(self.ours, 0.95)) / theirs, (low, high))

    def serving(self, size: int) -> Serving:
        """Return what serving costs, for an artifact of so many bytes."""
        return Serving(float(np.quantile(self.ours, 0.95)), size, self.ratio)


def time_in_turn(
    requests: int, ours: Answer, other: Answer | None = None, *, repeats: int = 1
) -> Latencies:
    """Let both answer the same requests in turn.

    Args:
        requests: how many.
        ours: answers the n-th request.
        other: likewise, of what it is compared with; None to measure alone.
        repeats: answers between two looks at the clock, where one is shorter than its noise.
    """
    artifacts = [answer for answer in (ours, other) if answer is not None]
    best = np.full((len(artifacts), requests), np.inf)
    for round_ in range(TIMES):
        for n in range(requests):
            # Who is first changes, so that neither always finds the caches warm.
            for row in range(len(artifacts))[:: 1 if (n + round_) % 2 else -1]:
                start = time.perf_counter()
                for _ in range(repeats):
                    artifacts[row](n)
                seconds = (time.perf_counter() - start) / repeats
                best[row, n] = min(best[row, n], seconds * 1000)
    return Latencies(best[0], best[1] if other is not None else np.empty(0))
