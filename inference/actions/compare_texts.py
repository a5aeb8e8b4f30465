"""Let a prompt in shadow answer a copy of a request, and compare the texts: no visitor sees the answer.

Texts come redacted: what a person may not be known by goes to no provider that did not answer them. A
tool that the answer calls is called by nobody: the answer is counted as an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from inference.judging.completion import spending_of
from inference.outgoing_wait import post_and_wait
from inference.providers import read_providers
from inference.serving.edit_distance import edit_share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.judging.purse import Purse
    from inference.serving.prompts import Prompt
    from inference.serving.spending import Spending

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


@dataclass(frozen=True, slots=True)
class ShadowText:
    """What a prompt in shadow answered.

    Attributes:
        text: its text.
        overlap: how alike it is to the one that was served: 1 for the same.
        spending: what it cost.
    """

    text: str
    overlap: float
    spending: Spending


def compare_texts(prompt: Prompt, copy: ChatCopy, project: str, purse: Purse) -> ShadowText:
    """Ask a prompt, and compare.

    Args:
        prompt: of the version in shadow.
        copy: of the request.
        project: slug of the surface's project.
        purse: who pays.

    Raises:
        BudgetSpentError: nothing is left; nobody was asked.
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
    purse.check()
    answer = post_and_wait(
        provider.url,
        content=orjson.dumps(body),
        headers=provider.headers,
        seconds=min(prompt.total_seconds, MAX_SECONDS),
    )
    if answer.status != 200:
        raise NoTextError(f"status == {answer.status}, must be 200.")
    try:
        data = orjson.loads(answer.content)
        message = data["choices"][0]["message"]
        spending = spending_of(provider, prompt.model, data.get("usage"))
        purse.pay(spending)
        text = _text_of(message)
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise NoTextError("the answer is no completion.") from error
    return ShadowText(text, 1.0 - edit_share(copy.served, text), spending)


def _text_of(message: Mapping[str, Any]) -> str:
    text = message.get("content")
    if message.get("tool_calls"):
        raise NoTextError("the answer calls a tool, which is not carried out.")
    if not isinstance(text, str) or not text.strip():
        raise NoTextError("the answer is empty.")
    return text
