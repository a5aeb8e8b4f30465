r"""What an answer must hold, said once for a data set or for one of its rows.

{"type": "contains", "value": "refund"}         also not_contains; letters' case does not matter
{"type": "regex", "value": "^\d+ days"}          RE2: linear time, whatever the pattern
{"type": "json_schema", "value": {...}}          the answer is JSON that the schema allows
{"type": "max_length", "value": 400}             characters; also min_length
{"type": "max_cost", "value": 0.002}             money for this answer
{"type": "max_latency_ms", "value": 2000}        from asking to the last byte
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import re2

from inference.serving.json_schemas import SchemaError, compile_schema, fits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_ASSERTIONS = 20
MAX_TEXT = 2000
TEXTS = ("contains", "not_contains", "regex")
NUMBERS = ("max_length", "min_length", "max_cost", "max_latency_ms")
TYPES = (*TEXTS, "json_schema", *NUMBERS)


class AssertionSpecError(ValueError):
    """An assertion that breaks a rule; the message names where."""


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """An answer as assertions see it.

    Attributes:
        text: what the model wrote.
        cost: in money.
        latency_ms: until it was whole.
    """

    text: str
    cost: float
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Assertion:
    """One rule.

    Attributes:
        type: one of `TYPES`.
        value: a text, a number or a schema, as the type wants it.
    """

    type: str
    value: Any

    def holds(self, answer: CheckedAnswer) -> bool:
        """Whether an answer keeps the rule."""
        return _CHECKS[self.type](answer, self.value)

    def as_json(self) -> dict[str, Any]:
        """Return it as `parse_assertions` reads it."""
        return {"type": self.type, "value": self.value}


def parse_assertions(data: Any, name: str = "assertions") -> tuple[Assertion, ...]:
    """Read a list of assertions.

    Raises:
        AssertionSpecError: one breaks a rule.
    """
    if not isinstance(data, list) or len(data) > MAX_ASSERTIONS:
        raise AssertionSpecError(
            f"{name} == {data!r:.80}, must be a list of at most {MAX_ASSERTIONS} assertions."
        )
    return tuple(_parse(one, f"{name}[{number}]") for number, one in enumerate(data))


def _parse(data: Any, name: str) -> Assertion:
    if not isinstance(data, dict) or set(data) != {"type", "value"}:
        raise AssertionSpecError(f"{name} == {data!r:.80}, must have type and value, and no more.")
    kind, value = data["type"], data["value"]
    if kind not in TYPES:
        raise AssertionSpecError(f"{name}.type == {kind!r:.80}, must be one of {', '.join(TYPES)}.")
    _check_value(kind, value, f"{name}.value")
    return Assertion(kind, value)


def _check_value(kind: str, value: Any, name: str) -> None:
    if kind in NUMBERS:
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        if not plain or not math.isfinite(value) or value < 0:
            raise AssertionSpecError(f"{name} == {value!r:.80}, must be a number of at least 0.")
        return
    if kind == "json_schema":
        _check_schema(value, name)
        return
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
        raise AssertionSpecError(
            f"{name} == {value!r:.80}, must be a text of 1 to {MAX_TEXT} characters."
        )
    if kind == "regex":
        try:
            _compile(value)
        except re2.error as error:
            raise AssertionSpecError(f"{name} == {value!r:.80}, must be a pattern: {error}") from error


def _check_schema(value: Any, name: str) -> None:
    if not isinstance(value, dict):
        raise AssertionSpecError(f"{name} == {value!r:.80}, must be a JSON Schema.")
    try:
        compile_schema(value)
    except SchemaError as error:
        raise AssertionSpecError(f"{name}: {error}") from error


def _compile(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


def _contains(answer: CheckedAnswer, value: str) -> bool:
    return value.casefold() in answer.text.casefold()


_CHECKS: Mapping[str, Callable[[CheckedAnswer, Any], bool]] = {
    "contains": _contains,
    "not_contains": lambda answer, value: not _contains(answer, value),
    "regex": lambda answer, value: bool(_compile(value).search(answer.text)),
    "json_schema": lambda answer, value: fits(value, answer.text),
    "max_length": lambda answer, value: len(answer.text) <= value,
    "min_length": lambda answer, value: len(answer.text) >= value,
    "max_cost": lambda answer, value: answer.cost <= value,
    "max_latency_ms": lambda answer, value: answer.latency_ms <= value,
}


def check_all(assertions: Sequence[Assertion], answer: CheckedAnswer | None) -> dict[str, bool]:
    """Return by type whether an answer keeps all rules of the type; no answer keeps none."""
    passed: dict[str, bool] = {}
    for one in assertions:
        passed[one.type] = passed.get(one.type, True) and answer is not None and one.holds(answer)
    return passed
