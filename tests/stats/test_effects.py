"""SciPy is the oracle for means, closed forms for proportions, simulation for coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from experiments.stats import lifts
from experiments.stats.effect import Effect
from experiments.stats.effects import (
    compare,
    critical_value,
    newcombe_interval,
    stratify,
)
from experiments.stats.totals import StatisticsError, Totals


def proportion(successes: int, n: int) -> Totals:
    return Totals(n, successes, successes, successes, n, n, successes)


def test_mean_agrees_with_scipy():
    rng = np.random.default_rng(1)
    a, b = rng.gamma(2, 3, 400), rng.gamma(2, 3.3, 380)
    effect = compare("mean", Totals.of(a.tolist()), Totals.of(b.tolist()))
    expected = stats.ttest_ind(b, a, equal_var=False)
    assert effect.estimate == pytest.approx(b.mean() - a.mean())
    assert effect.statistic == pytest.approx(expected.statistic)


def test_proportion_agrees_with_statsmodels_figures():
    """Its interval inverts the pooled test (Mee's, which is Miettinen and Nurminen's without N / (N − 1))."""
    effect = compare("proportion", proportion(1000, 10_000), proportion(1100, 10_000))
    assert effect.statistic == pytest.approx(2.3066347738, rel=1e-9)
    assert effect.p_value == pytest.approx(0.0210751893, rel=1e-8)
    assert effect.interval(critical_value(0.05)) == pytest.approx(
        (0.0015039138, 0.0185049738), rel=1e-6
    )
    assert effect.lift == pytest.approx(0.1)
    assert effect.lift_interval(critical_value(0.05)) == pytest.approx(
        (0.0143854989, 0.1928403958), rel=1e-6
    )


def test_ratio_is_clustered_by_unit():
    """Events of one unit are alike: taken as independent they would promise too much."""
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(1500):
        groups = []
        for _ in range(2):
            views = rng.poisson(8, 300) + 1
            clicks = rng.binomial(views, rng.beta(1, 4, 300))
            groups.append(Totals.of(clicks.astype(float).tolist(), views.astype(float).tolist()))
        hits += compare("ratio", *groups).p_value < 0.05
    # 0.05 within three standard errors of 1,500 draws
    assert 0.033 <= hits / 1500 <= 0.067


def test_epochs_are_stratified_not_pooled():
    """A ramp with a drifting base rate: pooling sees an effect, stratifying sees none."""
    epochs = [(proportion(95, 950), proportion(5, 50)), (proportion(100, 500), proportion(100, 500))]
    pooled = compare("proportion", epochs[0][0] + epochs[1][0], epochs[0][1] + epochs[1][1])
    assert pooled.estimate > 0.05
    assert stratify([compare("proportion", *epoch) for epoch in epochs]).estimate == pytest.approx(0)


def test_one_epoch_is_itself():
    effect = compare("proportion", proportion(10, 100), proportion(20, 100))
    assert stratify([effect]) is effect


def test_lift_has_the_sign_of_the_difference_or_is_not_given():
    effect = Effect(-2.0, -1.0, 1.0, 0.1, 10.0, 100, 100, 0.07, 0.07)
    assert effect.lift is None
    assert effect.lift_interval(1.96) is None


@pytest.mark.parametrize(
    ("control", "treatment", "message"),
    [
        (Totals(), proportion(1, 10), "must be at least"),
        (proportion(0, 10), proportion(0, 10), "standard error == 0"),
    ],
)
def test_it_says_what_is_missing_in_place_of_a_number(control, treatment, message):
    with pytest.raises(StatisticsError, match=message):
        compare("proportion", control, treatment)


def test_a_ratio_needs_a_denominator():
    nothing = Totals.of([1.0, 2.0], [0.0, 0.0])
    with pytest.raises(StatisticsError, match="denominator == 0"):
        compare("ratio", nothing, nothing)


def test_alpha_is_bounded():
    with pytest.raises(StatisticsError, match=r"alpha == 1.2, must be in \(0, 1\)"):
        critical_value(1.2)


def test_totals_add_up():
    values = [1.0, 0.0, 2.5, -1.0]
    assert Totals.of(values[:2]) + Totals.of(values[2:]) == Totals.of(values)
    assert Totals.of(values).moments().yy / 3 == pytest.approx(np.var(values, ddof=1))
    assert math.isclose(Totals.of(values).mean, 0.625)


def columns(n: int, seed: int) -> list[np.ndarray]:
    """Four columns of units: value, denominator, and both before exposure."""
    rng = np.random.default_rng(seed)
    x = rng.gamma(2, 1, n)
    return [x + rng.normal(0, 1, n) + 3, rng.poisson(5, n) + 1.0, x, rng.poisson(5, n) + 1.0]


@settings(max_examples=30)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 99))
def test_moments_merge_to_those_of_all_units(sizes, seed):
    y, d, x, w = columns(sum(sizes) + 2, seed)
    whole = Totals.of(y, d, x, w).moments()
    merged, at = Totals.of(y[:2], d[:2], x[:2], w[:2]).moments(), 2
    for size in sizes:
        part = slice(at, at + size)
        merged, at = merged.merge(Totals.of(y[part], d[part], x[part], w[part]).moments()), at + size
    assert merged.n == whole.n
    assert list(merged) == pytest.approx(list(whole), rel=1e-9, abs=1e-9)


def test_moments_keep_a_spread_that_sums_would_lose():
    """A mean of 10⁹ and a spread of 1: the sums cannot say, the merged moments can."""
    values = 1e9 + np.random.default_rng(3).normal(0, 1, 1000)
    assert Totals.of(values).moments().yy == 0
    parts = [Totals.of(values[k::4] - 1e9).moments().shifted(y=1e9) for k in range(4)]
    whole = parts[0].merge(parts[1]).merge(parts[2].merge(parts[3]))
    assert whole.yy / 999 == pytest.approx(np.var(values, ddof=1), rel=1e-6)
    with pytest.raises(StatisticsError, match="standard error == 0"):
        compare("mean", Totals.of(values), Totals.of(values))


def test_a_covariate_is_a_regression_on_it():
    """CUPED with the pooled slope against ordinary least squares on the same rows."""
    (y_c, _, x_c, _), (y_t, _, x_t, _) = columns(900, 1), columns(800, 2)
    effect = compare("mean", Totals.of(y_c, None, x_c), Totals.of(y_t + 0.2, None, x_t))
    y, x = np.concatenate([y_c, y_t + 0.2]), np.concatenate([x_c, x_t])
    treated = np.repeat([0.0, 1.0], [900, 800])
    design = np.column_stack([np.ones(1700), treated, x])
    ols = np.linalg.lstsq(design, y, rcond=None)[0]
    assert effect.estimate == pytest.approx(ols[1], rel=2e-3)
    assert effect.variance_reduction == pytest.approx(np.corrcoef(x_c, y_c)[0, 1] ** 2, abs=0.05)
    plain = compare("mean", Totals.of(y_c, None, x_c), Totals.of(y_t + 0.2, None, x_t), adjust=False)
    assert effect.se < plain.se
    assert effect.unadjusted == plain.estimate


def test_a_ratio_with_a_covariate_keeps_its_level_and_loses_spread():
    rng, wrong, errors, plain_errors = np.random.default_rng(8), 0, [], []
    for _ in range(600):
        sides = []
        for _ in range(2):
            rate = rng.beta(2, 10, 400)
            before, after = 1 + rng.poisson(6, 400), 1 + rng.poisson(6, 400)
            sides.append(
                Totals.of(
                    rng.binomial(after, rate).astype(float), after.astype(float),
                    rng.binomial(before, rate).astype(float), before.astype(float),
                )
            )  # fmt: skip
        effect = compare("ratio", *sides)
        wrong += effect.p_value < 0.05
        errors.append(effect.se)
        plain_errors.append(compare("ratio", *sides, adjust=False).se)
    assert 0.025 <= wrong / 600 <= 0.077  # three standard errors
    assert np.mean(errors) < 0.95 * np.mean(plain_errors)


def test_newcombe_stays_inside_what_is_possible():
    low, high = newcombe_interval(proportion(0, 20), proportion(1, 20), critical_value(0.05))
    assert -0.2 < low < 0 < high < 0.25
    assert stats.binomtest(1, 20).proportion_ci(method="wilson").high > high - 0.05


def test_fieller_and_the_linear_lift_stand_beside_the_log_scale():
    effect = compare("proportion", proportion(25, 100_000), proportion(45, 100_000))
    assert effect.p_value == pytest.approx(0.0168, abs=1e-4)
    assert lifts.linear_p_value(effect) == pytest.approx(0.0747, abs=1e-3)  # it contradicts
    assert effect.lift_interval(critical_value(0.05))[0] > 0  # the log scale does not
    with pytest.raises(StatisticsError, match="clear of zero"):
        lifts.fieller_interval(compare("proportion", proportion(1, 100), proportion(9, 100)), 1.96)


def test_a_negative_control_has_no_lift():
    worse = compare("mean", Totals.of([-3.0, -2.0, -4.0]), Totals.of([-1.0, -2.0, -1.5]))
    assert worse.estimate > 0
    assert worse.lift is None


def test_one_rule_of_the_interval_for_pooled_and_unequal():
    """90/10: the pooled test rejects and Wald's interval held 0; the inverted one does not."""
    effect = compare("proportion", proportion(360, 18_000), proportion(54, 2000))
    assert effect.p_value < 0.05
    assert effect.estimate - 1.96 * effect.se < 0 < effect.interval(critical_value(0.05))[0]


def test_the_score_interval_holds_exactly_what_the_test_does_not_reject():
    effect = compare("proportion", proportion(7, 40), proportion(30, 90))
    (stratum,) = effect.strata
    for end in effect.interval(1.96):
        distance = stratum.from_difference(end)
        assert abs(distance.value) / distance.variance**0.5 == pytest.approx(1.96, rel=1e-6)


@pytest.mark.parametrize(
    ("treatment", "control", "interval"),
    [
        ((56, 70), (48, 80), (0.0533, 0.3377)),
        ((9, 10), (3, 10), (0.1821, 0.8370)),
        ((10, 10), (0, 20), (0.7225, 1.0)),
    ],
)
def test_intervals_of_proportions_are_mees(treatment, control, interval):
    """Published figures: Newcombe (1998), Statistics in Medicine 17, table II, method 5."""
    effect = compare("proportion", proportion(*control), proportion(*treatment))
    assert effect.interval(1.959964) == pytest.approx(interval, abs=1e-4)


def test_the_ratio_of_proportions_is_koopmans():
    """His example: 36 of 40 against 16 of 80, 95 %: 2.94 to 7.15 (Biometrics 40, 1984)."""
    effect = compare("proportion", proportion(16, 80), proportion(36, 40))
    low, high = effect.relative(1.959964)[0]
    assert (low + 1, high + 1) == pytest.approx((2.94, 7.15), abs=0.01)


def test_a_control_that_is_not_clear_of_zero_has_no_relative_interval():
    rng = np.random.default_rng(4)
    sides = [Totals.of(rng.normal(mean, 10, 400).tolist()) for mean in (0.5, 3.0)]
    interval, why_not = compare("mean", *sides).relative(1.96)
    assert interval is None
    assert "must be at least 4 standard errors above 0" in why_not


@pytest.mark.parametrize("kind", ["mean", "ratio", "covariate"])
def test_a_small_variant_without_a_whale_is_no_more_certain_than_the_large_one(kind):
    rng = np.random.default_rng(3)
    control = rng.exponential(1, 900) * np.where(rng.random(900) < 0.01, 100.0, 1.0)
    quiet = rng.exponential(1, 100)
    sides = [
        Totals.of(
            y.tolist(),
            (rng.poisson(3, len(y)) + 1.0).tolist() if kind == "ratio" else None,
            rng.normal(0, 1, len(y)).tolist() if kind == "covariate" else None,
        )
        for y in (control, quiet)
    ]
    plain_kind = "ratio" if kind == "ratio" else "mean"
    welch, tested = (compare(plain_kind, *sides, cautious=cautious) for cautious in (False, True))
    assert tested.se > 2 * welch.se
    assert math.hypot(tested.control_se, tested.treatment_se) == pytest.approx(tested.se)
    assert tested.statistic == pytest.approx(tested.estimate / tested.se)
    if kind == "mean":
        student = stats.ttest_ind(quiet, control)
        assert tested.statistic == pytest.approx(student.statistic)
    # The other way round, the spread of the small variant is the larger one: Welch's stands.
    loud = compare(plain_kind, Totals.of((control / 10).tolist()), Totals.of((quiet * 90).tolist()),
                   cautious=True)  # fmt: skip
    assert (
        loud.se
        == compare(plain_kind, Totals.of((control / 10).tolist()), Totals.of((quiet * 90).tolist())).se
    )


def test_about_half_and_half_is_welchs_whatever_the_spreads():
    rng = np.random.default_rng(4)
    a, b = rng.exponential(9, 590), rng.exponential(1, 410)
    compared = compare("mean", Totals.of(a.tolist()), Totals.of(b.tolist()), cautious=True)
    assert compared.p_value == pytest.approx(stats.ttest_ind(b, a, equal_var=False).pvalue)
