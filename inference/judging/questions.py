"""What a judge is asked, and how its answer is read.

A judge is a version that generates: its templates get the variables below, and it answers in JSON. Of
one answer it gives a point of the scale; of two it names the better one, and is asked twice with sides
swapped, so that what it prefers for its side alone is not preferred.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from inference.serving.prompts import Prompt

# Variables of a judge's templates; it may leave some out.
ONE_ANSWER = ("rubric", "points", "conversation", "answer")
TWO_ANSWERS = ("rubric", "conversation", "answer_a", "answer_b")
MAX_TEXT = 12_000  # characters of a conversation or an answer: what is longer is cut
MAX_RATIONALE = 2000
CUT = " […]"
Preference = Literal["a", "b", "tie"]

SCORE_PROMPT = (
    "You grade answers of an assistant.\n\nWhat makes an answer good:\n{{ rubric }}\n\n"
    "Conversation:\n{{ conversation }}\n\nAnswer:\n{{ answer }}\n\n"
    "Grade the answer with a whole number from 1 (worst) to {{ points }} (best). Do not reward length. "
    'Reply with JSON alone: {"rationale": "one or two sentences", "score": number}'
)
PAIR_PROMPT = (
    "You compare two answers of an assistant.\n\nWhat makes an answer good:\n{{ rubric }}\n\n"
    "Conversation:\n{{ conversation }}\n\nAnswer A:\n{{ answer_a }}\n\nAnswer B:\n{{ answer_b }}\n\n"
    "Which answer is better? Do not reward length or position. "
    'Reply with JSON alone: {"rationale": "one or two sentences", "better": "A", "B" or "tie"}'
)


class JudgeAnswerError(ValueError):
    """An answer of a judge that cannot be read; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Score:
    """What a judge says of one answer.

    Attributes:
        value: in [0, 1]; 0 is the worst point of the scale.
        rationale: its reason.
    """

    value: float
    rationale: str


def is_pairwise(prompt: Prompt) -> bool:
    """Whether a judge's templates take two answers."""
    return "answer_a" in prompt.variables and "answer_b" in prompt.variables


def is_pointwise(prompt: Prompt) -> bool:
    """Whether a judge's templates take one answer."""
    return "answer" in prompt.variables


def conversation_text(messages: Sequence[tuple[str, str]]) -> str:
    """Return a conversation as a judge reads it, its end if it is too long."""
    text = "\n".join(f"{role}: {content}" for role, content in messages)
    return text if len(text) <= MAX_TEXT else CUT.strip() + " " + text[-MAX_TEXT:]


def cut_text(text: str) -> str:
    """Return an answer as a judge reads it, its beginning if it is too long."""
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + CUT


def variables_for(prompt: Prompt, values: dict[str, Any]) -> dict[str, str]:
    """Return what a judge's templates take of some values, cut to the length that it allows."""
    return {
        name: str(values[name])[: rule.max_length]
        for name, rule in prompt.variables.items()
        if name in values
    }


def read_score(text: str, points: int) -> Score:
    """Read a judge's score.

    Raises:
        JudgeAnswerError: there is none, or it is not on the scale.
    """
    data = _read_json(text)
    score = data.get("score")
    if isinstance(score, str) and score.strip().isdecimal() and len(score) < 9:
        score = int(score)
    if not isinstance(score, int | float) or isinstance(score, bool) or not 1 <= score <= points:
        raise JudgeAnswerError(f"score == {score!r:.40}, must be in [1, {points}].")
    return Score((score - 1) / (points - 1), _rationale(data))


def read_preference(text: str) -> tuple[Preference, str]:
    """Read which of two answers a judge finds better, and why.

    Raises:
        JudgeAnswerError: it names none of them.
    """
    data = _read_json(text)
    better = str(data.get("better", "")).strip().lower()
    for name in ("a", "b", "tie"):
        if better == name:
            return name, _rationale(data)
    raise JudgeAnswerError(f"better == {better!r:.40}, must be A, B or tie.")


def settle_preference(first: Preference, swapped: Preference) -> float:
    """Return 1 where the answer that stood first as A is better both times, 0 the other, else 1/2."""
    if (first, swapped) == ("a", "b"):
        return 1.0
    return 0.0 if (first, swapped) == ("b", "a") else 0.5


def compare_sides(
    compare: Callable[[str, str], tuple[Preference, str]], first: str, second: str
) -> tuple[float, str]:
    """Compare two answers with the sides swapped; return the settled preference and the first reason.

    Args:
        compare: asks a judge of pairs about the answers A and B, cut to what it may read.
        first: answer that a preference of 1 speaks for.
        second: the other.
    """
    first, second = cut_text(first), cut_text(second)
    (preference, why), (swapped, _) = compare(first, second), compare(second, first)
    return settle_preference(preference, swapped), why


def _rationale(data: dict[str, Any]) -> str:
    return str(data.get("rationale") or "")[:MAX_RATIONALE]


def _read_json(text: str) -> dict[str, Any]:
    """Read the object of an answer: models like to wrap it in words or in a fence of code."""
    start, end = text.find("{"), text.rfind("}")
    try:
        data = orjson.loads(text[start : end + 1]) if 0 <= start < end else None
    except orjson.JSONDecodeError:
        data = None
    if not isinstance(data, dict):
        raise JudgeAnswerError(f"answer == {text!r:.80}, must be a JSON object.")
    return data
