"""What a custom endpoint is sent and answers: plain JSON, or the Open Inference Protocol v2.

JSON: the question as it is; the answer is `{"scores": [...]}`, one number per candidate or label. v2:
each field of the question is a tensor of bytes; the answer has an output named `scores`. An answer may
say what it cost: `cost` beside `scores`, in v2 an output of that name with one number.
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
PROTOCOLS = ("json", "v2")


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
    inputs = []
    for name, value in question.items():
        data = [orjson.dumps(value).decode()] if isinstance(value, dict) else value
        data = [data] if isinstance(data, str) else list(data)
        inputs.append({"name": name, "shape": [1, len(data)], "datatype": "BYTES", "data": data})
    return orjson.dumps({"inputs": inputs})


def read_answer(status: int, content: bytes, protocol: str) -> RemoteAnswer:
    """Return the scores of an answer, unchecked, and its cost.

    Raises:
        ValueError: it has no scores, or a cost that cannot be one.
    """
    if status != 200:
        raise WrongAnswerError(f"status == {status}, must be 200.")
    if len(content) > MAX_ANSWER_BYTES:
        raise WrongAnswerError(f"answer == {len(content)} bytes, must be at most {MAX_ANSWER_BYTES}.")
    answer = orjson.loads(content)
    fields = answer if isinstance(answer, dict) else {}
    if protocol == "v2":
        fields = _named_outputs(fields.get("outputs"))
    scores = fields.get("scores")
    if not isinstance(scores, list):
        raise WrongAnswerError("answer has no list of scores.")
    return RemoteAnswer(scores, _cost(fields.get("cost")))


def _named_outputs(outputs: Any) -> dict[str, Any]:
    """Return the data of the tensors by their names; a cost of one number as that number."""
    tensors = [t for t in outputs if isinstance(t, dict)] if isinstance(outputs, list) else []
    fields = {name: t.get("data") for t in tensors if isinstance(name := t.get("name"), str)}
    cost = fields.get("cost")
    if isinstance(cost, list) and len(cost) == 1:
        fields["cost"] = cost[0]
    return fields


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
