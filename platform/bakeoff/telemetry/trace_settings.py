"""Where traces go, from the environment; the packages are imported only where a place is named."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

ENDPOINT, CONTENT = "BAKEOFF_OTLP_ENDPOINT", "BAKEOFF_OTLP_CONTENT"


class TraceSettingsError(ValueError):
    """A setting that breaks its rule, or the packages are missing; the message says which."""


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """Where traces go.

    Attributes:
        endpoint: base URL of a receiver of OTLP over HTTP, such as http://127.0.0.1:4318; empty: none.
        content: whether texts of prompts and answers go there too.
    """

    endpoint: str = ""
    content: bool = False

    @classmethod
    def of(cls, env: Mapping[str, str]) -> TraceSettings:
        """Read the variables.

        Raises:
            TraceSettingsError: a variable breaks its rule.
        """
        endpoint = env.get(ENDPOINT, "").rstrip("/")
        parts = urlsplit(endpoint)
        if endpoint and not (parts.scheme in {"http", "https"} and parts.hostname):
            raise TraceSettingsError(
                f"{ENDPOINT} == '{endpoint}', must be a URL such as http://127.0.0.1:4318."
            )
        return cls(endpoint, env.get(CONTENT, "") == "1")

    def check_installed(self) -> None:
        """Refuse to go on without the packages where traces are wanted.

        Raises:
            TraceSettingsError: they are missing.
        """
        if not self.endpoint:
            return
        try:
            installed = find_spec("opentelemetry.exporter.otlp.proto.http") and find_spec(
                "opentelemetry.sdk"
            )
        except ModuleNotFoundError:  # a part of the name is missing
            installed = None
        if not installed:
            raise TraceSettingsError(
                f"{ENDPOINT} needs the packages of OpenTelemetry: pip install 'bakeoff[otel]'."
            )
