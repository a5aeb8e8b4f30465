"""Do intervals hold the truth, and how soon is a total failure seen? Parts of the statistics proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from experiments.stats.effects import compare, critical_value
from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from experiments.stats.metric_input import MetricInput
from experiments.stats.policy import Policy
from experiments.stats.quantiles import Sketch
from experiments.stats.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from experiments.kinds import MetricKind
    from experiments.stats.effects import Summary

UNITS = 10_000
LIFT = 0.1


@dataclass(frozen=True)
class Population:
    """Where units come from.

    Attributes:
        kind: of the metric.
        draw: n values at a factor on their level.
        level: the true proportion, mean or median at factor 1.
    """

    kind: MetricKind
    draw: Callable[[np.random.Generator, int, float], NDArray[np.float64]]
    level: float


@dataclass(frozen=True)
class Coverage:
    """How often 95 % intervals held the truth.

    Attributes:
        name: population and split.
        absolute: share of the intervals of the difference.
        relative: share of the intervals of the lift, of those that there are.
        without: share of the runs without a relative interval.
        error: Monte-Carlo standard error at 95 %.
    """

    name: str
    absolute: float
    relative: float
    without: float
    error: float


def _buyers(rng: np.random.Generator, n: int, factor: float) -> NDArray[np.float64]:
    return np.where(rng.random(n) < 0.2, rng.lognormal(0, 1, n) * factor, 0.0)


def _whales(rng: np.random.Generator, n: int, factor: float) -> NDArray[np.float64]:
    return _buyers(rng, n, factor) * np.where(rng.random(n) < 0.01, 100.0, 1.0)


def _steps(rng: np.random.Generator, n: int, factor: float) -> NDArray[np.float64]:
    # Rounded to 10, then scaled, so that the shift of the median is known exactly.
    return np.asarray(np.round(rng.lognormal(np.log(50), 0.5, n) / 10) * 10 * factor)


POPULATIONS = {
    "proportion, 10 %": Population(
        "proportion", lambda r, n, f: (r.random(n) < 0.1 * f).astype(float), 0.1
    ),
    "proportion, 1 %": Population(
        "proportion", lambda r, n, f: (r.random(n) < 0.01 * f).astype(float), 0.01
    ),
    "revenue": Population("mean", _buyers, 0.2 * float(np.exp(0.5))),
    "revenue with whales": Population("mean", _whales, 0.2 * float(np.exp(0.5)) * 1.99),
    "median, continuous": Population(
        "quantile", lambda r, n, f: r.lognormal(np.log(50), 0.5, n) * f, 50.0
    ),
    "median, rounded to 10": Population("quantile", _steps, 50.0),
}


def measure_coverage(runs: int, rng: np.random.Generator) -> list[Coverage]:
    """Compare a treatment that is 10 % better again and again, at 50/50 and at 90/10."""
    rows = []
    for name, population in POPULATIONS.items():
        for share in (0.5, 0.1):
            held = lifts = without = 0
            for _ in range(runs):
                sides = [
                    _summary(population, rng, round(UNITS * part), factor)
                    for part, factor in ((1 - share, 1.0), (share, 1 + LIFT))
                ]
                effect = compare(population.kind, *sides, cautious=True)
                critical = critical_value(0.05, effect.df)
                low, high = effect.interval(critical)
                truth = LIFT * population.level
                # Rounded values share a bucket, half a per cent wide: the truth is known no better.
                slack = 0.005 * population.level if "rounded" in name else 0.0
                held += (low is None or low <= truth + slack) and (
                    high is None or truth - slack <= high
                )
                lift, _ = effect.relative(critical)
                without += lift is None
                lifts += lift is not None and lift[0] - 0.01 * bool(slack) <= LIFT <= lift[
                    1
                ] + 0.01 * bool(slack)
            split = f"{1 - share:.0%} / {share:.0%}"
            rows.append(
                Coverage(
                    f"{name}, {split}",
                    held / runs,
                    lifts / max(runs - without, 1),
                    without / runs,
                    (0.05 * 0.95 / runs) ** 0.5,
                )
            )
    return rows


def _summary(population: Population, rng: np.random.Generator, n: int, factor: float) -> Summary:
    values = population.draw(rng, n, factor)
    if population.kind == "quantile":
        return Sketch.of(values.tolist())
    return Totals.of_mean(
        n=n,
        nonzero=int((values != 0).sum()),
        total=float(values.sum()),
        squares=float((values * values).sum()),
    )


def units_until_rolled_back(
    rule: str, runs: int, rng: np.random.Generator, *, planned: int = 40_000, per_look: int = 10
) -> tuple[float, float]:
    """Return median and 95th percentile of the units an arm after which 30 % against 0 is rolled back.

    A plain look after every ten units an arm, as a loop of looks takes them.
    """
    policy = Policy.parse({"rule": rule, "planned_units": planned, "minimum_run_seconds": 0.0})
    units = []
    for _ in range(runs):
        sums, states, n, action = {"old": Totals(), "new": Totals()}, {}, 0, ""
        while action != "roll_back" and n < planned:
            n += per_look
            new = {
                "old": Totals.of_proportion(int(rng.binomial(per_look, 0.3)), per_look),
                "new": Totals.of_proportion(0, per_look),
            }
            sums = {name: sums[name] + new[name] for name in sums}
            metric = MetricInput("m", "proportion", "primary", "increase", 0.0, [dict(sums)])
            result = take_look(
                LookInput(policy, "old", ["new"], [metric], [], 0, 1.0, states=states, batches=[new])
            )
            states, action = result.states, result.action
        units.append(n)
    return float(np.median(units)), float(np.quantile(units, 0.95))
