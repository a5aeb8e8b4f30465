"""Providers of language models: declared by the operator in a file, never by a project.

The setting BAKEOFF_PROVIDERS names a YAML file; the key of a provider is read from
BAKEOFF_PROVIDER_KEY_<NAME> alone, and sent to the host of its address alone: were address and variable
a project's to pair, it could have any variable of the platform sent to any host.

    big:
      base_url: https://api.example.com/v1
      projects: [shop]                # all projects when it is left out
      prices:
        large: [{from: 2026-01-01, input: 2.5, output: 10, cached: 1.25}]   # per million tokens

The file is read again when it changes. One that cannot be read leaves what was read before. Where
BAKEOFF_LOCAL_LLM is set, the embedded model is the provider `local`, free of charge and for all
projects, unless the file has another of that name.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import yaml

from inference.outgoing import LOCAL_LLM, AddressRefusedError, AllowError, check_address
from inference.serving.prices import PriceError, Prices, parse_prices

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)
PROVIDERS = "BAKEOFF_PROVIDERS"
KEY_PREFIX = "BAKEOFF_PROVIDER_KEY_"
MAX_FILE_BYTES = 2**20
COMPLETIONS = "chat/completions"
LOCAL = "local"  # the embedded model


class ProvidersError(ValueError):
    """A file of providers that breaks a rule; the message names where, never a key."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider.

    Attributes:
        name: in versions.
        base_url: to which `/chat/completions` is added.
        prices: by model; `*` for all others.
        projects: slugs that may use it; None: all.
    """

    name: str
    base_url: str
    prices: Prices = field(default_factory=dict)
    projects: frozenset[str] | None = None

    @property
    def url(self) -> str:
        """Where completions are asked for."""
        return f"{self.base_url.rstrip('/')}/{COMPLETIONS}"

    @property
    def key_variable(self) -> str:
        """The variable of the environment that holds its key."""
        return KEY_PREFIX + self.name.upper().replace("-", "_")

    @property
    def key(self) -> str:
        """Its key; empty where it needs none."""
        return os.environ.get(self.key_variable, "")

    @property
    def headers(self) -> dict[str, str]:
        """Of a request."""
        known = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        return {**known, "authorization": f"Bearer {self.key}"} if self.key else known

    def serves(self, project: str) -> bool:
        """Whether a project may use it."""
        return self.projects is None or project in self.projects


NO_PROVIDERS: Mapping[str, Provider] = MappingProxyType({})


def parse_providers(text: str) -> dict[str, Provider]:
    """Read the file's text.

    Raises:
        ProvidersError: it breaks a rule.
    """
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ProvidersError(f"{PROVIDERS}: not YAML: {str(error)[:200]}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ProvidersError(f"{PROVIDERS}: must be an object of providers by name.")
    return {str(name): _provider(str(name), about) for name, about in data.items()}


def _provider(name: str, about: Any) -> Provider:
    if not name.replace("-", "").isalnum() or not name.isascii() or name != name.lower():
        raise ProvidersError(f"provider '{name:.80}', must be lower-case letters, digits and '-'.")
    known = {"base_url", "prices", "projects"}
    if not isinstance(about, dict) or not {"base_url"} <= set(about) <= known:
        # Not what stands there: it might be a key that somebody wrote into the file.
        raise ProvidersError(f"provider '{name}' must have base_url, may have prices and projects.")
    url = str(about["base_url"])
    try:
        check_address(url)
        prices = parse_prices(about.get("prices") or {}, f"{name}.prices")
    except (AddressRefusedError, AllowError, PriceError) as error:
        raise ProvidersError(f"provider '{name}': {error}") from error
    projects = about.get("projects")
    if projects is not None and not isinstance(projects, list):
        raise ProvidersError(f"provider '{name}': projects must be a list of slugs.")
    return Provider(
        name, url, prices, None if projects is None else frozenset(str(one) for one in projects)
    )


class _File:
    """The file, read again when it changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # workers read it in several threads
        self._stamp: tuple[str, int, int] | None = None
        self._providers: Mapping[str, Provider] = NO_PROVIDERS
        self.problem = ""

    def read(self) -> Mapping[str, Provider]:
        path = os.environ.get(PROVIDERS, "")
        if not path:
            return NO_PROVIDERS
        with self._lock:
            try:
                about = os.stat(path)  # noqa: PTH116  for each request: a Path costs more than the call
                stamp = (path, about.st_mtime_ns, about.st_size)
                if stamp != self._stamp:
                    self._stamp = stamp
                    self._providers, self.problem = self._load(Path(path), about.st_size), ""
            except (OSError, UnicodeDecodeError, ProvidersError) as error:
                if str(error) != self.problem:
                    logger.error("providers are not read: %s", error)  # noqa: TRY400
                self.problem = str(error)
            return self._providers

    @staticmethod
    def _load(path: Path, size: int) -> dict[str, Provider]:
        if size > MAX_FILE_BYTES:
            raise ProvidersError(f"{PROVIDERS}: bytes == {size}, must be at most {MAX_FILE_BYTES}.")
        return parse_providers(path.read_text(encoding="utf-8"))


_file = _File()


def read_providers() -> Mapping[str, Provider]:
    """Return the providers by name; one that cannot be read changes nothing.

    Cheap enough for a request: the file is read when its time or size changes.
    """
    declared, address = _file.read(), os.environ.get(LOCAL_LLM)
    if not address or LOCAL in declared:
        return declared
    return {**declared, LOCAL: Provider(LOCAL, f"http://{address}/v1")}


def providers_problem() -> str:
    """Return why the file cannot be read now; empty when it can."""
    _file.read()
    return _file.problem
