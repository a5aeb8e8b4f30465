"""What a custom endpoint is sent and answers: plain JSON, or the Open Inference Protocol v2.

JSON: the question as it is; the answer is `{"scores": [...]}`, one number a candidate or label. v2:
each field of the question is a tensor of bytes; the answer has an output named `scores`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import orjson

from inference.outgoing import MAX_ANSWER_BYTES, post_and_wait

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference.serving.models import RemoteModel

HEADERS = {"content-type": "application/json"}
PROTOCOLS = ("json", "v2")


class WrongAnswerError(ValueError):
    """An answer that cannot be used; the message says why."""


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


def read_scores(status: int, content: bytes, protocol: str) -> list[float]:
    """Return the scores of an answer.

    Raises:
        ValueError: it has no scores.
    """
    if status != 200:
        raise WrongAnswerError(f"status == {status}, must be 200.")
    if len(content) > MAX_ANSWER_BYTES:
        raise WrongAnswerError(f"answer == {len(content)} bytes, must be at most {MAX_ANSWER_BYTES}.")
    answer = orjson.loads(content)
    scores: Any = None
    if isinstance(answer, dict) and protocol == "v2":
        outputs = answer.get("outputs")
        tensors = [t for t in outputs if isinstance(t, dict)] if isinstance(outputs, list) else []
        scores = next((t.get("data") for t in tensors if t.get("name") == "scores"), None)
    elif isinstance(answer, dict):
        scores = answer.get("scores")
    if not isinstance(scores, list):
        raise WrongAnswerError("answer has no list of scores.")
    return scores


def check_scores(scores: Sequence[Any], count: int) -> None:
    """Check that there is one finite number per candidate or label.

    Raises:
        WrongAnswerError: there is not.
    """
    if len(scores) != count:
        raise WrongAnswerError(f"scores == {len(scores)}, must be {count}: one each.")
    for score in scores:
        if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
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
    scores = read_scores(answer.status, answer.content, model.protocol)
    check_scores(scores, count)
    return scores
