"""Intervals of quality with a judge and a sample of people's labels: coverage and width."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.results import Row, write_between_marks, write_result
from experiments.stats.ppi import RatedAnswers, combined_effect, human_effect, judge_effect
from experiments.stats.totals import StatisticsError

PAGE = Path(__file__).parent.parent / "docs" / "statistics" / "judges.md"
MARK = "<!-- made by make bench ONLY=judges -->"
ALPHA, EFFECT, SPREAD = 0.05, 0.05, 0.2
LOOKS = 20


@dataclass(frozen=True)
class Scenario:
    """Answers of one experiment.

    Attributes:
        units: per variant.
        answers: mean number per unit, at least 1.
        labelled: share that people label, in both halves of the units.
        correlation: of the judge's scores with what people would say of an answer.
        bias: what the judge adds to the treatment's scores, in the scale's unit.
        judged: share that the judge scores.
        points: of the scale that people have; 0 for a continuous one.
        selection: how much more often the treatment's content units leave a label, per standard deviation.
    """

    units: int = 1_000
    answers: float = 1.0
    labelled: tuple[float, float] = (0.2, 0.2)
    correlation: float = 0.7
    bias: float = 0.0
    judged: float = 1.0
    points: int = 0
    selection: float = 0.0


PLAIN = Scenario()
SCENARIOS = {
    "judge correlates .9 with people": replace(PLAIN, correlation=0.9),
    "judge correlates .7": PLAIN,
    "judge correlates .7, and prefers the treatment": replace(PLAIN, bias=0.1),
    "judge that guesses": replace(PLAIN, correlation=0.0),
    "judge against people, and for the treatment": replace(PLAIN, correlation=-0.5, bias=0.1),
    "people say good or bad": replace(PLAIN, points=2, bias=0.1),
    "people rate 1 to 5": replace(PLAIN, points=5, bias=0.1),
    "three answers per user": replace(PLAIN, answers=3.0, bias=0.1),
    "judge scores half of the answers": replace(PLAIN, judged=0.5, bias=0.1),
    "10 % labelled, later 30 %": replace(PLAIN, labelled=(0.1, 0.3), bias=0.1),
    "about 50 labels per variant": replace(PLAIN, units=250, bias=0.1),
}
THUMBS = "thumbs instead of a sample: content users of the treatment give more"
NEGATIVE_CONTROL = replace(PLAIN, selection=0.5)


def draw_answers(
    scenario: Scenario, rng: np.random.Generator, *, treatment: bool, effect: float = EFFECT
) -> RatedAnswers:
    """Draw the answers of one variant."""
    count = 1 + rng.poisson(scenario.answers - 1, scenario.units)
    unit = np.repeat(np.arange(scenario.units), count)
    # Half of what people think of an answer is whose answer it is: answers of one unit are alike.
    liking = math.sqrt(0.5) * rng.standard_normal(scenario.units)[unit]
    liking = liking + math.sqrt(0.5) * rng.standard_normal(unit.size)
    human = 0.5 + SPREAD * liking + effect * treatment
    rho = scenario.correlation
    judge = 0.5 + SPREAD * (rho * liking + math.sqrt(1 - rho**2) * rng.standard_normal(unit.size))
    judge = judge + (effect + scenario.bias) * treatment
    share = np.where(unit < scenario.units / 2, *scenario.labelled)
    chosen = share * np.exp(scenario.selection * treatment * liking)
    draw = rng.random(unit.size)  # one number for both, as live: who is labelled is judged
    judged = draw < np.maximum(scenario.judged, share)
    return RatedAnswers(
        unit,
        np.where(judged, judge, np.nan),
        np.maximum(scenario.judged, share),
        np.where(draw < chosen, _on_scale(human, scenario.points), np.nan),
        share,
    )


def _on_scale(human: np.ndarray, points: int) -> np.ndarray:
    if not points:
        return human
    return np.clip(np.round(human * (points - 1)), 0, points - 1) / (points - 1)


def true_effect(scenario: Scenario) -> float:
    """Return what people would say of all answers: of a coarse scale by a large draw."""
    if not scenario.points:
        return EFFECT
    liking = np.random.default_rng(7).standard_normal(2_000_000)
    sides = [_on_scale(0.5 + SPREAD * liking + more, scenario.points).mean() for more in (EFFECT, 0.0)]
    return float(sides[0] - sides[1])


@dataclass(frozen=True)
class Coverage:
    """Shares of intervals that hold the truth, and how wide the combined one is beside people's."""

    judge: float
    human: float
    combined: float
    width: float
    runs: int

    def error(self, share: float) -> float:
        return math.sqrt(max(share * (1 - share), 1 / self.runs / 4) / self.runs)


def measure_coverage(scenario: Scenario, *, runs: int, seed: int) -> Coverage:
    """Measure 95 % intervals of one look."""
    rng, truth = np.random.default_rng(seed), true_effect(scenario)
    held, width = np.zeros(3), np.zeros(3)
    done = 0
    while done < runs:
        sides = [draw_answers(scenario, rng, treatment=treatment) for treatment in (False, True)]
        try:
            effects = [estimate(*sides) for estimate in (judge_effect, human_effect, combined_effect)]
        except StatisticsError:  # too few labels by chance: no interval is shown then
            continue
        done += 1
        for n, effect in enumerate(effects):
            low, high = effect.interval(ALPHA)
            held[n] += low <= truth <= high
            width[n] += high - low
    judge, human, combined = (held / runs).tolist()
    return Coverage(judge, human, combined, width=float(width[2] / width[1]), runs=runs)


def measure_sequences(scenario: Scenario, *, runs: int, seed: int) -> dict[str, float]:
    """Measure how often an interval holds the truth at each of twenty looks, as answers come in."""
    rng = np.random.default_rng(seed)
    held = {"always valid": 0, "of one look": 0}
    planned = 2 * scenario.units * scenario.labelled[0]
    for _ in range(runs):
        sides = [draw_answers(scenario, rng, treatment=treatment) for treatment in (False, True)]
        inside = dict.fromkeys(held, True)
        for look in range(1, LOOKS + 1):
            effect = combined_effect(*(_first(side, scenario.units * look // LOOKS) for side in sides))
            intervals = {
                "always valid": effect.sequential_interval(ALPHA, planned_units=planned),
                "of one look": effect.interval(ALPHA),
            }
            for name, (low, high) in intervals.items():
                inside[name] &= low <= EFFECT <= high
        for name in held:
            held[name] += inside[name]
    return {name: count / runs for name, count in held.items()}


def _first(answers: RatedAnswers, units: int) -> RatedAnswers:
    """Return the answers of the first units; at least so many that there are labels enough."""
    rows = answers.unit < max(units, 400)
    return RatedAnswers(
        answers.unit[rows],
        answers.judge[rows],
        answers.judge_probability[rows],
        answers.human[rows],
        answers.human_probability[rows],
    )


def run(size: str, home: str) -> None:
    runs = 4_000 if size == "full" else 200
    cells = {
        name: measure_coverage(scenario, runs=runs, seed=18 + n)
        for n, (name, scenario) in enumerate(SCENARIOS.items())
    }
    thumbs = measure_coverage(NEGATIVE_CONTROL, runs=runs, seed=40)
    sequences = measure_sequences(
        replace(PLAIN, units=4_000, bias=0.1), runs=max(runs // 4, 100), seed=41
    )
    floor = 1 - ALPHA - 3 * math.sqrt(ALPHA * (1 - ALPHA) / runs)
    rows = [
        Row(
            f"coverage of the combined 95 % interval: {name}", cell.combined, "share",
            target=f"ours >= {floor:.4f}", spread=f"± {cell.error(cell.combined):.4f}, {runs} runs",
        )
        for name, cell in cells.items()
    ]  # fmt: skip
    rows += [
        Row(f"width beside people alone: {name}", cells[name].width, "", target="ours <= 0.8",
            higher_is_better=False)
        for name in ("judge correlates .9 with people", "judge correlates .7")
    ]  # fmt: skip
    biased = cells["judge correlates .7, and prefers the treatment"]
    rows += [
        Row("coverage of the judge alone, which prefers the treatment (must fail)", biased.judge, "share",
            target="ours <= 0.1", higher_is_better=False),
        Row(f"coverage of the combined interval, {THUMBS} (must fail)", thumbs.combined, "share",
            target="ours <= 0.8", higher_is_better=False,
            spread=f"± {thumbs.error(thumbs.combined):.4f}, {runs} runs"),
        Row("the always-valid interval holds at all 20 looks, judge prefers the treatment",
            sequences["always valid"], "share", target="ours >= 0.95"),
    ]  # fmt: skip
    write_result(
        "judges", size, rows, "20 % labelled by people; see docs/statistics/judges.md.", ("scipy",)
    )
    if size == "full":
        write_between_marks(PAGE, MARK, _table(cells | {THUMBS: thumbs}, sequences, runs))


def _table(cells: dict[str, Coverage], sequences: dict[str, float], runs: int) -> list[str]:
    lines = [
        f"Share of 95 % intervals that hold the true difference, {runs:,} experiments a row, ± one Monte-Carlo standard error; and the mean width of the combined interval beside that of people alone.",
        "",
        "| scenario | judge alone | people alone | combined | ± | width |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {cell.judge:.4f} | {cell.human:.4f} | {cell.combined:.4f} | {cell.error(cell.combined):.4f} | {cell.width:.2f} |"
        for name, cell in cells.items()
    ]
    count = max(runs // 4, 100)
    lines += [
        "",
        f"Twenty looks as answers come in, the judge prefers the treatment, {count:,} experiments: share whose interval holds the truth at all of them.",
        "",
        "| interval | share | ± |",
        "|---|---|---|",
    ]
    lines += [
        f"| {name} | {share:.4f} | {math.sqrt(max(share * (1 - share), 1 / count) / count):.4f} |"
        for name, share in sequences.items()
    ]
    return lines
