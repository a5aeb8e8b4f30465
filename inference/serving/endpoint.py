"""What a custom endpoint is sent and answers: plain JSON, the Open Inference Protocol v2, or MLflow's.

JSON: the question as it is; the answer is `{"scores": [...]}`, one number per candidate or label. v2:
each field of the question is a tensor of bytes; the answer has numbers in an output named `scores`, and
shape and datatype must fit them. MLflow's scoring server gets a record per candidate, or one with the
text and its features, and answers `{"predictions": [...]}`. An answer may say what it cost: `cost`
beside `scores`, in v2 an output of that name with one number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from inference.outgoing import MAX_ANSWER_BYTES
from inference.outgoing_wait import post_and_wait
from inference.serving.models import MAX_COST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference.serving.models import RemoteModel

HEADERS = {"content-type": "application/json"}
MLFLOW = "mlflow"
PROTOCOLS = ("json", "v2", MLFLOW)
ERRORS = {"v2": "error", MLFLOW: "message"}  # where a server says what went wrong
# What JSON can carry of the protocol's datatypes, without BOOL and BYTES, which are no numbers.
NUMBERS = (
    "FP16", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64",
)  # fmt: skip
MAX_ERROR = 200  # characters of a server's own words that are shown


class WrongAnswerError(ValueError):
    """An answer that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class RemoteAnswer:
    """What a remote model answers.

    Attributes:
        scores: one per candidate or label.
        cost: in money, of this answer; None where it does not say.
    """

    scores: Sequence[float]
    cost: float | None = None


def encode_question(question: Mapping[str, Any], protocol: str) -> bytes:
    """Return the body of a request."""
    if protocol == "json":
        return orjson.dumps(question)
    if protocol == MLFLOW:
        return orjson.dumps({"dataframe_records": _records(question)})
    inputs = []
    for name, value in question.items():
        data = [orjson.dumps(value).decode()] if isinstance(value, dict) else value
        data = [data] if isinstance(data, str) else list(data)
        inputs.append({"name": name, "shape": [1, len(data)], "datatype": "BYTES", "data": data})
    return orjson.dumps({"inputs": inputs})


def _records(question: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a question: one for a text, or one per candidate."""
    if "candidates" not in question:
        return [{**question.get("features", {}), "text": question["text"]}]
    # A context cannot take the place of the question's own fields.
    named = {"unit_id": question["unit_id"], "recent": list(question["recent"])}
    context = question.get("context") or {}
    return [{**context, **named, "item_id": item} for item in question["candidates"]]


def read_answer(status: int, content: bytes, protocol: str) -> RemoteAnswer:
    """Return the scores of an answer, unchecked, and its cost.

    Raises:
        ValueError: it has no scores, or a cost that cannot be one.
    """
    if status != 200:
        words = _error_of(content, ERRORS[protocol]) if protocol in ERRORS else ""
        raise WrongAnswerError(f"status == {status}, must be 200.{words}")
    if len(content) > MAX_ANSWER_BYTES:
        raise WrongAnswerError(f"answer == {len(content)} bytes, must be at most {MAX_ANSWER_BYTES}.")
    answer = orjson.loads(content)
    fields = answer if isinstance(answer, dict) else {}
    if protocol == "v2":
        fields = _named_outputs(fields.get("outputs"))
    if protocol == MLFLOW:
        fields = {**fields, "scores": _flat_predictions(fields.get("predictions"))}
    scores = fields.get("scores")
    if not isinstance(scores, list):
        raise WrongAnswerError("answer has no list of scores.")
    return RemoteAnswer(scores, _cost(fields.get("cost")))


def _flat_predictions(predictions: Any) -> Any:
    """Return predictions row by row: a row is a number, a list, or a frame's record of columns."""
    if not isinstance(predictions, list):
        return predictions
    rows = [list(row.values()) if isinstance(row, dict) else row for row in predictions]
    return [value for row in rows for value in (row if isinstance(row, list) else [row])]


def _error_of(content: bytes, field: str) -> str:
    """Return what a server says of its error, after a blank; empty if it does not."""
    try:
        answer = orjson.loads(content)
    except ValueError:
        return ""
    words = answer.get(field) if isinstance(answer, dict) else None
    if not isinstance(words, str):
        return ""
    # One line of plain characters: it goes to logs, and to the page of a run.
    plain = "".join(one if one.isprintable() else " " for one in words[:MAX_ERROR])
    return f" The server answered: {plain}"


def _named_outputs(outputs: Any) -> dict[str, Any]:
    """Return the numbers of the tensors that are read, by their names; a cost as one number.

    Raises:
        WrongAnswerError: a tensor is not of numbers, or its shape does not fit its data.
    """
    tensors = [t for t in outputs if isinstance(t, dict)] if isinstance(outputs, list) else []
    fields = {
        name: _flat_data(name, tensor)
        for tensor in tensors
        if (name := tensor.get("name")) in ("scores", "cost")
    }
    cost = fields.get("cost")
    if isinstance(cost, list) and len(cost) == 1:
        fields["cost"] = cost[0]
    return fields


def _flat_data(name: str, tensor: Mapping[str, Any]) -> Any:
    """Return a tensor's data in one list, row by row. Some servers leave datatype or shape out."""
    datatype, shape = tensor.get("datatype"), tensor.get("shape")
    if datatype is not None and datatype not in NUMBERS:
        raise WrongAnswerError(
            f"datatype of '{name}' == {datatype!r:.40}, must be one of {list(NUMBERS)}."
        )
    data = tensor.get("data")
    if not isinstance(data, list):
        return data
    while data and all(isinstance(row, list) for row in data):  # the protocol lets data be nested
        data = [value for row in data for value in row]
    if shape is not None:
        sizes = shape if isinstance(shape, list) else [shape]
        if not all(isinstance(one, int) and one >= 0 for one in sizes) or math.prod(sizes) != len(data):
            raise WrongAnswerError(
                f"shape of '{name}' == {shape!r:.80}, must be that of its {len(data)} numbers."
            )
    return data


def _cost(cost: Any) -> float | None:
    if cost is None:
        return None
    # One absurd cost would drown all others in a mean.
    if not _is_finite(cost) or not 0 <= cost <= MAX_COST:
        raise WrongAnswerError(f"cost == {cost!r:.80}, must be a number in [0, {MAX_COST:g}].")
    return float(cost)


def _is_finite(value: Any) -> bool:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and math.isfinite(value)


def check_scores(scores: Sequence[Any], count: int) -> None:
    """Check that there is one finite number per candidate or label.

    Raises:
        WrongAnswerError: there is not.
    """
    if len(scores) != count:
        raise WrongAnswerError(f"scores == {len(scores)}, must be {count}: one each.")
    for score in scores:
        if not _is_finite(score):
            raise WrongAnswerError(f"a score == {score!r}, must be a finite number.")


def call_endpoint(model: RemoteModel, question: Mapping[str, Any], count: int) -> list[float]:
    """Call and wait: for gates and shadows, not for requests.

    Raises:
        WrongAnswerError: the answer is wrong.
        OutgoingError: there is none within the deadline, or the address may not be asked.
    """
    answer = post_and_wait(
        model.url,
        content=encode_question(question, model.protocol),
        headers=HEADERS,
        seconds=model.deadline_ms / 1000,
    )
    scores = read_answer(answer.status, answer.content, model.protocol).scores
    check_scores(scores, count)
    return list(scores)
