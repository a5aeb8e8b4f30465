"""Ask a version that generates from a worker: one request, one whole answer.

The fast lane has its own way, with streams, budgets and records; here nobody waits. Providers, their
keys and the addresses that may be asked are the same (`inference.providers`, `inference.outgoing`).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from inference.outgoing import OutgoingClient, OutgoingError
from inference.providers import read_providers
from inference.serving.prices import find_price
from inference.serving.spending import Spending

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference.judging.purse import Purse
    from inference.providers import Provider
    from inference.serving.prompts import ModelOfProvider, Prompt

TRIES = 2  # of each provider: a worker can wait a moment, a person cannot
PAUSE_SECONDS = 1.0
MAX_ANSWER_BYTES = 4 * 2**20
MAX_COUNT = 10**9  # of tokens; more is a provider's mistake


class NoCompletionError(Exception):
    """No provider of the version's chain gave an answer; the message says why, without any text."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer.

    Attributes:
        text: of the first choice; empty where the model only calls tools.
        cost: in money, by the operator's prices; 0 without any.
        tokens: sent and received; 0 where the provider does not say.
        latency_ms: of the provider that answered.
        provider: its name.
        model: its name there.
    """

    text: str
    cost: float
    latency_ms: float
    provider: str
    model: str
    tokens: int = 0


def ask_version(
    prompt: Prompt,
    *,
    project: str,
    variables: Mapping[str, Any],
    messages: Sequence[Mapping[str, Any]] = (),
    purse: Purse | None = None,
) -> Completion:
    """Return a version's answer, by the first provider of its chain that gives one.

    Args:
        prompt: the version.
        project: slug of the project that asks.
        variables: of its templates.
        messages: the conversation after the version's own messages.
        purse: who pays; None: the caller counts.

    Raises:
        BudgetSpentError: the purse is empty; nobody was asked.
        VariablesError: the variables do not fit the templates.
        TemplateError: a text is too long.
        NoCompletionError: nobody answered.
    """
    values = prompt.settle(variables)
    fields: dict[str, Any] = {**prompt.parameters}
    fields["messages"] = [*prompt.render(values), *messages]
    if prompt.tools:
        fields["tools"] = prompt.tools
    if prompt.response_format is not None:
        fields["response_format"] = prompt.response_format
    if purse is not None:
        purse.check()
    completion = asyncio.run(_ask_chain(prompt, project, fields))
    if purse is not None:
        purse.pay(Spending(completion.tokens, completion.cost))
    return completion


async def _ask_chain(prompt: Prompt, project: str, fields: Mapping[str, Any]) -> Completion:
    client, reason = OutgoingClient(), "no provider is declared"
    try:
        for one in prompt.chain:
            provider = read_providers().get(one.provider)
            if provider is None or not provider.serves(project):
                reason = f"provider '{one.provider}' is not declared"
                continue
            for tried in range(TRIES):
                try:
                    return await _ask(client, provider, one, fields, prompt.total_seconds)
                except (OutgoingError, NoCompletionError) as error:
                    reason = str(error)
                if tried + 1 < TRIES:
                    await asyncio.sleep(PAUSE_SECONDS)
    finally:
        await client.aclose()
    raise NoCompletionError(reason)


async def _ask(
    client: OutgoingClient,
    provider: Provider,
    one: ModelOfProvider,
    fields: Mapping[str, Any],
    seconds: float,
) -> Completion:
    started = time.perf_counter()
    answer = await client.post(
        provider.url,
        content=orjson.dumps({"model": one.model, **fields}),
        headers=provider.headers,
        seconds=seconds,
        max_bytes=MAX_ANSWER_BYTES,
    )
    latency_ms = (time.perf_counter() - started) * 1000
    if answer.status != 200:
        # Not what it said: some providers quote the key that they were sent.
        raise NoCompletionError(f"provider '{provider.name}' answered {answer.status}")
    try:
        data = orjson.loads(answer.content)
        text = data["choices"][0]["message"].get("content") or ""
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise NoCompletionError(f"provider '{provider.name}' gave no completion") from error
    if not isinstance(text, str):
        raise NoCompletionError(f"provider '{provider.name}' gave no text")
    spending = spending_of(provider, one.model, data.get("usage"))
    return Completion(
        text, spending.money, latency_ms, provider.name, one.model, tokens=int(spending.tokens)
    )


def spending_of(provider: Provider, model: str, usage: Any) -> Spending:
    """Return what an answer cost, by what the provider states and the operator's prices."""
    if not isinstance(usage, dict):
        return Spending()
    sent, received = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    price = find_price([provider.prices], model, datetime.now(UTC).date())
    cost = price.of(tokens_in=sent, tokens_out=received, tokens_cached=0) if price else 0.0
    return Spending(sent + received, cost)


def _count(value: Any) -> int:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value <= MAX_COUNT else 0
