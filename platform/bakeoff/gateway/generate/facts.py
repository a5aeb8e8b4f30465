"""One generation: what is known of it while it runs, and what is recorded when it ends."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from uuid_utils import uuid7

from bakeoff.gateway.generate.text_work import characters_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.gateway.generate.completions import Usage

Outcome = Literal[
    "completed", "cached", "static", "refused", "broken", "cancelled", "failed", "blocked"
]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One provider that was asked and gave nothing.

    Attributes:
        provider: its name.
        model: its name there.
        reason: timeout, model_error, rate_limited, unauthorized, rejected, empty, breaker_open,
            not_declared.
        ms: how long it took.
    """

    provider: str
    model: str
    reason: str
    ms: float


@dataclass(slots=True)
class Generation:
    """A generation.

    Attributes:
        outcome: how it ended.
        messages: as sent to the provider.
        variables: of the templates.
        answer: the message that was given; None before there is one.
        fallback: why another than the first provider answered, or none.
        detail: what the last provider said of a request that it rejected; it is not stored.
    """

    streamed: bool
    generation_id: str = field(default_factory=lambda: str(uuid7()))
    requested_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    started: float = field(default_factory=time.perf_counter)
    outcome: Outcome = "failed"
    finish_reason: str | None = None
    provider: str | None = None
    model: str | None = None
    usage: Usage | None = None
    counted: Literal["provider", "us"] | None = None
    cost: float = 0.0
    first_token_ms: float | None = None
    total_ms: float | None = None
    attempts: list[Attempt] = field(default_factory=list)
    tool_calls: int = 0
    refusal: bool = False
    schema_ok: bool | None = None
    guardrails: Counter[str] = field(default_factory=Counter)
    fallback: str | None = None
    detail: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)
    variables: Mapping[str, str] = field(default_factory=dict)
    answer: dict[str, Any] | None = None

    def elapsed_ms(self) -> float:
        """Milliseconds since the request was taken up."""
        return (time.perf_counter() - self.started) * 1000

    def characters(self) -> int:
        """Return about how long its texts are: by which they are looked at here, or in a thread."""
        return sum(map(characters_of, (self.messages, self.variables, self.answer)))

    def note_first_token(self) -> None:
        """Note when the first token came; later ones change nothing."""
        if self.first_token_ms is None:
            self.first_token_ms = self.elapsed_ms()

    def as_json(self, version: str | None) -> dict[str, Any]:
        """Return the facts that are stored: never a text."""
        usage = self.usage
        return {
            "outcome": self.outcome,
            "finish_reason": self.finish_reason,
            "provider": self.provider,
            "model": self.model,
            "version": version,
            "tokens_in": usage.tokens_in if usage else None,
            "tokens_out": usage.tokens_out if usage else None,
            "tokens_cached": usage.tokens_cached if usage else None,
            "counted": self.counted,
            "first_token_ms": _rounded(self.first_token_ms),
            "total_ms": _rounded(self.total_ms),
            "attempts": [
                {
                    "provider": one.provider,
                    "model": one.model,
                    "reason": one.reason,
                    "ms": _rounded(one.ms),
                }
                for one in self.attempts
            ],
            "tool_calls": self.tool_calls,
            "refusal": self.refusal,
            "schema_ok": self.schema_ok,
            "guardrails": dict(self.guardrails),
            "streamed": self.streamed,
        }


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 2)
