"""The breaker: is a treatment doing harm? Asked every few seconds, valid whenever it is asked.

It bets on labels. If the treatment changes nothing about anybody, the arm of a unit that had an event
(an error, a conversion) is a coin whose chance is known: the share of the arm. So whoever bets on the
arm in which harm makes more events, at the odds of that coin, cannot expect to win; capital that has
grown to 1 / α is evidence at level α, at any time and however often one looks (Ville's inequality).

Guarantees: the chance that `log_e_events` or `log_e_bounded` ever reaches ln(1 / α) is at most α while
the rate (the mean) of the treatment is at most 1 + margin times that of the control, or, of what should
be many, at least 1 − margin times.
Assumptions: every unit bets once, with its first event; its stratum is the epoch in which it was first
exposed, because its label was drawn with the shares of that epoch (docs/decisions: strata of the
breaker); what is frozen (centre, bins) was frozen before the start. Windows may still be open: events
that merely come later look like harm, which is why margins of conversions are 20 % at least. What a
guardrail accepts besides its margin, in absolute terms, is `breaker_floor`'s.

References:
    Shafer (2021), Testing by betting. Waudby-Smith & Ramdas (2024), Estimating means of bounded random
    variables by betting. Turner, Ly, Grünwald (2024), Generic e-variables for exact sequential tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.stats.special_functions import special
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from experiments.kinds import Direction

NODES = 8  # of each half-normal
NARROW, WIDE = 0.25, 1.5  # standard deviations of the log rate ratio: small harm, large harm
TOTAL = 1e6  # rate ratio of a failure of everything
# Shares of the capital that is staked on a bounded outcome: small for small harm, large for large.
STAKES = np.array([0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 0.95, 0.99])
FIRST_STAKES = STAKES[:-1]  # of records from before floors were known


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """Units that had the event, by arm, of those first exposed in one epoch.

    Attributes:
        epoch: in which they were first exposed.
        share: of the treatment in that epoch, among treatment and control.
        treatment: units.
        control: units.
    """

    epoch: int
    share: float
    treatment: int
    control: int


@dataclass(frozen=True, slots=True)
class ArmPaths:
    """Units that had the event, by arm, of those first exposed in one epoch, at several times.

    Attributes:
        share: of the treatment in that epoch, among treatment and control.
        treatment: units by each time, shape (times,).
        control: units by each time, shape (times,).
    """

    share: float
    treatment: NDArray[Any]
    control: NDArray[Any]


@dataclass(frozen=True, slots=True)
class BinnedCounts:
    """Units by the bin of their first value, of those first exposed in one epoch.

    Attributes:
        epoch: in which they were first exposed.
        share: of the treatment in that epoch, among treatment and control.
        treatment: units of each bin.
        control: units of each bin.
    """

    epoch: int
    share: float
    treatment: tuple[int, ...]
    control: tuple[int, ...]


# Events in the arm of harm, those in the other, and the share of the former; one epoch.
Arms = tuple["int | NDArray[Any]", "int | NDArray[Any]", float]


@lru_cache(maxsize=1)
def _mixture() -> tuple[NDArray[Any], NDArray[Any]]:
    """Return rate ratios towards harm beyond the margin, and the logarithms of their weights.

    Three components, a third each: small harm, large harm, failure of everything. Alone, the first is
    four times too slow for the last, and the second misses small harm.
    """
    places = (np.arange(NODES) + 0.5) / NODES
    quantiles = special.ndtri(0.5 + places / 2)
    ratios = np.concatenate([np.exp(NARROW * quantiles), np.exp(WIDE * quantiles), [TOTAL]])
    weights = np.concatenate([np.full(2 * NODES, 1 / (3 * NODES)), [1 / 3]])
    return ratios, np.log(weights)


def _required_share(share: float) -> float:
    if not 0 < share < 1:
        raise StatisticsError(f"share == {share:g}, must be in (0, 1).")
    return share


def null_ratio_of(margin: float, harm: Direction) -> float:
    """Return the largest rate ratio, towards harm, that the margin allows."""
    if margin < 0 or (harm == "decrease" and margin >= 1):
        rule = "in [0, 1)" if harm == "decrease" else "at least 0"
        raise StatisticsError(f"margin == {margin:g}, must be {rule}.")
    return 1 + margin if harm == "increase" else 1 / (1 - margin)


@lru_cache(maxsize=64)  # an experiment has few shares and is asked every few seconds
def _log_stakes(share: float, null_ratio: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return what an event in the arm of harm, and one in the other, adds to each component's capital.

    Args:
        share: of the arm in which harm makes more events.
        null_ratio: that the null allows.
    """
    ratios, _ = _mixture()
    fair = null_ratio * share / (null_ratio * share + 1 - share)
    odds = ratios * null_ratio * share
    bet = odds / (odds + 1 - share)
    return np.log(bet / fair), np.log((1 - share) / (odds + 1 - share) / (1 - fair))


def arms_of(counts: Sequence[ArmCounts | ArmPaths], *, harm: Direction) -> list[Arms]:
    """Return for each epoch the events in the arm of harm, those in the other, and its share.

    Of what should be many the arm of harm is the control: the fewer in the treatment, the more of all
    are the control's.

    Raises:
        StatisticsError: a share is out of range.
    """
    if harm == "increase":
        return [(one.treatment, one.control, _required_share(one.share)) for one in counts]
    return [(one.control, one.treatment, 1 - _required_share(one.share)) for one in counts]


def log_e_labels(arms: Sequence[Arms], *, null_ratio: float) -> NDArray[Any]:
    """Return ln E of labels against a rate ratio of at most `null_ratio`.

    Args:
        arms: events in the arm of harm and in the other, of one shape, and the arm's share; by epoch.
        null_ratio: that the null allows.
    """
    total = _mixture()[1]
    for harmed, other, share in arms:
        up, down = _log_stakes(share, null_ratio)
        total = total + (np.multiply.outer(harmed, up) + np.multiply.outer(other, down))
    return np.asarray(np.logaddexp.reduce(total, axis=-1))


def log_e_events(counts: Sequence[ArmCounts], *, margin: float, harm: Direction) -> float:
    """Return ln E of an event that happens to a unit or does not.

    Args:
        counts: by epoch of exposure, each epoch once.
        margin: relative change of the rate that is accepted, such as 0.2.
        harm: which change of the event's rate is harm: `increase` of an error, `decrease` of a
            conversion.

    Raises:
        StatisticsError: a share or the margin is out of range.
    """
    return float(log_e_labels(arms_of(counts, harm=harm), null_ratio=null_ratio_of(margin, harm)))


def log_e_paths(paths: Sequence[ArmPaths], *, margin: float, harm: Direction) -> NDArray[Any]:
    """Return ln E of an event at each of several times, shape (times,): `log_e_events` of each.

    Args:
        paths: by epoch of exposure, each epoch once.
        margin: relative change of the rate that is accepted.
        harm: which change of the event's rate is harm.

    Raises:
        StatisticsError: a share or the margin is out of range.
    """
    return log_e_labels(arms_of(paths, harm=harm), null_ratio=null_ratio_of(margin, harm))


def log_e_bounded(
    counts: Sequence[BinnedCounts],
    *,
    upper_ends: Sequence[float],
    centre: float,
    margin: float,
    harm: Direction,
    floor: float = 0.0,
    stakes: NDArray[Any] = STAKES,
) -> float:
    """Return ln E of a value in [0, 1], one a unit, such as a latency over the largest that counts.

    A value is weighted by the inverse of its arm's share, so that the difference of the arms has mean 0
    without harm. The centre takes the noise out; one that is wrong costs time, never validity.

    Args:
        counts: by epoch of exposure, each epoch once.
        upper_ends: of the bins, in (0, 1], rising; a unit counts as the end of its bin, in both arms.
        centre: the champion's mean before the start, in [0, 1].
        margin: relative change of the mean that is accepted.
        harm: which change of the mean is harm.
        floor: change of the mean that is accepted besides, on the scale of the values.
        stakes: shares of the capital, averaged over; below 1.

    Raises:
        StatisticsError: a share, the margin, the floor, the centre or the bins are out of range.
    """
    ends = np.asarray(upper_ends, dtype=float)
    if not (len(ends) and (np.diff(ends) > 0).all() and ends[0] > 0 and ends[-1] <= 1):
        raise StatisticsError(f"upper ends == {list(upper_ends)}, must rise within (0, 1].")
    if not 0 <= centre <= 1:
        raise StatisticsError(f"centre == {centre:g}, must be in [0, 1].")
    if floor < 0:
        raise StatisticsError(f"floor == {floor:g}, must be at least 0.")
    sign = 1.0 if harm == "increase" else -1.0
    ratio = 1 + margin if harm == "increase" else 1 - margin
    null_ratio_of(margin, harm)
    total = np.full(len(stakes), -math.log(len(stakes)))
    for one in counts:
        share = _required_share(one.share)
        treated = (sign * (ends - ratio * centre) - floor) / share
        controlled = -sign * ratio * (ends - centre) / (1 - share)
        # The largest loss over all of [0, 1]: no stake may lose more than there is.
        loss = max(
            *((floor - sign * (y - ratio * centre)) / share for y in (0.0, 1.0)),
            *(sign * ratio * (y - centre) / (1 - share) for y in (0.0, 1.0)),
        )
        total += np.log1p(np.outer(stakes, treated / loss)) @ np.asarray(one.treatment, dtype=float)
        total += np.log1p(np.outer(stakes, controlled / loss)) @ np.asarray(one.control, dtype=float)
    return float(special.logsumexp(total))


def log_bound(*, tests: int, alpha: float) -> float:
    """Return the ln E at which one of several tests trips: Bonferroni, so that together they hold α.

    E-values of different metrics are never averaged: a unit's label is known from one metric when
    another bets on it, and the average is proven at no random time.

    Raises:
        StatisticsError: alpha or the number of tests is out of range.
    """
    if not 0 < alpha < 1 or tests < 1:
        raise StatisticsError(
            f"alpha == {alpha:g} and tests == {tests}, must be in (0, 1) and at least 1."
        )
    return math.log(tests / alpha)


def trips(log_e: float, *, tests: int, alpha: float) -> bool:
    """Whether one of several tests has shown harm."""
    return log_e >= log_bound(tests=tests, alpha=alpha)


def required_events(
    count: int, *, share: float, margin: float, harm: Direction, bound: float
) -> NDArray[Any]:
    """Return for n = 1 … count how many of n events must be in the arm of harm to trip.

    n + 1 where even all of them are not enough.

    Args:
        count: of events.
        share: of the treatment.
        margin: relative.
        harm: direction.
        bound: ln E that trips.
    """
    arm, null_ratio = share if harm == "increase" else 1 - share, null_ratio_of(margin, harm)
    numbers = np.arange(1, count + 1)
    low: NDArray[Any] = np.zeros(count)
    high: NDArray[Any] = numbers + 1.0
    while (low < high).any():  # ln E rises with the events in the arm of harm: bisection
        middle = np.floor((low + high) / 2)
        log_e = log_e_labels([(middle, numbers - middle, arm)], null_ratio=null_ratio)
        enough = (log_e >= bound) | (middle > numbers)
        high, low = np.where(enough, middle, high), np.where(enough, low, middle + 1)
    return low
