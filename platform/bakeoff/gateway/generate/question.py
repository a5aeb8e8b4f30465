"""What providers are asked: the version's messages and the request's, checked against the rules."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from bakeoff.gateway.generate.chain import Question
from bakeoff.gateway.generate.guardrails import check_messages
from bakeoff.gateway.generate.text_work import characters_of
from bakeoff.gateway.http.errors import ApiError, invalid
from inference.serving.prompts import VariablesError
from inference.serving.templates import TemplateError

if TYPE_CHECKING:
    from bakeoff.gateway.generate.facts import Generation
    from bakeoff.gateway.generate.guardrails import Rules
    from bakeoff.gateway.generate.requests import ChatRequest
    from bakeoff.gateway.generate.text_work import TextWork
    from inference.serving.prompts import Prompt


class RefusedRequestError(Exception):
    """A request that the unit's version does not take; `error` is the answer."""

    def __init__(self, error: ApiError) -> None:
        """Keep the answer."""
        super().__init__(str(error))
        self.error = error


async def make_question(
    request: ChatRequest,
    prompt: Prompt,
    rules: Rules,
    generation: Generation,
    text_threads: TextWork,
) -> Question:
    """Return what is asked; the generation notes its messages and variables.

    Raises:
        RefusedRequestError: the version takes no such tools or variables, or rules block them.
        ApiError: 429, too many texts wait.
    """
    try:
        _check_request(request, prompt, rules)
        generation.variables = prompt.settle(request.variables)
        render = partial(_messages, request, prompt, rules, generation)
        # Costly with long texts: not in the event loop.
        texts = (request.messages, generation.variables)
        characters = prompt.characters + sum(map(characters_of, texts))
        generation.messages = await text_threads.run(render, characters=characters)
    except VariablesError as error:
        raise RefusedRequestError(
            ApiError(400, "invalid_value", str(error), field=error.field)
        ) from error
    except TemplateError as error:
        raise RefusedRequestError(
            ApiError(400, "invalid_value", str(error), field="variables")
        ) from error
    except ApiError as error:
        if error.status != 400:
            raise
        raise RefusedRequestError(error) from error
    fields: dict[str, Any] = {**request.parameters, **prompt.parameters}
    fields["messages"] = generation.messages
    tools = prompt.tools if prompt.tools is not None else request.tools
    if tools:
        fields["tools"] = tools
    if prompt.response_format is not None:
        fields["response_format"] = prompt.response_format
    return Question(fields, request.stream)


def _check_request(request: ChatRequest, prompt: Prompt, rules: Rules) -> None:
    if request.tools and prompt.tools is not None:
        raise ApiError(
            400, "tools_not_allowed", "tools: the version has its own, must be left out.", field="tools"
        )
    if request.parameters.get("n", 1) > 1 and rules.need_one_choice:
        raise invalid("n", request.parameters["n"], "1 where answers are checked")


def _messages(
    request: ChatRequest, prompt: Prompt, rules: Rules, generation: Generation
) -> list[dict[str, Any]]:
    messages = [*prompt.render(generation.variables), *request.messages]
    if not messages:
        raise invalid("messages", [], "at least one message: the version has none of its own")
    return check_messages(messages, rules, generation.guardrails)
