"""A look that is stored can be recomputed: everything that went in survives JSON, whatever its kind."""

from __future__ import annotations

import json

import numpy as np
import pytest

from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from experiments.stats.policy import Policy
from experiments.stats.quantiles import Sketch
from experiments.stats.totals import Totals
from tests.support.looks import metric_input

RNG = np.random.default_rng(1)


def sides(kind: str):
    if kind == "quantile":
        return {key: Sketch.of(RNG.lognormal(mean, 1, 400)) for key, mean in (("a", 0.0), ("b", 0.3))}
    if kind == "proportion":
        return {"a": Totals.of_proportion(80, 400), "b": Totals.of_proportion(120, 400)}
    y, d, x = RNG.gamma(1, 2, 800), RNG.poisson(3, 800) + 1.0, RNG.gamma(1, 2, 800)
    below = d if kind == "ratio" else None
    return {
        key: Totals.of(y[part], None if below is None else below[part], x[part])
        for key, part in (("a", slice(0, 400)), ("b", slice(400, 800)))
    }


@pytest.mark.parametrize("rule", ["group_sequential", "always_valid", "exact", "fixed"])
def test_a_stored_look_is_recomputed_to_the_last_bit(rule):
    policy = Policy(rule=rule, planned_units=800, minimum_run_seconds=0, minimum_nonzero=25)
    kinds = ["proportion", "mean", "ratio", "quantile", "retention"]
    roles = ["primary", "secondary", "secondary", "guardrail", "guardrail"]
    totals = {kind: sides("proportion" if kind == "retention" else kind) for kind in kinds}
    look_input = LookInput(
        policy=policy,
        control="a",
        treatments=["b"],
        metrics=[
            metric_input(totals[kind], key=kind, kind=kind, role=role, margin=0.05)
            for kind, role in zip(kinds, roles, strict=True)
        ],
        exposures=[({"a": 400, "b": 400}, {"a": 0.5, "b": 0.5})],
        crossover_units=0,
        elapsed_seconds=60.0,
        batches=[totals["proportion"]],
        segments={"country=DE": [totals["proportion"]]},
        segment_exposures={"country=DE": {"a": 200, "b": 200}},
    )
    result = take_look(look_input)
    stored = json.loads(json.dumps(look_input.as_json(), allow_nan=False))
    again = take_look(LookInput.from_json(stored))
    assert again == result
    result_json = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert result_json == json.loads(json.dumps(again.as_json(), allow_nan=False))
    assert result_json["segments"][0]["segment"] == "country=DE"
    following = take_look(
        LookInput.from_json(stored | {"states": {k: s.as_json() for k, s in result.states.items()}})
    )
    assert following.information == result.information
