"""What is stored of a generation's texts: none, redacted or full, and never what cannot be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.gateway.generate.completions import text_of
from experiments.ingest.redact import redact
from inference.serving.generate_settings import FULL, NONE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bakeoff.gateway.generate.facts import Generation
    from bakeoff.gateway.generate.requests import ChatRequest

MAX_STORED_BYTES = 256 * 1024
SHORT = 1000  # characters of each text, where all of them together are too long
REMOVED = "…"


def stored_context(generation: Generation, store: str, secrets: Sequence[str]) -> dict[str, Any]:
    """Return the context of a generation's slate. Takes a while: not in an event loop.

    Args:
        generation: that has ended.
        store: none, redacted or full.
        secrets: texts that are stored nowhere: keys of providers, should one send its own back.
    """
    if store == NONE:
        return {}
    redacted: dict[str, None] = {}

    def clean(text: str) -> str:
        # PostgreSQL stores neither U+0000 nor half a surrogate pair.
        text = text.replace("\0", REMOVED).encode("utf-8", "replace").decode()
        for secret in secrets:
            text = text.replace(secret, REMOVED)
        if store != FULL:
            text, kinds = redact(text)
            redacted.update(dict.fromkeys(kinds))
        return text

    context: dict[str, Any] = {
        "messages": _cleaned(generation.messages, clean),
        "variables": _cleaned(dict(generation.variables), clean),
        "answer": _cleaned(generation.answer, clean),
    }
    if len(orjson.dumps(context)) > MAX_STORED_BYTES:
        context = _cleaned(context, lambda text: text[:SHORT] + REMOVED * (len(text) > SHORT))
        context["shortened"] = True
    if len(orjson.dumps(context)) > MAX_STORED_BYTES:
        context = {"answer": context["answer"], "shortened": True}
    return {**context, "redacted": list(redacted)}


def shadow_copy(request: ChatRequest, generation: Generation) -> dict[str, Any]:
    """Return a request as versions in shadow see it: redacted. Takes a while: not in an event loop."""

    def clean(text: str) -> str:
        return redact(text)[0]

    fields = {name: value for name, value in request.parameters.items() if name != "n"}
    if request.tools:
        fields["tools"] = request.tools
    return {
        "messages": _cleaned(list(request.messages), clean),
        "variables": _cleaned(dict(request.variables), clean),
        "fields": fields,
        "served": clean(text_of(generation.answer)),
    }


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        # An image is not text: of its address, which may be all of it, nothing is kept.
        return {
            clean(str(name)): ""
            if name in {"image_url", "input_audio", "file"}
            else _cleaned(one, clean)
            for name, one in value.items()
        }
    if isinstance(value, list):
        return [_cleaned(one, clean) for one in value]
    return value
