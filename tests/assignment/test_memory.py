"""What an experiment remembers of units, and that `explain` never contradicts `assign`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.assignment import (
    ExperimentRule,
    HashRange,
    Memory,
    PastExposure,
    Targeting,
    VariantRule,
    assign,
    explain,
    recall,
)

VARIANTS = {"a", "b"}


@pytest.mark.parametrize(
    ("memory", "past", "blocked", "variant"),
    [
        (Memory(), PastExposure("a", 1, 1), False, None),
        (Memory(sticky=True), None, False, None),
        (Memory(sticky=True), PastExposure("a", 1, 1), False, "a"),
        (Memory(sticky=True), PastExposure("gone", 1, 1), False, None),
        (Memory(sticky=True, since=2), PastExposure("a", 1, 1), False, None),
        # Dealt the same variant again after it was forgotten: kept from then on.
        (Memory(sticky=True, since=2), PastExposure("a", 1, 2), False, "a"),
        # Whoever met it early is blocked, also when something was met since.
        (Memory(sticky=True, since=2, blocked_before=2), PastExposure("a", 1, 2), True, None),
        (Memory(sticky=True, blocked_before=2), PastExposure("a", 2, 2), False, "a"),
    ],
)
def test_recall(memory, past, blocked, variant):
    recalled = recall(memory, past, VARIANTS)
    assert (recalled.blocked, recalled.variant) == (blocked, variant)
    assert bool(recalled.why) == (past is not None)


def outcome_of(steps):
    """The variant that a reader concludes from the steps, from top to bottom."""
    by_name = {step.name: step for step in steps}
    if not by_name["enabled"].passed:
        return None
    if "forced" in by_name:
        return by_name["forced"].said
    if "blocked" in by_name:
        return None
    if "kept" in by_name and by_name["kept"].passed:
        return by_name["kept"].said.split()[1]
    if not all(step.passed for step in steps if step.name not in {"enabled", "kept"}):
        return None
    return by_name["bucket"].said


rules = st.builds(
    ExperimentRule,
    key=st.just("trial"),
    salt=st.sampled_from(["s1", "s2"]),
    allocation=st.sampled_from([0.0, 0.3, 1.0]),
    variants=st.just((VariantRule("a", 0.5), VariantRule("b", 0.5))),
    hashing=st.sampled_from(["sha256", "growthbook_v2"]),
    checks=st.sampled_from(
        [
            (),
            (HashRange("layer", "l", 0.0, 0.5),),
            (Targeting({"country": "DE"}, {}), HashRange("l", "x", 0.2, 1.0)),
        ]
    ),
    forced=st.sampled_from([{}, {"u1": "b"}]),
    enabled=st.booleans(),
)
pasts = st.none() | st.builds(
    lambda variant, first, more: PastExposure(variant, first, first + more),
    st.sampled_from(["a", "b", "gone"]),
    st.integers(1, 3),
    st.integers(0, 2),
)
memories = st.builds(Memory, st.booleans(), st.integers(0, 4), st.integers(0, 4))


@given(
    rule=rules,
    memory=memories,
    past=pasts,
    unit=st.sampled_from([f"u{n}" for n in range(20)]),
    attributes=st.sampled_from([{}, {"country": "DE"}, {"country": "FR"}]),
)
def test_explain_agrees_with_assign(rule, memory, past, unit, attributes):
    recalled = recall(memory, past, VARIANTS)
    assigned = assign(rule, unit, attributes, recalled=recalled)
    assert outcome_of(explain(rule, unit, attributes, recalled=recalled)) == assigned.variant
