"""The breaker: false trips, and units in the treatment until it trips, beside what no test can beat."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from benchmarks.breaker_cases import Rate, beyond_floor, no_harm, non_events
from benchmarks.results import Row, write_between_marks, write_result
from experiments.kinds import Direction
from experiments.stats.breaker import (
    ArmCounts,
    BinnedCounts,
    log_bound,
    log_e_bounded,
    log_e_events,
    required_events,
)

ALPHA = 0.001
PAGE = Path(__file__).parent.parent / "docs" / "statistics" / "breaker.md"
MARK = "<!-- made by make bench ONLY=breaker -->"
# Events of a run: enough for nearly every one to trip; where a small treatment loses conversions, the
# control's many events carry the evidence.
MIN_EVENTS, TIMES_BOUND, MAX_EVENTS, PART = 64, 8, 40_000, 200
SHARES = (0.5, 0.2, 0.05, 0.01)
PAIRS: tuple[tuple[float, float], ...] = (
    (0.0, 0.01), (0.0, 0.1), (0.0, 0.3), (0.0, 0.9), (0.0, 1.0), (0.001, 0.01), (0.001, 0.1),
    (0.001, 0.3), (0.001, 0.9), (0.001, 1.0), (0.01, 0.1), (0.01, 0.3), (0.01, 0.9), (0.01, 1.0),
    (0.1, 0.3), (0.1, 0.9), (0.1, 1.0), (0.3, 0.9), (0.3, 1.0), (0.01, 0.0), (0.1, 0.0), (0.1, 0.01),
    (0.1, 0.05), (0.3, 0.0), (0.3, 0.03), (0.3, 0.1), (0.9, 0.0), (0.9, 0.1), (0.9, 0.3),
)  # fmt: skip
# Medians and 95th percentiles at half and half that are to be reached: rates, median, 95 %.
TO_REACH = {(0.0, 1.0): (12, 12), (0.01, 0.9): (13, 22), (0.01, 0.1): (196, 362), (0.3, 0.0): (39, 64),
            (0.1, 0.0): (117, 183)}  # fmt: skip
STRATA = "no difference, a ramp from 1 % to half, strata by the epoch of the "
EXPOSURE = STRATA + "exposure"
LATENCIES = ((2.0, 85, 113), (10.0, 16, 19))


def run(size: str, home: str) -> None:
    runs = 2_000 if size == "full" else 200
    rng = np.random.default_rng(16)
    cells = {(pair, share): _until_trip(*pair, share, runs, rng) for share in SHARES for pair in PAIRS}
    rows = [
        Row(
            f"units in the treatment until the trip, {before:.0%} to {after:.0%}, half and half: {what}",
            float(np.quantile(cells[(before, after), 0.5], level)),
            "units",
            target=f"ours <= {math.ceil(target * (1.03 if size == 'full' else 1.15))}",
            higher_is_better=False,
        )
        for (before, after), goals in TO_REACH.items()
        for what, level, target in (("median", 0.5, goals[0]), ("95 %", 0.95, goals[1]))
    ]
    slow = {factor: _until_slow(factor, max(runs // 10, 60), rng) for factor, _, _ in LATENCIES}
    rows += [
        Row(f"latency × {factor:g}: median", float(np.median(slow[factor])), "units",
            target=f"ours <= {math.ceil(median * 1.1)}", higher_is_better=False)
        for factor, median, _ in LATENCIES
    ]  # fmt: skip
    few = max(runs // 5, 40)
    strata = _strata(few, rng)
    false = _false_trips(20 * runs, rng) | no_harm(few, rng) | {EXPOSURE: strata.pop(EXPOSURE)}
    rows += [
        Row(f"false trips at α = {alpha:g}: {name}", share, "share",
            target=f"ours <= {_limit(count, alpha):.5f}", higher_is_better=False,
            spread=f"± {_error(share, count, alpha):.5f}, {count} runs")
        for name, (share, count, alpha) in false.items()
    ]  # fmt: skip
    write_result(
        "breaker",
        size,
        rows,
        "Half-normal components .25 and 1.5 and total failure; see docs/statistics/breaker.md.",
    )
    if size == "full":
        _write_tables(cells, slow, false | strata, runs, beyond_floor(few, rng), non_events(few, rng))


def _error(share: float, count: int, alpha: float) -> float:
    return math.sqrt(max(share, alpha) * (1 - share) / count)


def _limit(count: int, alpha: float) -> float:
    return alpha + 3 * math.sqrt(alpha / count)


def _harm(before: float, after: float) -> Direction:
    return "increase" if after > before else "decrease"


def _until_trip(
    before: float, after: float, share: float, runs: int, rng: np.random.Generator
) -> np.ndarray:
    """Return units in the treatment at the trip of each run; infinite where it took too many events."""
    harm, rate = _harm(before, after), share * after + (1 - share) * before
    expected = _bound_of(before, after, share) / share * rate
    events = min(int(MIN_EVENTS + TIMES_BOUND * expected), MAX_EVENTS)
    bound = log_bound(tests=1, alpha=ALPHA)
    need = required_events(events, share=share, margin=0.0, harm=harm, bound=bound)
    parts = [
        _part(before, after, share, min(PART, runs - start), need, rng)
        for start in range(0, runs, PART)
    ]
    return np.concatenate(parts)


def _part(
    before: float, after: float, share: float, runs: int, need: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    events, rate = len(need), share * after + (1 - share) * before
    treated = rng.random((runs, events)) < share * after / rate
    in_harm = treated if _harm(before, after) == "increase" else ~treated
    hit = in_harm.cumsum(axis=1) >= need
    trip = np.where(hit.any(axis=1), hit.argmax(axis=1), events - 1)
    place = np.arange(runs), trip
    gaps = rng.geometric(rate, (runs, events)) if rate < 1 else np.ones((runs, events), int)
    others = gaps.cumsum(axis=1)[place] - trip - 1
    chance = 0.0 if rate >= 1 else min(share * (1 - after) / (1 - rate), 1.0)
    units = treated.cumsum(axis=1)[place] + rng.binomial(others, chance)
    return np.where(hit.any(axis=1), units.astype(float), math.inf)


def _bound_of(before: float, after: float, share: float) -> float:
    """Return ln(1 / α) over what an arrival says of its arm to whoever knows both rates, in treated units."""

    def entropy(p: float) -> float:
        return 0.0 if p in {0, 1} else -p * math.log(p) - (1 - p) * math.log(1 - p)

    known = entropy(share)
    for treated, control in ((after, before), (1 - after, 1 - before)):
        both = share * treated + (1 - share) * control
        known -= both * entropy(share * treated / both) if both > 0 else 0.0
    return math.log(1 / ALPHA) / known * share


def _until_slow(factor: float, runs: int, rng: np.random.Generator) -> np.ndarray:
    ends = [(n + 1) / 50 for n in range(50)]
    units = np.full(runs, math.inf)
    for run in range(runs):
        sides = [
            np.minimum(
                (np.minimum(scale * np.exp(0.6 * rng.standard_normal(600)), 10) * 5).astype(int), 49
            )
            for scale in (factor, 1.0)
        ]
        low, high = 1, 600
        while low < high:  # ln E rises, but for noise: the first crossing within a unit or two
            n = (low + high) // 2
            bins = [tuple(np.bincount(side[:n], minlength=50).tolist()) for side in sides]
            log_e = log_e_bounded(
                [BinnedCounts(1, 0.5, *bins)], upper_ends=ends, centre=0.12, margin=0.0, harm="increase"
            )
            low, high = (low, n) if log_e >= math.log(1 / ALPHA) else (n + 1, high)
        units[run] = low
    return units


def _false_trips(runs: int, rng: np.random.Generator) -> dict[str, Rate]:
    """Labels alone matter: events of two arms that are alike, 2,000 of them."""
    trips, events = {}, 2_000
    for share, margin, harm in (
        (0.5, 0.0, "increase"),
        (0.5, 0.2, "increase"),
        (0.05, 0.0, "increase"),
        (0.01, 0.0, "decrease"),
    ):
        bound = log_bound(tests=1, alpha=ALPHA)
        need = required_events(events, share=share, margin=margin, harm=harm, bound=bound)
        arm = share if harm == "increase" else 1 - share
        fair = (1 + margin) * arm / ((1 + margin) * arm + 1 - arm)
        tripped = 0
        for _ in range(0, runs, 1_000):
            labels = rng.random((1_000, events)) < fair
            tripped += int((labels.cumsum(axis=1) >= need).any(axis=1).sum())
        edge = ", at the edge of a 20 % margin" if margin else ""
        trips[f"share {share:.0%}, harm {harm}{edge}"] = (tripped / runs, runs, ALPHA)
    return trips


def _strata(runs: int, rng: np.random.Generator) -> dict[str, Rate]:
    """No difference, a ramp from 1 % to half: conversions of users who come again and again."""
    bound, tripped = math.log(1 / ALPHA), {"exposure": 0, "event": 0}
    shares, starts, ticks, units, rate = (0.01, 0.5), (0, 20), 40, 4_000, 0.02
    for _ in range(runs):
        cohorts = [
            (rng.random(units) < share, start + rng.geometric(rate, units))
            for share, start in zip(shares, starts, strict=True)
        ]
        over = dict.fromkeys(tripped, False)
        for tick in range(1, ticks + 1):
            spans = ((0, min(tick, starts[1])), (starts[1], tick))
            sides = {
                "exposure": [([cohort], (0, tick)) for cohort in cohorts],
                "event": [(cohorts, span) for span in spans],
            }
            for name, strata in sides.items():
                counts = [
                    ArmCounts(n, shares[n], _count(of, span), _count(of, span, control=True))
                    for n, (of, span) in enumerate(strata)
                ]
                over[name] |= log_e_events(counts, margin=0.0, harm="decrease") >= bound
        for name in tripped:
            tripped[name] += over[name]
    return {STRATA + name: (count / runs, runs, ALPHA) for name, count in tripped.items()}


def _count(cohorts: list, span: tuple[int, int], *, control: bool = False) -> int:
    """Return how many units of an arm have their first event in a span of ticks."""
    low, high = span
    return sum(
        int(((~treated if control else treated) & (event > low) & (event <= high)).sum())
        for treated, event in cohorts
    )


def _shown(value: float) -> str:
    return "more" if math.isinf(value) else f"{value:,.0f}"


def _write_tables(
    cells: dict, slow: dict, false: dict, runs: int, floors: list[str], others: list[str]
) -> None:
    lines = [
        f"Units in the treatment until the trip, α = {ALPHA:g}, margin 0: median / 95 %, and the bound of the mean. {runs:,} runs a cell; the Monte-Carlo error of a median is 2 to 3 %.",
        "",
        "| rate of the event | " + " | ".join(f"share {share:.0%}" for share in SHARES) + " |",
        "|---" * (len(SHARES) + 1) + "|",
    ]
    for before, after in PAIRS:
        row = [f"{before:.1%} → {after:.1%}"]
        for share in SHARES:
            units = cells[(before, after), share]
            median, late = (
                _shown(float(np.quantile(units, level, method="higher"))) for level in (0.5, 0.95)
            )
            row.append(f"{median} / {late} ({_bound_of(before, after, share):,.1f})")
        lines.append("| " + " | ".join(row) + " |")
    lines += ["", "| latency, half and half | median | 95 % |", "|---|---|---|"]
    lines += [
        f"| × {factor:g} | {np.median(units):.0f} | {np.quantile(units, 0.95):.0f} |"
        for factor, units in slow.items()
    ]
    lines += ["", *floors, "", *others]
    lines += ["", "| no harm | α | false trips | error | runs |", "|---|---|---|---|---|"]
    lines += [
        f"| {name} | {alpha:g} | {share:.5f} | {_error(share, count, alpha):.5f} | {count:,} |"
        for name, (share, count, alpha) in false.items()
    ]
    write_between_marks(PAGE, MARK, lines)
