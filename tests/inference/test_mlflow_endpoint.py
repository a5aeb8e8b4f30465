"""Models behind MLflow's scoring server, `mlflow models serve`: ranked by, labelled by, refused."""

from __future__ import annotations

import logging
import re

import pytest

from inference.models import ModelVersion, TrainingRun
from inference.serving.endpoint import RemoteAnswer, WrongAnswerError, read_answer
from tests.support.endpoint_version import crown_endpoint
from tests.support.learning import train

# What the words of the examples are about, in the order of the labels.
LABELS = ({"love", "war", "king"}, {"heat", "rain", "sun"}, {"night", "toy", "story"})


def ask(lane, shop, **fields):
    body = {"surface": "home-feed", "unit_id": "u1", "k": 3, **fields}
    return lane.post("/v1/recommend", body, shop.public).json()


def test_a_model_ranks_a_record_per_candidate(shop, lane, endpoint):
    endpoint.behave = lambda request: {
        "predictions": [float(row["item_id"][1:]) for row in request["dataframe_records"]]
    }
    crown_endpoint(shop, lane, endpoint.url, protocol="mlflow")
    answer = ask(lane, shop, exclude=["i9"], context={"country": "DE", "unit_id": "somebody"})
    assert [item["item_id"] for item in answer["items"]] == ["i8", "i7", "i6"]
    assert answer["fallback"] is None
    (request,) = endpoint.requests
    assert len(request["dataframe_records"]) == 9
    assert request["dataframe_records"][0] == {
        "country": "DE", "unit_id": "u1", "recent": [], "item_id": "i0",
    }  # fmt: skip


def test_a_model_labels_and_goes_through_the_gate(desk, lane, endpoint):
    def behave(request):
        (row,) = request["dataframe_records"]
        return {"predictions": [[sum(word in one for word in row["text"].split()) for one in LABELS]]}

    endpoint.behave = behave
    run = train(
        desk.surface,
        "endpoint",
        url=f"{endpoint.url}/invocations",
        protocol="mlflow",
        deadline_ms=10_000,
    )
    assert run.state == TrainingRun.State.PASSED, run.message
    ModelVersion.objects.filter(pk=run.version_id).update(alias="champion")
    lane.refresh()
    body = {"surface": "intents", "unit_id": "u1", "text": "night toy story", "features": {"orders": 3}}
    answer = lane.post("/v1/classify", body, desk.public).json()
    assert (answer["labels"][0]["label"], answer["fallback"]) == ("delivery", None)
    assert endpoint.requests[-1]["dataframe_records"] == [{"orders": 3, "text": "night toy story"}]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"predictions": [1.0, 2.0]}, "scores == 2, must be 10: one each."),
        ({"predictions": ["cat"] * 10}, "a score == 'cat', must be a finite number."),
        ({"outputs": [1.0] * 10}, "answer has no list of scores."),
        ({"predictions": 3}, "answer has no list of scores."),
    ],
)
def test_a_wrong_answer_is_a_fallback_and_its_reason_is_logged(
    shop, lane, endpoint, answer, message, caplog
):
    endpoint.behave = lambda _request: answer
    crown_endpoint(shop, lane, endpoint.url, protocol="mlflow")
    with caplog.at_level(logging.WARNING):
        assert ask(lane, shop)["fallback"] == "model_error"
    assert message in caplog.text


@pytest.mark.parametrize(
    "content",
    [b'{"predictions": [0.2, 0.8]}', b'{"predictions": [[0.2, 0.8]]}',
     b'{"predictions": [[0.2], [0.8]]}', b'{"predictions": [{"no": 0.2, "yes": 0.8}]}'],
)  # fmt: skip
def test_each_shape_of_predictions_is_read(content):
    assert read_answer(200, content, "mlflow") == RemoteAnswer([0.2, 0.8])


def test_the_servers_own_words_are_told():
    content = b'{"error_code": "BAD_REQUEST", "message": "Failed to predict\\nTraceback"}'
    words = "status == 400, must be 200. The server answered: Failed to predict Traceback"
    with pytest.raises(WrongAnswerError, match=re.escape(words)):
        read_answer(400, content, "mlflow")
