"""After how many users a breaker has noticed a harm: what a step of a ramp waits for."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from experiments.stats.breaker import ArmPaths, log_bound, log_e_paths
from experiments.stats.breaker_floor import log_e_beyond_floor
from experiments.stats.special_functions import special
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from experiments.kinds import Direction

POWER = 0.9
MAX_UNITS = 1_000_000  # a harm that takes more lies within what is accepted
SIGMAS = 4.5  # of the other arm's events: beyond, chances are below 1e-5
PRECISION = 0.005  # of the number, which is rounded up by it at most

HarmClass = Literal["total_failure", "errors_times_10", "errors_times_3", "conversions_halved"]
# Rates of the event without and with the harm, and in which direction the harm goes. Three times as
# many errors are shown where there are some: of 1 %, a floor of half a point takes most of it.
HARM_RATES: dict[str, tuple[float, float, Direction]] = {
    "total_failure": (0.01, 1.0, "increase"),
    "errors_times_10": (0.01, 0.1, "increase"),
    "errors_times_3": (0.05, 0.15, "increase"),
    "conversions_halved": (0.1, 0.05, "decrease"),
}


@lru_cache(maxsize=256)
def units_to_detect(
    harm_class: HarmClass,
    *,
    alpha: float,
    tests: int,
    margin: float = 0.2,
    floor: float = 0.0,
    share: float = 0.5,
) -> int:
    """Return at how many units in the treatment such harm trips the breaker with power .9.

    At that number, not until then: whoever looks all the time has tripped a little sooner.

    Args:
        harm_class: how large the harm is: `HARM_RATES`.
        alpha: of the breaker.
        tests: that share alpha.
        margin: of the metric.
        floor: of the metric.
        share: of the treatment among treatment and control.

    Raises:
        StatisticsError: an argument is out of range, or such harm lies within what is accepted.
    """
    bound = log_bound(tests=tests, alpha=alpha)
    low, high = 1, 64
    while _power(harm_class, high, share, margin, floor, bound) < POWER:
        low, high = high, 2 * high
        if high > MAX_UNITS:
            accepted = f"margin == {margin:g} and floor == {floor:g}"
            raise StatisticsError(f"{accepted}, must be below the harm of '{harm_class}'.")
    while high - low > max(1, PRECISION * high):
        units = (low + high) // 2
        enough = _power(harm_class, units, share, margin, floor, bound) >= POWER
        low, high = (low, units) if enough else (units, high)
    return high


def _power(
    harm_class: str, units: int, share: float, margin: float, floor: float, bound: float
) -> float:
    """Return the chance of ln E at least `bound` with so many units in the treatment, exactly."""
    before, after, harm = HARM_RATES[harm_class]
    sides = [(units, after), (round(units * (1 - share) / share), before)]
    (harmed, rate), (others, base) = sides if harm == "increase" else sides[::-1]
    mean, sd = others * base, (others * base * (1 - base)) ** 0.5
    other = np.arange(max(0, int(mean - SIGMAS * sd)), min(others, int(mean + SIGMAS * sd)) + 1)
    low, high = np.zeros(len(other)), np.full(len(other), harmed + 1.0)
    while (low < high).any():  # ln E rises with the events in the arm of harm: bisection
        middle = np.floor((low + high) / 2)
        enough = _log_e(middle, other, harmed, share, margin, floor, harm) >= bound
        enough |= middle > harmed
        high, low = np.where(enough, middle, high), np.where(enough, low, middle + 1)
    # The chance of at least `low` of them; where even all are too few, of none.
    beyond = np.where(low <= 0, 1.0, special.bdtrc(np.maximum(low - 1, 0), harmed, rate))
    return float(_binomial(other, others, base) @ np.where(low > harmed, 0.0, beyond))


def _log_e(
    harmed: NDArray[Any],
    other: NDArray[Any],
    trials: int,
    share: float,
    margin: float,
    floor: float,
    harm: Direction,
) -> NDArray[Any]:
    treatment, control = (harmed, other) if harm == "increase" else (other, harmed)
    paths = [ArmPaths(share, treatment, control)]
    if floor:
        return log_e_beyond_floor(paths, trials=trials, margin=margin, floor=floor, harm=harm)
    return log_e_paths(paths, margin=margin, harm=harm)


def _binomial(events: NDArray[Any], units: int, rate: float) -> NDArray[Any]:
    """Return the chance of each number of events; `scipy.stats` is too heavy for web processes."""
    others = units - events
    choose = special.gammaln(units + 1) - special.gammaln(events + 1) - special.gammaln(others + 1)
    return np.asarray(np.exp(choose + special.xlogy(events, rate) + special.xlog1py(others, -rate)))
