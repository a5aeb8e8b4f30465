"""A version that was rejected is refused by the API with what rejected it: its gate, or a test it lost."""

from __future__ import annotations

from experiments.actions.look_at_experiment import look_at_experiment
from tests.support import builders


def again(lane, shop, model, **fields):
    body = {
        "key": "again", "surface": "home-feed", **fields,
        "variants": [
            {"key": "control", "model": "popularity@1", "weight": 0.5, "is_control": True},
            {"key": "treatment", "model": model, "weight": 0.5},
        ],
        "metrics": [{"metric": "clicks", "role": "primary"}],
    }  # fmt: skip
    return lane.post("/v1/experiments", body, shop.secret)


def test_a_version_that_lost_its_test_is_told_from_one_that_its_gate_refused(lane, shop):
    lost = shop.run_experiment(**builders.QUICK_POLICY)
    builders.visits(lost, {"control": 2, "treatment": 1})
    look_at_experiment(experiment_id=lost.pk)
    version = lost.variants.get(key="treatment").model_version
    assert (version.alias, version.passed_gate) == ("rejected", True)
    answer = again(lane, shop, version.label)
    error = answer.json()["error"]
    assert (answer.status_code, error["field"]) == (422, "against_gate")
    assert (
        f"{version.label} passed its gate and lost experiment '{lost.key}' (worse: z = "
        in error["message"]
    )
    assert "refused by its gate" not in error["message"]
    assert again(lane, shop, version.label, against_gate=True).status_code == 201


def test_one_that_its_gate_refused_is_said_to_be(lane, shop):
    refused = builders.make_version(shop.surface, [1] * 10, alias="rejected")
    refused.gate = {"passed": False, "reasons": ["worse"], "rows": {}}
    refused.save()
    answer = again(lane, shop, refused.label)
    assert answer.status_code == 422
    assert f"{refused.label} was refused by its gate" in answer.json()["error"]["message"]
