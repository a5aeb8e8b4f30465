"""A version that generates text: which model is asked, with which messages, under which rules.

The artifact's manifest holds it in `about`, form `prompt`: plain values that are hashed, so a prompt is
immutable and two of them can be compared field by field.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson

from inference.serving.artifact import ArtifactDraft
from inference.serving.json_schemas import SchemaError, compile_schema
from inference.serving.templates import Template, TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PROMPT = "prompt"  # the artifact's form, and the algorithm of versions that nobody names otherwise
ROLES = ("system", "developer", "user", "assistant")
MAX_MESSAGES = 50
MAX_VARIABLES = 50
MAX_VARIABLE = 32_000  # characters
MAX_FALLBACKS = 5
MAX_TERMS, MAX_TERM = 1000, 200
MAX_STATIC_TEXT = 20_000
MAX_JSON = 64 * 1024  # bytes of parameters, of tools, of a schema
MAX_FIRST_TOKEN_SECONDS, MAX_TOTAL_SECONDS = 120.0, 600.0
# What the platform sets itself, or the version says elsewhere.
RESERVED = frozenset(
    {"model", "messages", "stream", "stream_options", "tools", "response_format", "user", "metadata"}
)
DIRECTIONS = ("in", "out")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_PROVIDER = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class PromptError(ValueError):
    """A prompt that breaks a rule; `field` names where."""

    def __init__(self, message: str, *, field: str) -> None:
        """Keep the field beside the message."""
        super().__init__(message)
        self.field = field


class VariablesError(ValueError):
    """Variables of a request that do not fit a prompt; `field` names which."""

    def __init__(self, message: str, *, field: str) -> None:
        """Keep the field beside the message."""
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Variable:
    """What may stand for a name of the templates.

    Attributes:
        max_length: in characters.
        required: whether a request must have it; else it is empty.
        description: for people.
    """

    max_length: int = 4000
    required: bool = True
    description: str = ""


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """A message before the conversation's; `content` is a template."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class ModelOfProvider:
    """A model, and which of the operator's providers has it."""

    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class Checks:
    """What is looked at before an answer is asked for, and before it is given.

    Attributes:
        max_length: of the answer, in characters; None: no limit but the model's.
        blocked_terms: neither messages nor answers may have them, whatever their case.
        json_schema: of the answer, or None.
        redact: "in": personal data in messages are not sent; "out": nor are those of the answer given.
    """

    max_length: int | None = None
    blocked_terms: tuple[str, ...] = ()
    json_schema: dict[str, Any] | None = None
    redact: tuple[str, ...] = ()

    @property
    def need_whole_answer(self) -> bool:
        """Whether an answer can only be judged when all of it is there."""
        return bool(self.blocked_terms or self.json_schema is not None or "out" in self.redact)


@dataclass(frozen=True)
class Prompt:
    """A version that generates.

    Attributes:
        provider: which of the operator's providers is asked first.
        model: its name there.
        messages: before the conversation of the request; their contents are templates.
        variables: of the templates, by name.
        parameters: of the model, such as temperature; they take the place of the request's.
        tools: that the model may call; None: those of the request; an empty list: none.
        response_format: of the answer; None: that of the request.
        checks: before and after the model.
        fallbacks: asked in this order when the first gives nothing.
        static_text: the answer when none of them gives any; None: there is none.
        first_token_seconds: within which each of them must begin a stream.
        total_seconds: within which an answer must be whole.
    """

    provider: str
    model: str
    messages: tuple[PromptMessage, ...] = ()
    variables: Mapping[str, Variable] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[Mapping[str, Any], ...] | None = None
    response_format: Mapping[str, Any] | None = None
    checks: Checks = field(default_factory=Checks)
    fallbacks: tuple[ModelOfProvider, ...] = ()
    static_text: str | None = None
    first_token_seconds: float = 10.0
    total_seconds: float = 60.0

    @property
    def chain(self) -> tuple[ModelOfProvider, ...]:
        """Who is asked, in this order."""
        return (ModelOfProvider(self.provider, self.model), *self.fallbacks)

    @cached_property
    def templates(self) -> tuple[Template, ...]:
        """The compiled templates of the messages."""
        return tuple(Template(one.content, self.variables) for one in self.messages)

    @cached_property
    def characters(self) -> int:
        """How long its messages are, as templates."""
        return sum(len(message.content) for message in self.messages)

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Prompt:
        """Read a prompt from JSON.

        Raises:
            PromptError: it breaks a rule.
        """
        if not isinstance(data, dict):
            raise PromptError(f"prompt == {data!r:.80}, must be an object.", field="prompt")
        _refuse_unknown(data, (one.name for one in fields(cls)), "prompt")
        values = {
            name: _READERS[name](value, name) for name, value in data.items() if value is not None
        }
        for name in ("provider", "model"):
            if name not in values:
                raise PromptError(f"{name} is missing, must be a text.", field=name)
        prompt = cls(**values)
        if prompt.first_token_seconds > prompt.total_seconds:
            raise PromptError(
                f"first_token_seconds == {prompt.first_token_seconds:g}, must be at most total_seconds "
                f"== {prompt.total_seconds:g}.",
                field="first_token_seconds",
            )
        try:
            _ = prompt.templates
        except TemplateError as error:
            raise PromptError(f"messages: {error}", field="messages") from error
        return prompt

    def as_json(self) -> dict[str, Any]:
        """Return every field as plain values."""
        plain: dict[str, Any] = orjson.loads(
            orjson.dumps({one.name: getattr(self, one.name) for one in fields(self)})
        )
        return plain

    def as_draft(self) -> ArtifactDraft:
        """Return the artifact."""
        return ArtifactDraft(form=PROMPT, arrays={}, about=self.as_json())

    def settle(self, variables: Mapping[str, Any]) -> dict[str, str]:
        """Return the value of every variable.

        Args:
            variables: of a request.

        Raises:
            VariablesError: one is unknown, missing, no text or number, or too long.
        """
        if unknown := sorted(set(variables) - set(self.variables)):
            known = sorted(self.variables)
            raise VariablesError(
                f"variables.{unknown[0]}: unknown, must be one of {known}.",
                field=f"variables.{unknown[0]}",
            )
        return {
            name: _settled(name, rule, variables.get(name)) for name, rule in self.variables.items()
        }

    def render(self, values: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the messages that stand before the conversation.

        Args:
            values: of every variable.

        Raises:
            TemplateError: a text is too long.
        """
        return [
            {"role": message.role, "content": template.render(values)}
            for message, template in zip(self.messages, self.templates, strict=True)
        ]


def _settled(name: str, rule: Variable, value: Any) -> str:
    where = f"variables.{name}"
    if value is None:
        if rule.required:
            raise VariablesError(f"{where} is missing, must be a text.", field=where)
        return ""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise VariablesError(f"{where} == {value!r:.80}, must be a text or a number.", field=where)
    text = str(value)
    if len(text) > rule.max_length:
        raise VariablesError(
            f"{where} == {len(text)} characters, must be at most {rule.max_length}.", field=where
        )
    return text


def _refuse_unknown(data: Mapping[str, Any], known: Any, name: str) -> None:
    names = sorted(known)
    if unknown := sorted(set(data) - set(names)):
        where = f"{name}.{unknown[0]}" if name != "prompt" else unknown[0]
        raise PromptError(f"{where}: unknown field, must be one of {names}.", field=where)


def _text(max_length: int, min_length: int = 1) -> Callable[[Any, str], str]:
    def read(value: Any, name: str) -> str:
        if not isinstance(value, str) or not min_length <= len(value) <= max_length or "\0" in value:
            rule = f"a text of {min_length} to {max_length} characters"
            raise PromptError(f"{name} == {value!r:.80}, must be {rule}.", field=name)
        return value

    return read


def _provider(value: Any, name: str) -> str:
    if not isinstance(value, str) or not _PROVIDER.fullmatch(value):
        raise PromptError(
            f"{name} == {value!r:.80}, must be lower-case letters, digits and '-'.", field=name
        )
    return value


def _number(low: float, high: float) -> Callable[[Any, str], float]:
    def read(value: Any, name: str) -> float:
        plain = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not plain or not low < value <= high:
            raise PromptError(f"{name} == {value!r:.80}, must be in ({low:g}, {high:g}].", field=name)
        return float(value)

    return read


def _list(value: Any, name: str, max_length: int) -> Sequence[Any]:
    if not isinstance(value, list | tuple) or len(value) > max_length:
        raise PromptError(
            f"{name} == {value!r:.80}, must be a list of at most {max_length}.", field=name
        )
    return value


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PromptError(f"{name} == {value!r:.80}, must be an object.", field=name)
    try:
        size = len(orjson.dumps(value))
    except TypeError as error:
        raise PromptError(f"{name}: {error}, must be JSON.", field=name) from error
    if size > MAX_JSON:
        raise PromptError(f"{name} == {size} bytes, must be at most {MAX_JSON}.", field=name)
    return value


def _messages(value: Any, name: str) -> tuple[PromptMessage, ...]:
    messages = []
    for number, one in enumerate(_list(value, name, MAX_MESSAGES)):
        where = f"{name}[{number}]"
        entry = _object(one, where)
        _refuse_unknown(entry, ("role", "content"), where)
        if entry.get("role") not in ROLES:
            rule = f"one of {', '.join(ROLES)}"
            raise PromptError(
                f"{where}.role == {entry.get('role')!r:.80}, must be {rule}.", field=where
            )
        content = _text(MAX_VARIABLE)(entry.get("content"), f"{where}.content")
        messages.append(PromptMessage(entry["role"], content))
    return tuple(messages)


def _variables(value: Any, name: str) -> dict[str, Variable]:
    declared = _object(value, name)
    if len(declared) > MAX_VARIABLES:
        raise PromptError(
            f"{name} == {len(declared)} of them, must be at most {MAX_VARIABLES}.", field=name
        )
    return {key: _variable(key, one, f"{name}.{key}") for key, one in declared.items()}


def _variable(key: str, value: Any, name: str) -> Variable:
    if not _NAME.fullmatch(key):
        raise PromptError(f"{name}: must be letters, digits and '_', not first a digit.", field=name)
    about = _object(value, name)
    _refuse_unknown(about, (one.name for one in fields(Variable)), name)
    limit = about.get("max_length", Variable().max_length)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_VARIABLE:
        rule = f"a whole number in [1, {MAX_VARIABLE}]"
        raise PromptError(f"{name}.max_length == {limit!r:.80}, must be {rule}.", field=name)
    required = about.get("required", True)
    if not isinstance(required, bool):
        raise PromptError(f"{name}.required == {required!r:.80}, must be true or false.", field=name)
    description = _text(500, 0)(about.get("description", ""), f"{name}.description")
    return Variable(limit, required, description)


def _parameters(value: Any, name: str) -> dict[str, Any]:
    parameters = _object(value, name)
    if taken := sorted(RESERVED & set(parameters)):
        raise PromptError(f"{name}.{taken[0]}: set by the platform, must be left out.", field=name)
    return parameters


def _tools(value: Any, name: str) -> tuple[dict[str, Any], ...]:
    tools = tuple(_object(one, f"{name}[{n}]") for n, one in enumerate(_list(value, name, 128)))
    _object({"tools": tools}, name)  # their size together
    return tools


def _schema(value: Any, name: str) -> dict[str, Any]:
    schema = _object(value, name)
    try:
        compile_schema(schema)
    except SchemaError as error:
        raise PromptError(f"{name}: {error}", field=name) from error
    return schema


def blocked_terms(value: Any, name: str) -> tuple[str, ...]:
    """Read a list of terms.

    Raises:
        PromptError: it is none.
    """
    return tuple(_text(MAX_TERM)(one, name) for one in _list(value, name, MAX_TERMS))


def directions(value: Any, name: str) -> tuple[str, ...]:
    """Read in which directions personal data are taken out.

    Raises:
        PromptError: it is no list of "in" and "out".
    """
    for one in _list(value, name, len(DIRECTIONS)):
        if one not in DIRECTIONS:
            raise PromptError(f"{name} has {one!r:.80}, must be 'in' or 'out'.", field=name)
    return tuple(value)


def _checks(value: Any, name: str) -> Checks:
    checks = _object(value, name)
    _refuse_unknown(checks, (one.name for one in fields(Checks)), name)
    limit = checks.get("max_length")
    if limit is not None:
        limit = int(_number(0, 1_000_000)(limit, f"{name}.max_length"))
    schema = checks.get("json_schema")
    return Checks(
        max_length=limit,
        blocked_terms=blocked_terms(checks.get("blocked_terms") or [], f"{name}.blocked_terms"),
        json_schema=None if schema is None else _schema(schema, f"{name}.json_schema"),
        redact=directions(checks.get("redact") or [], f"{name}.redact"),
    )


def _fallbacks(value: Any, name: str) -> tuple[ModelOfProvider, ...]:
    fallbacks = []
    for number, one in enumerate(_list(value, name, MAX_FALLBACKS)):
        where = f"{name}[{number}]"
        entry = _object(one, where)
        _refuse_unknown(entry, asdict(ModelOfProvider("", "")), where)
        provider = _provider(entry.get("provider"), f"{where}.provider")
        fallbacks.append(ModelOfProvider(provider, _text(200)(entry.get("model"), f"{where}.model")))
    return tuple(fallbacks)


_READERS: Mapping[str, Callable[[Any, str], Any]] = {
    "provider": _provider,
    "model": _text(200),
    "messages": _messages,
    "variables": _variables,
    "parameters": _parameters,
    "tools": _tools,
    "response_format": _object,
    "checks": _checks,
    "fallbacks": _fallbacks,
    "static_text": _text(MAX_STATIC_TEXT),
    "first_token_seconds": _number(0, MAX_FIRST_TOKEN_SECONDS),
    "total_seconds": _number(0, MAX_TOTAL_SECONDS),
}
