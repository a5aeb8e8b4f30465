from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments.stats.effects import compare
from experiments.stats.guardrails import judge_noninferiority
from experiments.stats.multiplicity import benjamini_hochberg, bonferroni, holm
from experiments.stats.segments import compare_segments
from experiments.stats.srm import check_sample_ratio, chi_square, explain_mismatch
from experiments.stats.totals import StatisticsError, Totals
from tests.support.looks import metric_input

shares = st.lists(st.floats(1e-9, 1), min_size=1, max_size=20)


@given(shares)
def test_benjamini_hochberg_is_scipys(p_values):
    assert benjamini_hochberg(p_values) == pytest.approx(list(stats.false_discovery_control(p_values)))


@given(shares)
def test_holm_lies_between_the_bare_p_and_bonferroni(p_values):
    for bare, step, all_at_once in zip(p_values, holm(p_values), bonferroni(p_values), strict=True):
        assert bare <= step <= all_at_once


def test_known_figures_and_gaps():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.01, None, 0.04]) == [0.02, None, 0.04]
    assert benjamini_hochberg([None]) == [None]
    with pytest.raises(StatisticsError, match=r"p-value == 1.5, must be in \[0, 1\]"):
        holm([1.5])


def test_noninferiority_needs_the_whole_interval():
    sides = Totals.of_proportion(2000, 10_000), Totals.of_proportion(1990, 10_000)
    effect = compare("proportion", *sides)
    wide = judge_noninferiority(effect, relative_margin=0.1, direction="increase", critical=1.96)
    assert wide.holds
    assert wide.margin == pytest.approx(0.02)
    narrow = judge_noninferiority(effect, relative_margin=0.01, direction="increase", critical=1.96)
    assert not narrow.holds
    with pytest.raises(StatisticsError, match=r"margin == -0\.1"):
        judge_noninferiority(effect, relative_margin=-0.1, direction="increase", critical=1.96)


def test_a_paused_variant_leaves_the_sample_ratio_test():
    """Its degree of freedom goes too: a peer keeps it and gets a p-value that is too large."""
    _, p_value = chi_square([5200, 4800, 3], [0.5, 0.5, 0.0])
    assert p_value == pytest.approx(stats.chisquare([5200, 4800]).pvalue)
    check = check_sample_ratio(
        [({"a": 5200, "b": 4800, "c": 3}, {"a": 0.5, "b": 0.5, "c": 0.0})], alpha=0.001, one_look=True
    )
    assert check.p_value == pytest.approx(p_value)
    assert check.leaks == {"c": 3}
    assert not check.healthy
    with pytest.raises(StatisticsError, match="must be 2 and 1"):
        chi_square([5], [1.0])
    with pytest.raises(StatisticsError, match="must not be negative"):
        check_sample_ratio([({"a": 1}, {"a": 0.0})], alpha=0.01)


def test_the_segment_that_breaks_the_ratio_is_named():
    rng, weights = np.random.default_rng(1), {"control": 0.5, "treatment": 0.5}
    segments = {}
    for attribute, values in {
        "browser": ["safari", "chrome", "firefox"],
        "country": ["DE", "FR"],
    }.items():
        for value in values:
            control = int(rng.binomial(4000, 0.5))
            segments[f"{attribute}={value}"] = {"control": control, "treatment": 4000 - control}
    assert explain_mismatch(segments, weights) == []
    segments["browser=safari"] = {"control": 2000, "treatment": 1500}
    (worst,) = explain_mismatch(segments, weights)
    assert worst.segment == "browser=safari"
    assert worst.rest_p_value > 0.01


def test_segments_are_adjusted_for_their_number():
    rng = np.random.default_rng(2)
    segments = {
        f"s={n}": [{k: Totals.of(rng.normal(0, 1, 300)) for k in ("control", "treatment")}]
        for n in range(20)
    }
    segments["s=real"] = [
        {"control": Totals.of(rng.normal(0, 1, 300)), "treatment": Totals.of(rng.normal(1, 1, 300))}
    ]
    segments["s=empty"] = [{}]
    metric = metric_input(kind="mean")
    rows = compare_segments(metric, segments, control="control", treatments=["treatment"])
    by_segment = {row.segment: row for row in rows}
    assert by_segment["s=real"].adjusted_p_value < 1e-10
    assert by_segment["s=real"].interval[0] > 0
    assert by_segment["s=empty"].estimate is None
    assert (
        sum(
            row.adjusted_p_value < 0.05
            for row in rows
            if row.estimate is not None and row.segment != "s=real"
        )
        == 0
    )
