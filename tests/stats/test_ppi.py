"""Prediction-powered effects: plain formulas at fixed λ, PPI++ itself, coverage, and what must fail."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmarks.judges import (
    NEGATIVE_CONTROL,
    PLAIN,
    draw_answers,
    measure_coverage,
    measure_sequences,
)
from experiments.stats.confidence_sequence import half_width_in_se
from experiments.stats.ppi import (
    FOLDS,
    RatedAnswers,
    combined_effect,
    human_effect,
    judge_effect,
    rectified_values,
)
from experiments.stats.totals import StatisticsError


def answers(judge, human, *, unit=None, judged=1.0, labelled=0.5) -> RatedAnswers:
    judge, human = np.asarray(judge, float), np.asarray(human, float)
    unit = np.arange(judge.size) if unit is None else np.asarray(unit)
    full = np.ones(judge.size)
    return RatedAnswers(unit, judge, full * judged, human, full * labelled)


def drawn(seed=1, **changes):
    rng = np.random.default_rng(seed)
    scenario = replace(PLAIN, **changes)
    return [draw_answers(scenario, rng, treatment=treatment) for treatment in (False, True)]


def labels(side: RatedAnswers) -> np.ndarray:
    return side.human[~np.isnan(side.human)]


def test_people_alone_are_welchs_t_of_the_labelled():
    control, treatment = drawn()
    effect = human_effect(control, treatment)
    oracle = stats.ttest_ind(labels(treatment), labels(control), equal_var=False)
    interval = oracle.confidence_interval(0.95)
    assert effect.interval(0.05) == pytest.approx((interval.low, interval.high))
    assert effect.units == labels(treatment).size + labels(control).size


def test_the_judge_alone_is_welchs_t_of_all_scores():
    control, treatment = drawn()
    oracle = stats.ttest_ind(treatment.judge, control.judge, equal_var=False)
    interval = oracle.confidence_interval(0.95)
    assert judge_effect(control, treatment).interval(0.05) == pytest.approx(
        (interval.low, interval.high)
    )


def plus_plus(side: RatedAnswers) -> tuple[float, float, float]:
    """PPI++'s mean, variance and λ by its own formulas: the labelled, and the others alone."""
    has = ~np.isnan(side.human)
    human, of_labelled, of_others = side.human[has], side.judge[has], side.judge[~has]
    n, others = human.size, of_others.size
    power = np.cov(human, of_labelled)[0, 1] / (1 + n / others) / side.judge.var(ddof=1)
    mean = power * of_others.mean() + (human - power * of_labelled).mean()
    variance = power**2 * of_others.var(ddof=1) / others + (human - power * of_labelled).var(ddof=1) / n
    return mean, variance, power * (1 + n / others)


def test_one_answer_per_user_is_ppi_plus_plus():
    control, treatment = drawn(units=4_000)
    effect = combined_effect(control, treatment)
    for estimate, side in ((effect.control, control), (effect.treatment, treatment)):
        mean, variance, slope = plus_plus(side)
        # Cross-fitting moves λ a little, and with it the mean by far less than its standard error.
        assert estimate.slope == pytest.approx(slope, abs=0.06)
        assert estimate.mean == pytest.approx(mean, abs=0.15 * math.sqrt(variance))
        assert estimate.variance == pytest.approx(variance, rel=0.04)


def slope_of_fold(side: RatedAnswers, fold: int) -> float:
    """λ of a fold, read from two of its users without a label: their values differ by λ times scores."""
    values = rectified_values(side)
    first, second = np.flatnonzero((side.unit % FOLDS == fold) & np.isnan(side.human))[:2]
    return float((values[first] - values[second]) / (side.judge[first] - side.judge[second]))


def test_no_answer_takes_part_in_its_own_slope():
    control, _ = drawn(units=500)
    human = np.where(control.unit % FOLDS == 0, control.human + 3 * control.judge, control.human)
    moved = replace(control, human=human)
    assert slope_of_fold(moved, 0) == pytest.approx(slope_of_fold(control, 0))
    assert slope_of_fold(moved, 1) > slope_of_fold(control, 1) + 0.3
    assert rectified_values(moved).mean() == pytest.approx(combined_effect(moved, moved).control.mean)


def test_a_judge_that_is_right_is_believed_and_one_that_says_one_thing_changes_nothing():
    control, treatment = drawn()
    right = drawn(correlation=1.0)
    assert combined_effect(*right).control.slope == pytest.approx(1, abs=0.05)
    assert combined_effect(*right).se == pytest.approx(judge_effect(*right).se, rel=0.05)
    constant = [replace(side, judge=np.full(side.judge.size, 0.8)) for side in (control, treatment)]
    people = human_effect(control, treatment)
    assert combined_effect(*constant).interval(0.05) == pytest.approx(people.interval(0.05))
    with pytest.raises(StatisticsError, match=r"the judge's scores of the control == 0.8 throughout"):
        judge_effect(*constant)


def test_answers_weigh_the_inverse_of_their_probability():
    """The second half of the users has twice the quality, and is labelled three times as often."""
    rng = np.random.default_rng(5)
    unit = np.arange(40_000)
    share = np.where(unit < 20_000, 0.1, 0.3)
    human = np.where(unit < 20_000, 0.3, 0.6) + 0.1 * rng.standard_normal(unit.size)
    human[rng.random(unit.size) >= share] = np.nan
    side = RatedAnswers(unit, np.full(unit.size, np.nan), np.ones(unit.size), human, share)
    assert human_effect(side, side).control.mean == pytest.approx(0.45, abs=0.01)


def test_answers_of_one_user_are_not_independent():
    rng = np.random.default_rng(6)
    taste = rng.standard_normal(200)
    unit = np.repeat(np.arange(200), 10)
    side = answers(np.full(2_000, np.nan), taste[unit] + 0.1 * rng.standard_normal(2_000), unit=unit)
    variance = human_effect(side, side).control.variance
    assert variance == pytest.approx(taste.var() / 200, rel=0.05)


def test_the_sequence_is_the_one_of_every_other_metric():
    effect = combined_effect(*drawn())
    low, high = effect.sequential_interval(0.05, planned_units=400)
    half = half_width_in_se(effect.units, alpha=0.05, planned_n=400) * effect.se
    assert (low, high) == pytest.approx((effect.difference - half, effect.difference + half))


@pytest.mark.parametrize(
    ("human", "message"),
    [
        ([np.nan] * 100, "units with a label of the control == 0, must be at least 30"),
        ([0.1, 0.9] * 14 + [np.nan] * 72, "units with a label of the control == 28, must be at least"),
        ([1.0] * 100, "labels of the control == 1 throughout, must differ"),
    ],
)
def test_no_labels_few_labels_and_labels_alike_are_refused(human, message):
    side = answers(np.linspace(0, 1, 100), human)
    for estimate in (human_effect, combined_effect):
        with pytest.raises(StatisticsError, match=message):
            estimate(side, side)


def test_probabilities_levels_and_judges_without_answers_are_refused():
    with pytest.raises(StatisticsError, match=r"human_probability == 0, must be in \(0, 1\]"):
        answers([0.1, 0.2], [1.0, 0.0], labelled=0.0)
    with pytest.raises(StatisticsError, match=r"alpha == 1.2, must be in \(0, 1\)"):
        combined_effect(*drawn()).interval(1.2)
    silent = answers([np.nan] * 100, [0.1, 0.9] * 50)
    with pytest.raises(StatisticsError, match="judged units of the control == 0, must be at least 2"):
        judge_effect(silent, silent)
    with pytest.raises(StatisticsError, match="units with a label of the control == 0"):
        combined_effect(silent, silent)  # labels of answers that nobody judged correct no judge
    assert human_effect(silent, silent).difference == 0


RUNS = 200
ERROR = 3 * math.sqrt(0.05 * 0.95 / RUNS)


def test_coverage_and_width_with_a_judge_that_prefers_the_treatment():
    cell = measure_coverage(replace(PLAIN, bias=0.1), runs=RUNS, seed=1)
    assert cell.combined >= 0.95 - ERROR
    assert cell.human >= 0.95 - ERROR
    assert cell.judge <= 0.05  # it is wrong in nearly every experiment, and sure of it
    assert cell.width <= 0.8


def test_self_selected_labels_fail():
    """Thumbs are no sample: the negative control."""
    assert measure_coverage(NEGATIVE_CONTROL, runs=RUNS, seed=2).combined <= 0.8


def test_the_sequence_holds_at_all_looks():
    held = measure_sequences(replace(PLAIN, units=2_000, bias=0.1), runs=40, seed=3)
    assert held["always valid"] >= 0.95
    assert held["of one look"] < held["always valid"]
