"""Where traces go, from the environment; the packages are imported only where a place is named."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

ENDPOINT, CONTENT = "BAKEOFF_OTLP_ENDPOINT", "BAKEOFF_OTLP_CONTENT"
# OpenTelemetry's own variables. The SDK takes every trace where it cannot read them, and says so only
# in a log: an operator who mistyped a ratio would pay for it.
SAMPLER, SAMPLER_ARG = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
_RATIOS = ("traceidratio", "parentbased_traceidratio")
_SAMPLERS = (
    "always_on",
    "always_off",
    "parentbased_always_on",
    "parentbased_always_off",
    *_RATIOS,
)


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
        if endpoint:
            _check_sampler(env.get(SAMPLER, "").lower(), env.get(SAMPLER_ARG, ""))
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


def _check_sampler(sampler: str, argument: str) -> None:
    """Refuse a sampler that OpenTelemetry would replace by one that takes every trace.

    Raises:
        TraceSettingsError: it is unknown, or its ratio is none.
    """
    if sampler and sampler not in _SAMPLERS:
        raise TraceSettingsError(
            f"{SAMPLER} == '{sampler}', must be one of {', '.join(sorted(_SAMPLERS))}."
        )
    if sampler not in _RATIOS:
        return
    try:
        is_ratio = 0.0 <= float(argument) <= 1.0
    except ValueError:
        is_ratio = False
    if not is_ratio:
        raise TraceSettingsError(f"{SAMPLER_ARG} == '{argument}', must be a ratio from 0 to 1.")
