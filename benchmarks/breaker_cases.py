"""The breaker in hard cases without harm, beyond a floor, and against betting on non-events."""

from __future__ import annotations

import math

import numpy as np

from experiments.kinds import Direction
from experiments.stats.breaker import ArmPaths, log_bound, log_e_paths
from experiments.stats.breaker_floor import log_e_beyond_floor

Rate = tuple[float, int, float]  # share of runs that trip, runs, α
ALPHA, HALF = 0.001, 0.5
LOOSE = 0.05  # α of the rows that few runs can afford: at .001 they would say nothing
FLOOR, MARGIN = 0.005, 0.2
UNITS, TICKS = 8_000, 120


def no_harm(runs: int, rng: np.random.Generator) -> dict[str, Rate]:
    """Return how often treatments that do no harm trip, however long one looks."""
    cases = {
        "users prone to errors, who come back, one bet each": lambda: _prone(rng),
        "conversions half as slow again, windows open, margin 20 %": lambda: _late(rng),
        "five metrics of the same users at once, E ≥ 5/α": lambda: _several(5, rng),
    }
    rates = {
        name: (float(np.mean([draw() for _ in range(runs)])), runs, LOOSE)
        for name, draw in cases.items()
    }
    edges = [(0.0, HALF), (0.001, HALF), (0.01, HALF), (0.001, 0.05)]
    for control, share in edges:
        tripped = [
            (
                floored(control, (1 + MARGIN) * control + FLOOR, share, rng)[1] >= math.log(1 / LOOSE)
            ).any()
            for _ in range(runs)
        ]
        name = f"errors at the edge of margin and floor, control {control:.1%}, share {share:.0%}"
        rates[name] = (float(np.mean(tripped)), runs, LOOSE)
    return rates


def _trips(
    treated: np.ndarray, at: np.ndarray, *, margin: float, harm: Direction, bound: float
) -> bool:
    """Whether first events, at these times (infinite for none), trip at any of the ticks."""
    ticks = np.linspace(0, 1, TICKS + 1)[1:]
    arms = [np.searchsorted(np.sort(at[side]), ticks, side="right") for side in (treated, ~treated)]
    return bool((log_e_paths([ArmPaths(HALF, *arms)], margin=margin, harm=harm) >= bound).any())


def _prone(rng: np.random.Generator) -> bool:
    """A tenth of the users has nearly all of the errors, and comes back again and again."""
    treated = rng.random(UNITS) < HALF
    rate = np.where(rng.random(UNITS) < 0.1, 2.0, 0.01)
    at = rng.random(UNITS) + rng.exponential(1 / rate)
    return _trips(treated, at, margin=0.0, harm="increase", bound=math.log(1 / LOOSE))


def _late(rng: np.random.Generator) -> bool:
    """As many conversions within the window, after a mean delay of 1.5 instead of 1 day of seven."""
    treated = rng.random(UNITS) < HALF
    delay = rng.exponential(np.where(treated, 1.5, 1.0) / 7) / 4  # four windows long
    at = np.where(rng.random(UNITS) < 0.1, rng.random(UNITS) + delay, np.inf)
    return _trips(treated, at, margin=MARGIN, harm="decrease", bound=math.log(1 / LOOSE))


def _several(tests: int, rng: np.random.Generator) -> bool:
    """Metrics that hang together: a user who has one event has the others more often."""
    treated, prone = rng.random(UNITS) < HALF, rng.random(UNITS) < 0.2
    bound = log_bound(tests=tests, alpha=LOOSE)
    return any(
        _trips(
            treated,
            np.where(rng.random(UNITS) < np.where(prone, 0.4, 0.02), rng.random(UNITS), np.inf),
            margin=0.0,
            harm="increase" if test % 2 else "decrease",
            bound=bound,
        )
        for test in range(tests)
    )


def floored(
    control: float, treatment: float, share: float, rng: np.random.Generator, arrivals: int = 40_000
) -> tuple[np.ndarray, np.ndarray]:
    """Return units in the treatment and ln E beyond the floor, at up to 400 times."""
    times = np.unique(np.geomspace(10, arrivals, 400).astype(int)) - 1
    treated = rng.random(arrivals) < share
    event = rng.random(arrivals) < np.where(treated, treatment, control)
    arms = [(side & event).cumsum()[times] for side in (treated, ~treated)]
    trials = treated.cumsum()[times]
    log_e = log_e_beyond_floor(
        [ArmPaths(share, *arms)], trials=trials, margin=MARGIN, floor=FLOOR, harm="increase"
    )
    return trials, log_e


def beyond_floor(runs: int, rng: np.random.Generator) -> list[str]:
    """Return a table of units in the treatment until errors beyond margin and floor trip."""
    lines = [
        f"Errors beyond a margin of 20 % and a floor of half a point, α = {ALPHA:g}, half and half, {runs} runs a row:",
        "",
        "| rate of errors | median | 95 % |",
        "|---|---|---|",
    ]
    for before, after in ((0.0, 1.0), (0.0, 0.1), (0.01, 1.0), (0.01, 0.9), (0.01, 0.1), (0.05, 0.15)):
        units = []
        for _ in range(runs):
            trials, log_e = floored(before, after, HALF, rng, arrivals=6_000)
            hit = np.flatnonzero(log_e >= math.log(1 / ALPHA))
            units.append(float(trials[hit[0]]) if len(hit) else math.inf)
        median, late = (float(np.quantile(units, level, method="higher")) for level in (0.5, 0.95))
        lines.append(f"| {before:.0%} → {after:.0%} | {median:,.0f} | {late:,.0f} |")
    return lines


def non_events(runs: int, rng: np.random.Generator) -> list[str]:
    """Return a table of units until a trip by the event, by the non-event, and by their average."""
    lines = [
        f"Bets on events, on non-events, and on both with half of the capital each (not built): median / 95 %, margin 0, half and half, {runs} runs a row:",
        "",
        "| rate of the event | event | non-event | both |",
        "|---|---|---|---|",
    ]
    for before, after, arrivals in (
        (0.3, 0.9, 400), (0.3, 1.0, 400), (0.9, 0.3, 400), (0.3, 0.0, 400), (0.0, 1.0, 100),
        (0.01, 0.1, 3_000),
    ):  # fmt: skip
        rows = [_until(before, after, arrivals, rng) for _ in range(runs)]
        cells = [
            " / ".join(f"{np.quantile(units, level, method='higher'):,.0f}" for level in (0.5, 0.95))
            if np.isfinite(units).any()
            else "never"
            for units in np.array(rows).T
        ]
        lines.append(f"| {before:.0%} → {after:.0%} | " + " | ".join(cells) + " |")
    return lines


def _until(before: float, after: float, arrivals: int, rng: np.random.Generator) -> list[float]:
    treated = rng.random(arrivals) < HALF
    event = rng.random(arrivals) < np.where(treated, after, before)
    up: Direction = "increase" if after > before else "decrease"
    down: Direction = "decrease" if after > before else "increase"
    by_event, by_other = (
        log_e_paths(
            [ArmPaths(HALF, *((side & of).cumsum() for side in (treated, ~treated)))],
            margin=0.0,
            harm=harm,
        )
        for of, harm in ((event, up), (~event, down))
    )
    both = np.logaddexp(by_event, by_other) - math.log(2)
    units = []
    for log_e in (by_event, by_other, both):
        hit = np.flatnonzero(log_e >= math.log(1 / ALPHA))
        units.append(float(treated[: hit[0] + 1].sum()) if len(hit) else math.inf)
    return units
