"""What models cost: a table of prices by date, per million tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_PRICE = 1e6
MAX_MODELS = 500
PER = 1e6  # tokens


class PriceError(ValueError):
    """A table of prices that breaks a rule; the message names where."""


@dataclass(frozen=True, slots=True)
class Price:
    """From a day on.

    Attributes:
        start: the first day, in UTC.
        input: of a million tokens that are sent.
        output: of a million that come back.
        cached: of a million that are sent and that the provider still had.
    """

    start: date
    input: float
    output: float
    cached: float

    def of(self, *, tokens_in: int, tokens_out: int, tokens_cached: int) -> float:
        """Return what an answer costs."""
        fresh = max(tokens_in - tokens_cached, 0)
        return (fresh * self.input + tokens_cached * self.cached + tokens_out * self.output) / PER


Prices = dict[str, "tuple[Price, ...]"]  # by model, by day


def parse_prices(data: Any, name: str) -> Prices:
    """Read a table: model to one price, or to a list of prices by day.

    Raises:
        PriceError: it is none.
    """
    if not isinstance(data, dict) or len(data) > MAX_MODELS:
        raise PriceError(f"{name} == {data!r:.80}, must be an object of at most {MAX_MODELS} models.")
    return {str(model): _rows(rows, f"{name}.{model}") for model, rows in data.items()}


def _rows(data: Any, name: str) -> tuple[Price, ...]:
    rows = [_price(one, name) for one in (data if isinstance(data, list) else [data])]
    return tuple(sorted(rows, key=lambda one: one.start))


def _price(data: Any, name: str) -> Price:
    known = {"from", "input", "output", "cached"}
    if not isinstance(data, dict) or not {"input", "output"} <= set(data) <= known:
        raise PriceError(
            f"{name} == {data!r:.80}, must have input and output, may have from and cached."
        )
    sent = _amount(data["input"], f"{name}.input")
    return Price(
        start=_day(data.get("from"), f"{name}.from"),
        input=sent,
        output=_amount(data["output"], f"{name}.output"),
        cached=_amount(data.get("cached", sent), f"{name}.cached"),
    )


def _amount(value: Any, name: str) -> float:
    plain = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not plain or not 0 <= value <= MAX_PRICE:
        raise PriceError(f"{name} == {value!r:.80}, must be a number in [0, {MAX_PRICE:g}].")
    return float(value)


def _day(value: Any, name: str) -> date:
    if value is None:
        return date.min
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):  # YAML reads a day as one
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise PriceError(f"{name} == {value!r:.80}, must be a day such as 2026-11-01.") from error


def price_on(rows: Sequence[Price], day: date) -> Price | None:
    """Return the price of a day, or None before the first."""
    return next((one for one in reversed(rows) if one.start <= day), None)


def find_price(tables: Sequence[Mapping[str, Sequence[Price]]], model: str, day: date) -> Price | None:
    """Return a model's price by the first table that has one; `*` stands for every model of a table."""
    for table in tables:
        for name in (model, "*"):
            if name in table and (price := price_on(table[name], day)) is not None:
                return price
    return None
