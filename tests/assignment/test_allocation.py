from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from experiments.assignment import ExperimentRule, VariantRule, assign, buckets_of
from experiments.assignment.allocation import AllocationError
from experiments.assignment.bulk import assign_many


def rule(weights=(0.5, 0.5), allocation=1.0, salt="salt") -> ExperimentRule:
    variants = tuple(VariantRule(f"v{i}", weight) for i, weight in enumerate(weights))
    return ExperimentRule("key", salt, allocation, variants)


def test_buckets_are_the_documented_words_of_one_sha256():
    digest = sha256(b"salt\0u42").digest()
    expected = tuple((int.from_bytes(digest[i : i + 8], "big") >> 11) / 2**53 for i in (0, 8))
    assert buckets_of("salt", "u42") == expected


@given(st.text(max_size=50), st.text(max_size=50))
def test_buckets_lie_in_the_unit_interval(salt, unit):
    assert all(0 <= bucket < 1 for bucket in buckets_of(salt, unit))


@given(st.lists(st.text(max_size=30), min_size=1, max_size=40), st.floats(0, 1))
def test_bulk_twin_agrees_with_the_single_call(units, allocation):
    allocation_rule = rule((0.2, 0.5, 0.3), allocation)
    names = [variant.key for variant in allocation_rule.variants]
    bulk = [None if i < 0 else names[i] for i in assign_many(allocation_rule, units)]
    assert bulk == [assign(allocation_rule, unit).variant for unit in units]


def test_shares_are_as_asked_for():
    counts = np.bincount(assign_many(rule((0.2, 0.5, 0.3)), (f"u{i}" for i in range(100_000))))
    assert chisquare(counts, [20_000, 50_000, 30_000]).pvalue > 1e-4


def test_two_experiments_split_independently():
    units = [f"u{i}" for i in range(50_000)]
    first, second = assign_many(rule(salt="a"), units), assign_many(rule(salt="b"), units)
    table = np.histogram2d(first, second, bins=2)[0]
    assert chi2_contingency(table).pvalue > 1e-4


def test_gate_and_variant_are_independent():
    inside = assign_many(rule(allocation=0.3), [f"u{i}" for i in range(100_000)])
    counts = np.bincount(inside[inside >= 0])
    assert chisquare(counts).pvalue > 1e-4


@given(st.text(max_size=30), st.floats(0, 1), st.floats(0, 1))
def test_raising_the_allocation_never_moves_a_unit(unit, one, other):
    low, high = sorted((one, other))
    before, after = assign(rule(allocation=low), unit), assign(rule(allocation=high), unit)
    assert before.variant is None or before.variant == after.variant


@given(st.text(max_size=30))
def test_a_variant_of_weight_zero_gets_nobody(unit):
    assert assign(rule((0.5, 0.0, 0.5, 0.0)), unit).variant in {"v0", "v2"}


def test_nobody_takes_part_without_allocation():
    assert assign(rule(allocation=0.0), "u").variant is None
    assert assign(rule(allocation=0.0), "u").reason == "DEFAULT"
    assert assign(rule(), "u").reason == "SPLIT"


@pytest.mark.parametrize(
    ("weights", "allocation", "message"),
    [
        ((0.5, 0.4), 1.0, "sum of weights == 0.9, must be 1"),
        ((1.5, -0.5), 1.0, "weight == 1.5, must be in"),
        ((0.5, 0.5), 1.1, "allocation == 1.1, must be in"),
    ],
)
def test_it_refuses_impossible_rules(weights, allocation, message):
    with pytest.raises(AllocationError, match=message):
        rule(weights, allocation)
