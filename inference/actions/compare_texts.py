"""Let a prompt in shadow answer a copy of a request, and compare the texts: no visitor sees the answer.

Texts come redacted: what a person may not be known by goes to no provider that did not answer them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from inference.outgoing_wait import post_and_wait
from inference.providers import read_providers
from inference.serving.edit_distance import edit_share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.serving.prompts import Prompt

MAX_SECONDS = 60.0  # a worker has other requests, too


class NoTextError(ValueError):
    """A shadow that gave no text; the message says why."""


@dataclass(frozen=True, slots=True)
class ChatCopy:
    """A request as versions in shadow see it, and what was served.

    Attributes:
        messages: of the request.
        variables: of the templates.
        fields: all else that the provider was sent.
        served: the text that was served.
    """

    messages: list[dict[str, Any]]
    variables: Mapping[str, Any]
    fields: Mapping[str, Any]
    served: str

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> ChatCopy:
        """Read what the fast lane sent."""
        return cls(data["messages"], data["variables"], data["fields"], data["served"])


def compare_texts(prompt: Prompt, copy: ChatCopy, project: str) -> float:
    """Return how alike a prompt's text is to the one that was served: 1 for the same.

    Args:
        prompt: of the version in shadow.
        copy: of the request.
        project: slug of the surface's project.

    Raises:
        NoTextError: its provider is not the project's, or it answered with no text.
        OutgoingError: it did not answer.
        VariablesError: the request's variables are not the version's.
    """
    provider = read_providers().get(prompt.provider)
    if provider is None or not provider.serves(project):
        raise NoTextError(f"provider '{prompt.provider}' is not declared for this project.")
    messages = [*prompt.render(prompt.settle(copy.variables)), *copy.messages]
    body: dict[str, Any] = {**copy.fields, **prompt.parameters}
    body |= {"model": prompt.model, "messages": messages}
    if prompt.tools:
        body["tools"] = prompt.tools
    if prompt.response_format is not None:
        body["response_format"] = prompt.response_format
    answer = post_and_wait(
        provider.url,
        content=orjson.dumps(body),
        headers=provider.headers,
        seconds=min(prompt.total_seconds, MAX_SECONDS),
    )
    if answer.status != 200:
        raise NoTextError(f"status == {answer.status}, must be 200.")
    return 1.0 - edit_share(copy.served, _text_of(answer.content))


def _text_of(raw: bytes) -> str:
    try:
        text = orjson.loads(raw)["choices"][0]["message"]["content"]
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError) as error:
        raise NoTextError("the answer is no completion.") from error
    if not isinstance(text, str) or not text.strip():
        raise NoTextError("the answer is empty.")
    return text
