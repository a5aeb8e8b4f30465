"""pydantic's errors as rules in words: what a value must be, with no word of the library's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SHOWN = 80  # characters of a value
_KINDS = {
    "string_type": "must be a text",
    "string_sub_type": "must be a text",
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "int_from_float": "must be an integer",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a mapping of names to values",
    "model_type": "must be a mapping of names to values",
    "model_attributes_type": "must be a mapping of names to values",
    "none_required": "must be null",
}
_BOUNDS = {
    "greater_than": ("gt", "must be above {}"),
    "greater_than_equal": ("ge", "must be at least {}"),
    "less_than": ("lt", "must be below {}"),
    "less_than_equal": ("le", "must be at most {}"),
    "string_too_short": ("min_length", "must have at least {} characters"),
    "string_too_long": ("max_length", "must have at most {} characters"),
    "literal_error": ("expected", "must be {}"),
    "enum": ("expected", "must be {}"),
}
_PATTERNS = {
    r"^[-a-zA-Z0-9_]+$": "must be letters, digits, - and _ alone",
    r"^[-a-zA-Z0-9_]+@[0-9]{1,9}$": "must be a version such as two-tower@7",
}


def rule_of(error: Mapping[str, Any]) -> str:
    """Return the rule that one of pydantic's errors names, as what follows the value: "must be …"."""
    kind, context = str(error["type"]), error.get("ctx") or {}
    if kind in _KINDS:
        return _KINDS[kind]
    if kind in _BOUNDS:
        name, sentence = _BOUNDS[kind]
        return sentence.format(context[name]).replace("at least 1 characters", "at least 1 character")
    if kind == "string_pattern_mismatch" and context.get("pattern") in _PATTERNS:
        return _PATTERNS[context["pattern"]]
    message = str(error["msg"]).removeprefix("Value error, ").removesuffix(".")
    return message[:1].lower() + message[1:]


def sentence_of(error: Mapping[str, Any], name: str) -> str:
    """Return a sentence that names a field, its value and the rule.

    Args:
        error: one of `ValidationError.errors()`.
        name: of the field; empty where there is none.
    """
    kind, context = str(error["type"]), error.get("ctx") or {}
    if kind == "missing":
        return f"{name} is missing, must be stated."
    if kind in {"too_short", "too_long"}:
        few = kind == "too_short"
        bound = context["min_length" if few else "max_length"]
        bounded = f"at {'least' if few else 'most'} {bound} {'entry' if bound == 1 else 'entries'}"
        return f"{name} has {context['actual_length']}, must have {bounded}."
    value = error.get("input")
    shown = ""
    if isinstance(value, str | int | float | bool | None):
        text = repr(value)
        shown = f" == {text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + '…'},"
    return f"{name}{shown} {rule_of(error)}.".lstrip()
