"""The body of /v1/chat/completions, as OpenAI's clients send it, with a few fields of ours beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.gateway.http.errors import ApiError, invalid
from bakeoff.gateway.http.fields import Ids, body_rule, flag, json_object, request_type, rule
from bakeoff.gateway.slates.requests import MAX_CONTEXT_BYTES, MAX_SURFACE, SurfaceRequest
from experiments import bounds

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_MESSAGES = 1000
MAX_TOOLS = 128
MAX_CHOICES = 8
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
# What the platform reads; all else is the model's, such as temperature.
OURS = frozenset(
    (
        "model", "messages", "variables", "stream", "stream_options", "tools", "user", "metadata",
        "anonymous_id", "unit_id", "context", "consent", "overrides", "force", "expose", "store",
    )
)  # fmt: skip


def _surface(data: Mapping[str, Any]) -> str:
    return bounds.text(data.get("model"), "model", max_length=MAX_SURFACE)


def _ids(data: Mapping[str, Any]) -> Ids:
    """Read who is answered: `metadata.unit_id`, `unit_id` or `user`, and `anonymous_id`."""
    metadata = data.get("metadata")
    named = metadata.get("unit_id") if isinstance(metadata, dict) else None
    for value, name in ((named, "metadata.unit_id"), (data.get("unit_id"), "unit_id")):
        if value is not None:
            named = bounds.text(value, name)
            break
    else:
        named = None if data.get("user") is None else bounds.text(data["user"], "user")
    anonymous = data.get("anonymous_id")
    return None if anonymous is None else bounds.text(anonymous, "anonymous_id"), named


def _context(data: Mapping[str, Any]) -> dict[str, Any]:
    """Read what conditions may go by: `metadata`, and `context` before it."""
    metadata = json_object(data.get("metadata"), "metadata")
    context = {**metadata, **json_object(data.get("context"), "context")}
    context.pop("unit_id", None)
    if context:
        bounds.check(context, "context", max_bytes=MAX_CONTEXT_BYTES)
    return context


def _messages(value: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or len(value) > MAX_MESSAGES:
        raise invalid(name, value, f"a list of at most {MAX_MESSAGES} messages")
    for number, message in enumerate(value):
        where = f"{name}[{number}]"
        if not isinstance(message, dict):
            raise invalid(where, message, "an object")
        if message.get("role") not in ROLES:
            raise invalid(f"{where}.role", message.get("role"), f"one of {', '.join(ROLES)}")
        content = message.get("content")
        parts = isinstance(content, list) and all(isinstance(part, dict) for part in content)
        if not (content is None or isinstance(content, str) or parts):
            raise invalid(f"{where}.content", content, "a text or a list of parts")
    return value


def _tools(value: Any, name: str) -> list[dict[str, Any]]:
    objects = isinstance(value, list) and all(isinstance(tool, dict) for tool in value)
    if not objects or len(value) > MAX_TOOLS:
        raise invalid(name, value, f"a list of at most {MAX_TOOLS} tools")
    return list(value)


def _include_usage(data: Mapping[str, Any]) -> bool:
    options = json_object(data.get("stream_options"), "stream_options")
    return options.get("include_usage") is True


def _parameters(data: Mapping[str, Any]) -> dict[str, Any]:
    parameters = {name: value for name, value in data.items() if name not in OURS and value is not None}
    choices = parameters.get("n", 1)
    if not isinstance(choices, int) or isinstance(choices, bool) or not 1 <= choices <= MAX_CHOICES:
        raise invalid("n", choices, f"a whole number in [1, {MAX_CHOICES}]")
    return parameters


@request_type
class ChatRequest(SurfaceRequest):
    """The body of /v1/chat/completions.

    Attributes:
        messages: of the conversation, after those of the version; may be none.
        variables: of the version's templates.
        stream: whether the answer comes as it is made.
        include_usage: whether a stream ends with its tokens.
        tools: that the model may call; None: none are named.
        parameters: all else: passed on where the version does not say otherwise.
    """

    surface: str = body_rule(_surface)
    ids: Ids = body_rule(_ids)
    context: dict[str, Any] = body_rule(_context)
    messages: list[dict[str, Any]] | tuple[()] = rule(_messages, default=())
    variables: dict[str, Any] = rule(json_object)
    stream: bool = rule(flag, default=False)
    include_usage: bool = body_rule(_include_usage)
    tools: list[dict[str, Any]] | None = rule(_tools, default=None)
    parameters: dict[str, Any] = body_rule(_parameters)


def refuse_more_than_variables(request: ChatRequest) -> None:
    """Refuse what a public key may not say: a page's key is no key to a model.

    Raises:
        ApiError: 403.
    """
    forbidden = [
        name
        for name, value in (
            ("messages", request.messages),
            ("tools", request.tools),
            *request.parameters.items(),
        )
        if value
    ]
    if forbidden:
        raise ApiError(
            403,
            "secret_key_needed",
            f"{forbidden[0]} needs a secret key (sk_…): a public key sends variables alone.",
            field=forbidden[0],
        )
