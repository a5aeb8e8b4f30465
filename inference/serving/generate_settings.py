"""Settings of a surface that generates: who may ask, what is stored, what may be spent."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from inference.serving.prices import PriceError, Prices, parse_prices
from inference.serving.prompts import PromptError, blocked_terms, directions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NONE, REDACTED, FULL = "none", "redacted", "full"
STORES = (NONE, REDACTED, FULL)
KEY, UNIT, ADDRESS, PROJECT, SURFACE = "key", "unit", "address", "project", "surface"
SHADOW = "shadow"  # what versions in shadow may cost, whom no request waits for
BUDGETED = (KEY, UNIT, ADDRESS, PROJECT, SURFACE, SHADOW)
MAX_BUDGET = 1e15
MAX_CACHE_SECONDS = 30 * 86_400
MAX_INPUT_LENGTH = 1_000_000


class SettingsError(ValueError):
    """Settings that break a rule; `field` names where."""

    def __init__(self, message: str, *, field: str) -> None:
        """Keep the field beside the message."""
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent a day, in UTC; None: no limit."""

    tokens: float | None = None
    money: float | None = None


@dataclass(frozen=True, slots=True)
class CacheRule:
    """How long answers are given again to the same messages.

    Attributes:
        seconds: 0: never.
        during_experiments: also while an experiment runs, whose variants would differ in it.
    """

    seconds: int = 0
    during_experiments: bool = False


@dataclass(frozen=True, slots=True)
class Guardrails:
    """What holds for every version of the surface, beside its own checks.

    Attributes:
        max_input_length: characters of all messages of a request.
        blocked_terms: neither messages nor answers may have them, whatever their case.
        redact: "in": personal data in messages are not sent; "out": nor are those of the answer given.
    """

    max_input_length: int = 200_000
    blocked_terms: tuple[str, ...] = ()
    redact: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GenerateSettings:
    """The settings of a surface of kind `generate`.

    Attributes:
        public: whether public keys may ask, by variables alone.
        store: what is stored of the texts: none, redacted or full.
        cache: of answers.
        budgets: by key, unit, address, project and surface; of shadows apart.
        prices: by provider, by model: in place of the operator's.
        guardrails: of every version.
    """

    public: bool = False
    store: str = REDACTED
    cache: CacheRule = field(default_factory=CacheRule)
    budgets: Mapping[str, Budget] = field(default_factory=dict)
    prices: Mapping[str, Prices] = field(default_factory=dict)
    guardrails: Guardrails = field(default_factory=Guardrails)

    @classmethod
    def parse(cls, data: object) -> GenerateSettings:
        """Read settings from JSON; what is not named has its default.

        Raises:
            SettingsError: they break a rule.
        """
        values = _parts(data, "generate", _READERS)
        settings = cls(**values)
        if settings.cache.seconds and settings.store == NONE:
            raise SettingsError(
                "generate.cache.seconds must be 0 where store is 'none': a cached answer is stored.",
                field="generate.cache",
            )
        limited = {UNIT, ADDRESS} <= set(settings.budgets)
        if settings.public and not limited:
            raise SettingsError(
                "generate.public == true, must have budgets for unit and address: whoever has the page "
                "has the key.",
                field="generate.budgets",
            )
        return settings


DEFAULTS = GenerateSettings()


def _parts(data: object, name: str, readers: Mapping[str, Callable[[Any, str], Any]]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise SettingsError(f"{name} == {data!r:.80}, must be an object.", field=name)
    if unknown := sorted(set(data) - set(readers)):
        where = f"{name}.{unknown[0]}"
        raise SettingsError(f"{where}: unknown field, must be one of {sorted(readers)}.", field=where)
    values = {}
    for key, value in data.items():
        if value is None:
            continue
        where = f"{name}.{key}"
        try:
            values[key] = readers[key](value, where)
        except (PriceError, PromptError) as error:
            raise SettingsError(str(error), field=where) from error
    return values


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise SettingsError(f"{name} == {value!r:.80}, must be true or false.", field=name)
    return value


def _whole(low: int, high: int) -> Callable[[Any, str], int]:
    def read(value: Any, name: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            rule = f"a whole number in [{low}, {high}]"
            raise SettingsError(f"{name} == {value!r:.80}, must be {rule}.", field=name)
        return value

    return read


def _amount(value: Any, name: str) -> float:
    plain = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not plain or not 0 <= value <= MAX_BUDGET:
        rule = f"a number in [0, {MAX_BUDGET:g}]"
        raise SettingsError(f"{name} == {value!r:.80}, must be {rule}.", field=name)
    return float(value)


def _store(value: Any, name: str) -> str:
    if value not in STORES:
        rule = f"one of {', '.join(STORES)}"
        raise SettingsError(f"{name} == {value!r:.80}, must be {rule}.", field=name)
    return str(value)


def _cache(value: Any, name: str) -> CacheRule:
    readers = {"seconds": _whole(0, MAX_CACHE_SECONDS), "during_experiments": _flag}
    return CacheRule(**_parts(value, name, readers))


def _budgets(value: Any, name: str) -> dict[str, Budget]:
    return _parts(value, name, dict.fromkeys(BUDGETED, _budget))


def _budget(value: Any, name: str) -> Budget:
    return Budget(**_parts(value, name, {one.name: _amount for one in fields(Budget)}))


def _prices(value: Any, name: str) -> dict[str, Prices]:
    if not isinstance(value, dict):
        raise SettingsError(f"{name} == {value!r:.80}, must be an object.", field=name)
    return {str(key): parse_prices(table, f"{name}.{key}") for key, table in value.items()}


def _guardrails(value: Any, name: str) -> Guardrails:
    readers = {
        "max_input_length": _whole(1, MAX_INPUT_LENGTH),
        "blocked_terms": blocked_terms,
        "redact": directions,
    }
    return Guardrails(**_parts(value, name, readers))


_READERS: Mapping[str, Callable[[Any, str], Any]] = {
    "public": _flag,
    "store": _store,
    "cache": _cache,
    "budgets": _budgets,
    "prices": _prices,
    "guardrails": _guardrails,
}
