"""Looks and decisions that an older engine wrote: they load, are judged, and keep their hashes."""

from __future__ import annotations

import orjson
import pytest
from django.db import transaction

from experiments.actions.record_decision import DecisionDraft, hash_of, record_decision
from experiments.reports.experiment_report import report_on
from experiments.reports.notebook import notebook_of
from experiments.reports.verdict import summarise_verdict
from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from tests.support import builders

SUMS = ("n", "nonzero", "sum_y", "sum_yy", "sum_d", "sum_dd", "sum_yd", "sum_x", "sum_xx", "sum_yx",
        "sum_w", "sum_ww", "sum_yw", "sum_dx", "sum_dw", "sum_xw")  # fmt: skip


def totals(n: int, nonzero: int, sum_y: float, sum_yy: float) -> dict[str, float]:
    known = {"n": n, "nonzero": nonzero, "sum_y": sum_y, "sum_yy": sum_yy, "sum_d": n, "sum_dd": n,
             "sum_yd": sum_y, "sum_w": n, "sum_ww": n, "sum_yw": sum_y, "sum_dw": n}  # fmt: skip
    return {name: known.get(name, 0.0) for name in SUMS}


# What 0.1.0 wrote: always-valid states with their smallest p, intervals of ± critical · se.
INPUTS = {
    "policy": {"rule": "always_valid", "planned_units": 400, "minimum_nonzero": 10,
               "minimum_run_seconds": 0.0, "twyman_limit": 0.0},
    "control": "control", "treatments": ["treatment"],
    "metrics": [{"key": "clicks", "kind": "mean", "role": "primary", "increase_is_good": True,
                 "margin": 0.05, "quantile": 0.5, "uncapped": [],
                 "epochs": [{"control": totals(200, 200, 300.0, 500.0),
                             "treatment": totals(200, 200, 320.0, 560.0)}]}],
    "exposures": [[{"control": 200, "treatment": 200}, {"control": 0.5, "treatment": 0.5}]],
    "doubled": 0, "elapsed_seconds": 60.0, "smallest_srm_p": 1.0, "crossed": [],
    "states": {"treatment": {"p_value": 0.4}}, "batches": [], "segments": {}, "segment_exposures": {},
    "excluded": [], "split": 0,
}  # fmt: skip
SE = ((50 / 199 + 48 / 199) / 200) ** 0.5
EFFECT = {"control": 1.5, "treatment": 1.6, "estimate": 0.1, "se": SE, "statistic": 0.1 / SE,
          "control_n": 200, "treatment_n": 200, "control_se": 0.03544407, "treatment_se": 0.03544407,
          "df": 398.0, "unadjusted": 0.1, "variance_reduction": None}  # fmt: skip
RESULT = {
    "action": "keep_running", "variant": None, "reason": "z = 1.99 within ±3.03", "information": 1.0,
    "sample_ratio": {"p_value": 1.0, "expected": {"control": 0.5, "treatment": 0.5},
                     "observed": {"control": 0.5, "treatment": 0.5}, "leaks": {}, "healthy": True},
    "comparisons": [{"metric": "clicks", "variant": "treatment", "effect": EFFECT, "why_not": "",
                     "critical": 3.0, "interval": [0.1 - 3.0 * SE, 0.1 + 3.0 * SE],
                     "lift_interval": [-0.03, 0.18], "shrunk": 0.08, "p_value": 0.4,
                     "adjusted_p_value": 0.4, "probability_better": 0.97, "expected_loss": 0.001,
                     "uncapped": None, "safe": None, "lift": 0.0667, "p_value_fixed": 0.046}],
    "segments": [], "mismatch": [], "bounds": {"treatment": {"t": 0.0, "bound": None, "spent": 0.0}},
}  # fmt: skip


@pytest.fixture
def experiment(shop):
    experiment = shop.run_experiment(rule="always_valid", planned_units=400)
    experiment.looks.create(number=1, taken_at=builders.now(), batch=1, information=1.0, inputs=INPUTS,
                            result=RESULT, action="keep_running", reason=RESULT["reason"])  # fmt: skip
    experiment.sequential_state = {"states": INPUTS["states"], "crossed": [], "batch": 1}
    experiment.save()
    return experiment


def test_pages_show_an_old_look_as_it_was(experiment):
    report = report_on(experiment)
    assert report.metrics[0].interval == pytest.approx([0.1 - 3.0 * SE, 0.1 + 3.0 * SE])
    assert "95% CI, valid at any time: −3.0% to +18%" in summarise_verdict(experiment).details
    notebook = notebook_of(experiment, experiment.looks.get())
    space: dict = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), space)
    assert len(space["rows"]) == 1


def test_an_old_look_is_judged_again(experiment):
    again = take_look(LookInput.from_json(experiment.looks.get().inputs)).as_json()
    orjson.dumps(again)
    assert again["action"] in {"keep_running", "stop_inconclusive"}
    assert again["comparisons"][0]["effect"]["estimate"] == pytest.approx(0.1)


def test_a_record_of_an_old_look_keeps_its_hash(experiment):
    draft = DecisionDraft(
        surface=experiment.surface,
        action="stop_inconclusive",
        reason="the end",
        created_by="a person",
        experiment=experiment,
        evidence={"inputs": INPUTS, "result": RESULT},
    )
    with transaction.atomic():
        decision = record_decision(draft)
    stored = type(decision).objects.get(pk=decision.pk)
    assert hash_of(stored) == decision.sha256
    assert stored.evidence["result"] == RESULT
