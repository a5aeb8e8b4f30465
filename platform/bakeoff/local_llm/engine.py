"""A loaded GGUF file: llama.cpp's own server in this process, called without HTTP."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

QUIET = -1  # prompts must not stand in a log


class MissingExtraError(Exception):
    """The library is not installed; the message says how it is."""


class EngineError(Exception):
    """The engine refused or failed; status: of HTTP."""

    def __init__(self, status: int, message: str) -> None:
        """Keep both."""
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class EngineSize:
    """How much a loaded model may hold.

    Attributes:
        slots: generations at once.
        context: tokens of one generation, its prompt included.
    """

    slots: int = 4
    context: int = 2048


def check_installed() -> None:
    """Refuse to go on without the library.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import xllamacpp  # noqa: F401, PLC0415  the extra may not be there
    except ImportError as error:
        raise MissingExtraError(
            "the embedded model needs the package xllamacpp: pip install 'bakeoff[local-llm]'."
        ) from error


class Engine:
    """One model in memory; its methods may be called from several threads."""

    def __init__(self, path: Path, size: EngineSize) -> None:
        """Load a file; takes about a second for each 100 MB.

        Raises:
            EngineError: it is no model that llama.cpp can load.
        """
        from xllamacpp import CommonParams, Server  # noqa: PLC0415  the extra may not be there

        params = CommonParams()
        params.model.path = str(path)
        params.verbosity = QUIET
        params.warmup = False
        params.n_parallel, params.n_ctx = size.slots, size.slots * size.context
        # Two threads beside other work are ten times slower than one.
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.cache_ram_mib = 0  # prompts that are over are not kept: its default is 8 GB
        # The library also listens on a port of its own, to any page of a browser on this machine:
        # nobody knows the key.
        params.api_keys, params.cors_origins = [secrets.token_hex(32)], "null"
        params.ui = params.endpoint_slots = params.endpoint_props = False
        params.n_threads_http = 1
        try:
            self._server = Server(params)
        except RuntimeError as error:
            raise EngineError(500, f"{path.name} cannot be loaded by llama.cpp.") from error
        # One token: a model that cannot chat is known at once, and the library's loop runs. A server
        # that ends before its loop has begun waits for it for ever.
        self.generate({"messages": [{"role": "user", "content": "hello"}], "max_tokens": 1}, bool)

    def generate(self, fields: Mapping[str, Any], is_wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Generate to the end, chunk by chunk, and release the slot.

        Args:
            fields: of OpenAI's request.
            is_wanted: receives each chunk, the last with `usage`; false stops the generation.

        Raises:
            EngineError: the request cannot be answered by this model.
        """
        failure: list[EngineError] = []

        def take(chunk: dict[str, Any]) -> bool:
            if "error" in chunk:
                failure.append(_error_of(chunk["error"]))
                return True
            return not is_wanted(chunk)

        request = {**fields, "stream": True, "stream_options": {"include_usage": True}}
        try:
            self._server.handle_chat_completions(request, take)
        except ValueError as error:  # the library's word for a request that it cannot parse
            raise EngineError(400, str(error)) from error
        if failure:
            raise failure[0]


def _error_of(error: Mapping[str, Any]) -> EngineError:
    code = error.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    return EngineError(status, str(error.get("message", "the model failed")))
