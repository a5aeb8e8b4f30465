"""Models of a server of the Open Inference Protocol v2, a process of its own: ranked by, labelled by, refused."""

from __future__ import annotations

import json
import logging
import re
import time

import pytest

from bakeoff.gateway.slates.breaker import FAILURES_IN_A_ROW
from experiments.models import Slate
from inference.models import ModelVersion, TrainingRun
from inference.serving.endpoint import RemoteAnswer, WrongAnswerError, read_answer
from tests.support.endpoint_version import crown_endpoint
from tests.support.learning import train
from tests.support.v2_server import SLOW_SECONDS, v2_server


@pytest.fixture(scope="module")
def models():
    """Where the server's models are."""
    with v2_server() as address:
        yield address


def ask(lane, shop):
    body = {"surface": "home-feed", "unit_id": "u1", "k": 3}
    answer = lane.post("/v1/recommend", body, shop.public)
    assert answer.status_code == 200
    return answer.json()


@pytest.mark.parametrize("path", ["rank/infer", "rank/versions/1/infer", "nested/infer"])
def test_a_model_ranks(shop, lane, models, path):
    crown_endpoint(shop, lane, f"{models}/{path}", protocol="v2", cost_per_answer=0.5)
    answer = ask(lane, shop)
    assert [item["item_id"] for item in answer["items"]] == ["i9", "i8", "i7"]
    assert answer["fallback"] is None
    stored = Slate.objects.get(project=shop.project)
    assert stored.cost == (0.25 if path.startswith("nested") else 0.5)


REFUSALS = [
    ("wrong-shape", "shape of 'scores' == [1, 11], must be that of its 10 numbers."),
    ("wrong-datatype", "datatype of 'scores' == 'BYTES', must be one of ['FP16', "),
    ("fewer", "scores == 1, must be 10: one each."),
    ("broken", "status == 500, must be 200. The server answered: CUDA out of memory Tried to"),
    ("label", "status == 400, must be 200. The server answered: unexpected inputs ['candidates',"),
]


@pytest.mark.parametrize(("model", "message"), REFUSALS)
def test_a_wrong_answer_is_a_fallback_and_its_reason_is_logged(
    shop, lane, models, model, message, caplog
):
    crown_endpoint(shop, lane, f"{models}/{model}/infer", protocol="v2")
    with caplog.at_level(logging.WARNING):
        answer = ask(lane, shop)
    assert answer["fallback"] == "model_error"
    assert [item["item_id"] for item in answer["items"]] == ["i0", "i1", "i2"]
    assert message in caplog.text


@pytest.mark.parametrize(("model", "reason"), [("slow", "timeout"), ("broken", "model_error")])
def test_a_server_that_is_slow_or_fails_is_left_alone(shop, lane, models, model, reason):
    crown_endpoint(shop, lane, f"{models}/{model}/infer", protocol="v2", deadline_ms=300)
    start = time.monotonic()
    reasons = [ask(lane, shop)["fallback"] for _ in range(FAILURES_IN_A_ROW + 2)]
    assert reasons == [reason] * FAILURES_IN_A_ROW + ["breaker_open"] * 2
    assert time.monotonic() - start < SLOW_SECONDS


def test_a_model_goes_through_the_gate_of_a_ranking(learner, models):
    train(learner, "popularity")
    run = train(learner, "endpoint", url=f"{models}/rank/infer", protocol="v2", deadline_ms=10_000)
    assert run.state == TrainingRun.State.PASSED, run.message
    assert run.version.label == "endpoint@1"
    run = train(learner, "endpoint", url=f"{models}/wrong-datatype/infer", protocol="v2")
    assert run.state == TrainingRun.State.FAILED
    assert "datatype of 'scores' == 'BYTES'" in run.message


def test_a_model_labels_and_goes_through_that_gate(desk, lane, models):
    url = f"{models}/label/infer"
    run = train(desk.surface, "endpoint", url=url, protocol="v2", deadline_ms=10_000)
    assert run.state == TrainingRun.State.PASSED, run.message
    ModelVersion.objects.filter(pk=run.version_id).update(alias="champion")
    lane.refresh()
    body = {"surface": "intents", "unit_id": "u1", "text": "night toy story", "features": {"orders": 3}}
    answer = lane.post("/v1/classify", body, desk.public).json()
    assert (answer["labels"][0]["label"], answer["fallback"]) == ("delivery", None)


def test_an_address_that_is_not_public_must_be_allowed(learner, models, monkeypatch):
    train(learner, "popularity")
    monkeypatch.setenv("BAKEOFF_OUTGOING_ALLOW", "10.0.0.0/8")
    run = train(learner, "endpoint", url=f"{models}/rank/infer", protocol="v2")
    assert run.state == TrainingRun.State.FAILED
    assert "127.0.0.1" in run.message


def tensor(**changed: object) -> dict[str, object]:
    return {"name": "scores", "datatype": "FP32", "shape": [2], "data": [1.0, 2.0]} | changed


@pytest.mark.parametrize(
    "changed",
    [{}, {"shape": [1, 2]}, {"shape": [2, 1], "data": [[1.0], [2.0]]}, {"datatype": "INT64"},
     {"shape": None}, {"datatype": None}],
)  # fmt: skip
def test_tensors_that_are_read(changed):
    content = json.dumps({"outputs": [{"name": "mask", "datatype": "BOOL"}, tensor(**changed)]})
    assert read_answer(200, content.encode(), "v2") == RemoteAnswer([1, 2])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"shape": [3]}, "shape of 'scores' == [3], must be that of its 2 numbers."),
        ({"shape": [-1, -2]}, "shape of 'scores' == [-1, -2], must be that of its"),
        ({"shape": "2"}, "shape of 'scores' == '2', must be that of its"),
        ({"datatype": "BOOL", "data": [True, False]}, "datatype of 'scores' == 'BOOL', must be one of"),
        ({"datatype": 7}, "datatype of 'scores' == 7, must be one of"),
        ({"datatype": ["FP32"]}, "datatype of 'scores' == ['FP32'], must be one of"),
        ({"data": "12"}, "answer has no list of scores."),
        ({"name": "predict"}, "answer has no list of scores."),
        ({"name": ["scores"]}, "answer has no list of scores."),
    ],
)
def test_tensors_that_are_refused(changed, message):
    with pytest.raises(WrongAnswerError, match=re.escape(message)):
        read_answer(200, json.dumps({"outputs": [tensor(**changed)]}).encode(), "v2")


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"error": {"why": 1}}'])
def test_an_error_without_words_is_its_status(content):
    with pytest.raises(WrongAnswerError, match=r"^status == 503, must be 200\.$"):
        read_answer(503, content, "v2")
