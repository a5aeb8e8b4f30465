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
that merely come later look like harm, which is why margins of conversions are 20 % at least.

References:
    Shafer (2021), Testing by betting. Waudby-Smith & Ramdas (2024), Estimating means of bounded random
    variables by betting. Turner, Ly, Grünwald (2024), Generic e-variables for exact sequential tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import gammaln, logsumexp, ndtri, xlog1py, xlogy

from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from experiments.kinds import Direction

NODES = 8  # of each half-normal
NARROW, WIDE = 0.25, 1.5  # standard deviations of the log rate ratio: small harm, large harm
TOTAL = 1e6  # rate ratio of a failure of everything
# Shares of the capital that is staked on a bounded outcome: small for small harm, large for large.
STAKES = np.array([0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 0.95])
POWER = 0.9
# How far the distribution of the trip is computed: until nearly every path has tripped, but no farther.
FEW_EVENTS, MANY_EVENTS, MIN_TRIPPED = 512, 50_000, 0.999

HarmClass = Literal["total_failure", "errors_times_10", "errors_times_3", "conversions_halved"]
# Rates of the event without and with the harm, and in which direction the harm goes.
HARM_RATES: dict[str, tuple[float, float, Direction]] = {
    "total_failure": (0.01, 1.0, "increase"),
    "errors_times_10": (0.01, 0.1, "increase"),
    "errors_times_3": (0.01, 0.03, "increase"),
    "conversions_halved": (0.1, 0.05, "decrease"),
}


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


@lru_cache(maxsize=1)
def _mixture() -> tuple[NDArray[Any], NDArray[Any]]:
    """Return rate ratios towards harm beyond the margin, and the logarithms of their weights.

    Three components, a third each: small harm, large harm, failure of everything. Alone, the first is
    four times too slow for the last, and the second misses small harm.
    """
    places = (np.arange(NODES) + 0.5) / NODES
    quantiles = ndtri(0.5 + places / 2)
    ratios = np.concatenate([np.exp(NARROW * quantiles), np.exp(WIDE * quantiles), [TOTAL]])
    weights = np.concatenate([np.full(2 * NODES, 1 / (3 * NODES)), [1 / 3]])
    return ratios, np.log(weights)


def _required_share(share: float) -> float:
    if not 0 < share < 1:
        raise StatisticsError(f"share == {share:g}, must be in (0, 1).")
    return share


def _null_ratio(margin: float, harm: Direction) -> float:
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
        null_ratio: that the margin allows.
    """
    ratios, _ = _mixture()
    fair = null_ratio * share / (null_ratio * share + 1 - share)
    odds = ratios * null_ratio * share
    bet = odds / (odds + 1 - share)
    return np.log(bet / fair), np.log((1 - share) / (odds + 1 - share) / (1 - fair))


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
    return float(logsumexp(_log_capital(counts, margin=margin, harm=harm)))


def log_e_paths(paths: Sequence[ArmPaths], *, margin: float, harm: Direction) -> NDArray[Any]:
    """Return ln E of an event at each of several times, shape (times,): `log_e_events` of each.

    Args:
        paths: by epoch of exposure, each epoch once.
        margin: relative change of the rate that is accepted.
        harm: which change of the event's rate is harm.

    Raises:
        StatisticsError: a share or the margin is out of range.
    """
    capital = _log_capital(paths, margin=margin, harm=harm)
    return np.asarray(np.logaddexp.reduce(capital, axis=-1))


def _log_capital(
    counts: Sequence[ArmCounts | ArmPaths], *, margin: float, harm: Direction
) -> NDArray[Any]:
    """Return the log of what each component has, shape (components,) or (times, components)."""
    null_ratio = _null_ratio(margin, harm)
    _, total = _mixture()
    for one in counts:
        share = _required_share(one.share)
        harmed, other, arm = one.treatment, one.control, share
        if harm == "decrease":  # the fewer in the treatment, the more of all are the control's
            harmed, other, arm = one.control, one.treatment, 1 - share
        up, down = _log_stakes(arm, null_ratio)
        total = total + (np.multiply.outer(harmed, up) + np.multiply.outer(other, down))
    return total


def log_e_bounded(
    counts: Sequence[BinnedCounts],
    *,
    upper_ends: Sequence[float],
    centre: float,
    margin: float,
    harm: Direction,
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

    Raises:
        StatisticsError: a share, the margin, the centre or the bins are out of range.
    """
    ends = np.asarray(upper_ends, dtype=float)
    if not (len(ends) and (np.diff(ends) > 0).all() and ends[0] > 0 and ends[-1] <= 1):
        raise StatisticsError(f"upper ends == {list(upper_ends)}, must rise within (0, 1].")
    if not 0 <= centre <= 1:
        raise StatisticsError(f"centre == {centre:g}, must be in [0, 1].")
    sign = 1.0 if harm == "increase" else -1.0
    ratio = 1 + margin if harm == "increase" else 1 - margin
    _null_ratio(margin, harm)
    total = np.full(len(STAKES), -math.log(len(STAKES)))
    for one in counts:
        share = _required_share(one.share)
        treated = sign * (ends - ratio * centre) / share
        controlled = -sign * ratio * (ends - centre) / (1 - share)
        # The largest loss over all of [0, 1]: no stake may lose more than there is.
        loss = max(
            *(-sign * (y - ratio * centre) / share for y in (0.0, 1.0)),
            *(sign * ratio * (y - centre) / (1 - share) for y in (0.0, 1.0)),
        )
        total += np.log1p(np.outer(STAKES, treated / loss)) @ np.asarray(one.treatment, dtype=float)
        total += np.log1p(np.outer(STAKES, controlled / loss)) @ np.asarray(one.control, dtype=float)
    return float(logsumexp(total))


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
    up, down = _log_stakes(share if harm == "increase" else 1 - share, _null_ratio(margin, harm))
    _, log_weights = _mixture()
    numbers = np.arange(1, count + 1)
    low: NDArray[Any] = np.zeros(count)
    high: NDArray[Any] = numbers + 1.0
    while (low < high).any():  # ln E rises with the events in the arm of harm: bisection
        middle = np.floor((low + high) / 2)
        log_e = logsumexp(
            log_weights + middle[:, None] * up + (numbers - middle)[:, None] * down, axis=1
        )
        enough = (log_e >= bound) | (middle > numbers)
        high, low = np.where(enough, middle, high), np.where(enough, low, middle + 1)
    return low


@lru_cache(maxsize=256)
def units_to_detect(
    harm_class: HarmClass, *, alpha: float, tests: int, margin: float = 0.2, share: float = 0.5
) -> int:
    """Return after how many units in the treatment such harm has tripped the breaker with power .9.

    Exact but for treatment = share of all: the distribution of the event at which it trips
    is computed event by event, then mixed over the number of events that so many units have.

    Args:
        harm_class: how large the harm is: `HARM_RATES`.
        alpha: of the breaker.
        tests: that share alpha.
        margin: of the metric.
        share: of the treatment among treatment and control.

    Raises:
        StatisticsError: an argument is out of range, or such harm lies within the margin.
    """
    before, after, harm = HARM_RATES[harm_class]
    bound = log_bound(tests=tests, alpha=alpha)
    rate = _required_share(share) * after + (1 - share) * before
    chance = (share * after if harm == "increase" else (1 - share) * before) / rate
    count, tripped = FEW_EVENTS, np.zeros(1)
    while tripped[-1] < MIN_TRIPPED:
        count *= 2
        required = required_events(count, share=share, margin=margin, harm=harm, bound=bound)
        tripped = _trip_chances(count, required, chance=chance)
        if tripped[-1] < MIN_TRIPPED and count > MANY_EVENTS:
            raise StatisticsError(f"margin == {margin:g}, must be below the harm of '{harm_class}'.")
    low, high = 1, int(count / rate)
    while low < high:
        units = (low + high) // 2
        power = float(_binomial(np.arange(1, count + 1), units, rate) @ tripped)
        low, high = (low, units) if power >= POWER else (units + 1, high)
    return math.ceil(low * share)


def _binomial(events: NDArray[Any], units: int, rate: float) -> NDArray[Any]:
    """Return the chance of each number of events; `scipy.stats` is too heavy for web processes."""
    others = np.maximum(units - events, 0)
    choose = gammaln(units + 1) - gammaln(events + 1) - gammaln(others + 1)
    log_chance = choose + xlogy(events, rate) + xlog1py(others, -rate)
    return np.where(events <= units, np.exp(log_chance), 0.0)


def _trip_chances(count: int, required: NDArray[Any], *, chance: float) -> NDArray[Any]:
    """Return the chance to have tripped by event n = 1 … count.

    Args:
        count: of events.
        required: events in the arm of harm that trip, for each n.
        chance: that an event is in the arm of harm.
    """
    running = np.zeros(count + 2)  # by events in the arm of harm, of paths that have not tripped
    running[0] = 1.0
    tripped, chances = 0.0, np.empty(count)
    for n in range(1, count + 1):
        running[1 : n + 1], running[0] = (
            running[1 : n + 1] * (1 - chance) + running[:n] * chance,
            running[0] * (1 - chance),
        )
        first = int(required[n - 1])
        tripped += running[first : n + 1].sum()
        running[first : n + 1] = 0.0
        chances[n - 1] = tripped
        if tripped > 1 - 1e-9:
            chances[n:] = tripped
            break
    return chances
