"""The stored form of a look: it is read back as what was written."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.kinds import RULES
from experiments.stats.comparison import Comparison
from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from experiments.stats.look_result import LookResult
from experiments.stats.policy import Policy
from experiments.stats.quantiles import Sketch
from experiments.stats.totals import Totals
from tests.support.looks import look_input, metric_input
from tests.support.random_looks import Draws, random_input

OLD_HOME = Path(__file__).parents[1] / "upgrade" / "home_0_1_0"


def stored(value):
    """Return plain values as the database has them; draws are NumPy's numbers."""
    return json.loads(json.dumps(value, default=float))


def without_infinity(row: Comparison) -> Comparison:
    if row.ends is not None and math.isinf(max(row.ends)):
        return replace(row, critical=None, ends=None)
    return row


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_result_is_read_back_as_it_was(seed):
    result = take_look(random_input(Draws(seed), exact=0.1))
    again = LookResult.from_json(stored(result.as_json()))
    assert again == replace(result, comparisons=[without_infinity(row) for row in result.comparisons])
    assert stored(again.as_json()) == stored(result.as_json())


counts = st.integers(0, 300)


@st.composite
def inputs(draw) -> LookInput:
    """Inputs of every rule, with segments, sketches, caps, and what 0.1.0 did not know."""
    n, conversions = draw(st.integers(2, 300)), {key: draw(counts) for key in ("control", "b")}
    totals = {key: Totals.of_proportion(min(x, n), n) for key, x in conversions.items()}
    sketch = {key: Sketch.of([float(x), 1.0, 0.0] * 20) for key, x in conversions.items()}
    exposed = {key: draw(counts) for key in totals}
    weights = {"control": 0.5, "b": 0.5}
    return LookInput(
        policy=Policy(rule=draw(st.sampled_from(RULES)), planned_units=draw(st.integers(2, 700))),
        control="control",
        treatments=["b"],
        metrics=[
            metric_input(totals, key="paid"),
            metric_input(
                sketch,
                key="latency",
                kind="quantile",
                role="guardrail",
                direction="decrease",
                margin=0.05,
                quantile=0.9,
            ),
            metric_input(totals, key="spent", kind="mean", role="secondary", uncapped=[totals]),
        ],
        exposures=[(exposed, weights)],
        crossover_units=draw(counts),
        elapsed_seconds=draw(st.floats(0, 1e6)),
        min_srm_p=draw(st.floats(0, 1)),
        batches=[totals],
        segments={"country=DE": [totals], "country=FR": [{}]},
        segment_exposures={"country=DE": exposed},
        excluded=[({key: draw(counts) for key in totals}, weights)],
        cross_id_conflicts=draw(counts),
        claimed=[{"control": 0, "b": min(1, exposed["b"])}],
    )


@settings(max_examples=20)
@given(first=inputs())
def test_inputs_are_read_back_and_judged_the_same(first):
    result = take_look(first)
    # The next look is handed what this one found.
    second = replace(first, states=result.states, crossed=result.crossed)
    again = LookInput.from_json(stored(second.as_json()))
    assert stored(again.as_json()) == stored(second.as_json())
    assert take_look(again) == take_look(second)


def test_segments_keep_their_levels():
    totals = {"control": Totals.of_proportion(30, 100), "b": Totals.of_proportion(45, 100)}
    look = look_input(
        metric_input(totals), policy=Policy(), treatments=["b"], segments={"country=DE": [totals]}
    )
    (row,) = LookResult.from_json(stored(take_look(look).as_json())).segments
    assert (row.control, row.treatment, row.units) == (0.3, 0.45, 200)
    assert row.lift == pytest.approx(0.5)


def test_a_segment_of_an_older_look_has_no_levels():
    old = {"segment": "country=DE", "variant": "b", "units": 200, "estimate": 0.15, "lift": 0.5,
           "interval": [0.02, 0.28], "adjusted_p_value": 0.03, "why_not": ""}  # fmt: skip
    data = stored(take_look(random_input(Draws(1), exact=0.0)).as_json()) | {"segments": [old]}
    (row,) = LookResult.from_json(data).segments
    assert (row.control, row.estimate, row.interval) == (None, 0.15, (0.02, 0.28))


def test_a_look_of_0_1_0_is_read():
    data = json.loads((OLD_HOME / "expected.json").read_text())["look"]["result"]
    result = LookResult.from_json(data)
    (row,) = result.comparisons
    assert (result.action, result.schema, row.ends, row.level) == (data["action"], 1, None, None)
    assert row.lift == data["comparisons"][0]["lift"]
    assert row.interval == tuple(data["comparisons"][0]["interval"])
