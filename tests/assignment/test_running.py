"""What a running experiment decides, and what is explained of it, follow from the same inputs."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from experiments.assignment import (
    UNKNOWN_UNIT,
    ExperimentRule,
    Memory,
    PastExposure,
    RunningExperiment,
    RunningVariant,
    Targeting,
    UnitRecord,
    VariantRule,
    decide,
    explain_decision,
)

RULE = ExperimentRule("e", "salt", 0.8, (VariantRule("control", 0.5), VariantRule("treatment", 0.5)))
VARIANTS = {key: RunningVariant(n, key, 0.5, None) for n, key in enumerate(("control", "treatment"))}
PLAIN = RunningExperiment(7, "e", "home", 3, RULE, VARIANTS)
STICKY = replace(PLAIN, memory=Memory(sticky=True, since=2, blocked_before=1))
PLUS = Targeting({"unit.plan": "plus"})
FOR_PLUS = replace(PLAIN, rule=replace(RULE, checks=(PLUS,)), reads_unit=True)

units = st.text(min_size=1, max_size=12)
exposures = st.none() | st.builds(
    PastExposure,
    st.sampled_from(["control", "treatment", "gone"]),
    st.integers(0, 3),
    st.integers(0, 3),
)


@given(units, exposures, st.sampled_from([PLAIN, STICKY, FOR_PLUS]), st.sampled_from(["plus", "free"]))
def test_what_is_explained_is_what_is_decided(unit, exposure, experiment, plan):
    record = UnitRecord({"plan": plan}, {} if exposure is None else {7: exposure})
    decision = decide(experiment, unit, {}, others={}, record=record)
    steps = explain_decision(experiment, unit, {}, others={}, record=record)
    remembered = [step for step in steps if step.name == "kept" and step.passed]
    blocked = any(step.name == "blocked" for step in steps)
    passes = all(step.passed for step in steps if step.name not in {"kept", "blocked"})
    if blocked:
        assert decision.variant is None
    elif remembered:
        assert f" {decision.variant} " in f" {remembered[0].said} "
    elif passes:
        assert decision.variant == steps[-1].said
    else:
        assert decision.variant is None


def test_a_sticky_experiment_gives_the_variant_that_a_unit_met():
    records = {variant: UnitRecord({}, {7: PastExposure(variant, 2, 2)}) for variant in VARIANTS}
    for variant, record in records.items():
        assert decide(STICKY, "u", {}, others={}, record=record).variant == variant


def test_stored_attributes_are_read_only_by_rules_that_name_them():
    plus = UnitRecord({"plan": "plus"}, {})
    inside = {u for u in map(str, range(50)) if decide(PLAIN, u, {}, others={}, record=plus).variant}
    assert {u for u in inside if decide(FOR_PLUS, u, {}, others={}, record=plus).variant} == inside
    assert not any(decide(FOR_PLUS, u, {}, others={}, record=UNKNOWN_UNIT).variant for u in inside)
