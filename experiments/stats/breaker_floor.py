"""The breaker beyond an absolute floor: five times as many errors, .5 % instead of .1 %, are no harm.

A guardrail accepts a rate of (1 + margin) · control's + floor. Labels alone cannot tell that: they show
a ratio, and which ratio the floor allows depends on the control's rate, which may be nearly 0. So the
null is taken apart at a rate c of the control. Where it is at least c, the ratio is at most
1 + margin + floor / c: the labels test that. Where it is below c, the rate in the arm of harm is at
most (1 + margin) · c + floor: its own events among its own trials test that. Whichever of the two
holds, the evidence against it was fair, so the smaller of both is; and so is its average over several
c, fixed in advance, because nobody knows which of them shows harm soonest.

Guarantees: the chance that ln E ever reaches ln(1 / α) is at most α while every trial's rate in the arm
of harm is at most (1 + margin) times the other's, plus the floor, whatever the control's rate is, as
long as it stays on one side of each c. A rate that drifts across one is not covered by the proof, but
both parts are functions of totals and the null is linear: averages of rates within it lie within it
(simulated in `benchmarks.breaker`).
Assumptions: those of `breaker`; trials are those of the arm of harm, all of them.

References:
    Ramdas, Grünwald, Vovk, Shafer (2023), Game-theoretic statistics and safe anytime-valid inference,
    section 5 (minimum over a union of nulls).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.stats.breaker import arms_of, log_e_labels, null_ratio_of
from experiments.stats.one_sample_breaker import log_e_shares
from experiments.stats.special_functions import special
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from experiments.kinds import Direction
    from experiments.stats.breaker import ArmCounts, ArmPaths

# Rates of the other arm at which the null is taken apart, in floors. Half of the capital is on the
# largest: its ratio is nearly the margin's alone, so a failure of everything trips an event later.
CUTS = np.array([0.25, 1.0, 2.5, 6.0, 20.0])
WEIGHTS = np.array([1.0, 1.0, 1.0, 1.0, 4.0]) / 8


def log_e_beyond_floor(
    counts: Sequence[ArmCounts | ArmPaths],
    *,
    trials: NDArray[Any] | float | None,
    margin: float,
    floor: float,
    harm: Direction,
) -> NDArray[Any]:
    """Return ln E of an event whose rate may exceed the margin by a floor.

    Args:
        counts: by epoch of exposure, each epoch once.
        trials: of the arm of harm (of an increase the treatment, of a decrease the control), such as
            its answers; None: not counted, and then ln E is an upper limit, by the labels alone.
        margin: relative change of the rate that is accepted.
        floor: change of the rate that is accepted besides, above 0.
        harm: which change of the event's rate is harm.

    Raises:
        StatisticsError: a share, the margin or the floor is out of range.
    """
    if not floor > 0:
        raise StatisticsError(f"floor == {floor:g}, must be above 0.")
    arms, ratio = arms_of(counts, harm=harm), null_ratio_of(margin, harm)
    # A decrease: the treatment has at least (1 − margin) · control − floor, solved for the control.
    accepted = floor if harm == "increase" else floor * ratio
    events = sum(np.asarray(harmed) for harmed, _, _ in arms)
    parts = []
    for cut, weight in zip(CUTS.tolist(), WEIGHTS.tolist(), strict=True):
        evidence = log_e_labels(arms, null_ratio=ratio + 1 / cut)
        if trials is not None:
            bound = accepted * (1 + ratio * cut)
            evidence = np.minimum(evidence, log_e_shares(events, trials, bound=bound))
        parts.append(np.log(weight) + evidence)
    return np.asarray(special.logsumexp(parts, axis=0))
