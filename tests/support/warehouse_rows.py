"""Rows as a warehouse holds them, and metrics of every kind and filter over them."""

from __future__ import annotations

import json
import random
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from experiments.stats.quantiles import Sketch

if TYPE_CHECKING:
    from pathlib import Path

TABLES = ("exposures", "events", "slates")
START = datetime(2026, 1, 1, tzinfo=UTC)
MOMENT = pa.timestamp("us", tz="UTC")
VALUES = [1, 2.5, "1", "home", "list", True, False, None, "it's"]
NAMES = ["page", "a.b", 'q"x', "it's"]

KINDS: dict[str, dict[str, Any]] = {
    "count": {"kind": "mean", "event": "click"},
    "proportion": {"kind": "proportion", "event": "click", "lookback_seconds": 600},
    "retention": {"kind": "retention", "event": "view", "delay_seconds": 600},
    "funnel": {"kind": "funnel", "steps": ["view", "click", "buy"]},
    "items": {"kind": "mean", "event": "click", "value": "items"},
    "sum": {"kind": "mean", "event": "buy", "value": "sum", "cap": 30.0, "lookback_seconds": 900},
    "max": {"kind": "mean", "event": "buy", "value": "max"},
    "ratio": {"kind": "ratio", "event": "click", "denominator": "view", "lookback_seconds": 900},
    "a slate": {"kind": "ratio", "event": "click", "denominator": "slate"},
    "attributed": {"kind": "mean", "event": "click", "attributed_only": True},
    "parts of a second": {
        "kind": "mean",
        "event": "view",
        "window_seconds": 900.25,
        "delay_seconds": 0.5,
    },
    "quantile": {"kind": "quantile", "event": "buy", "value": "sum", "quantile": 0.5},
}


def _filtered(field: str, op: str, value: Any = None) -> dict[str, Any]:
    return {
        "kind": "mean", "event": "click", "filters": [{"field": field, "op": op, "value": value}],
    }  # fmt: skip


FILTERS: dict[str, dict[str, Any]] = {
    "a text": _filtered("properties.page", "eq", "home"),
    "a text of a digit": _filtered("properties.page", "eq", "1"),
    "a number": _filtered("properties.page", "eq", 1),
    "a flag": _filtered("properties.page", "eq", value=True),
    "another text": _filtered("properties.page", "ne", "home"),
    "another number": _filtered("properties.page", "ne", 2.5),
    "one of several types": _filtered("properties.page", "in", ["home", 2.5, False]),
    "a name that is there": _filtered("properties.page", "exists", value=True),
    "a missing name": _filtered("properties.page", "exists", value=False),
    "above": _filtered("properties.page", "gt", 1),
    "at most": _filtered("properties.page", "lte", 2.5),
    "a value": _filtered("value", "gte", 5),
    "a value that is there": _filtered("value", "exists", value=True),
    "an item": _filtered("item_id", "eq", "i3"),
    "no item": _filtered("item_id", "exists", value=False),
    "a name with a dot": _filtered("properties.a.b", "eq", "list"),
    "a name with a mark": _filtered('properties.q"x', "eq", "it's"),
    "a name with an apostrophe": _filtered("properties.it's", "eq", "it's"),
}


def check_equal(ours: list[Any], theirs: list[Any]) -> None:
    """Counts to the last, sums to rounding, whatever order an engine adds in."""
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert set(one) == set(other)
        for variant, totals in one.items():
            if isinstance(totals, Sketch):
                assert totals == other[variant]
            else:
                assert asdict(other[variant]) == pytest.approx(asdict(totals), rel=1e-9, abs=1e-9)


def write_tables(folder: Path, *, units: int = 300, events: int = 4000) -> None:
    """Write a Parquet file a table: rows of an experiment, and rows that no metric may count."""
    rng = random.Random(0)
    exposures = [
        (f"u{n}", rng.choice(["control", "treatment"]), _moment(rng, 0, 3600)) for n in range(units)
    ]
    exposures += [(unit, variant, at + timedelta(seconds=5)) for unit, variant, at in exposures[:50]]
    _write(folder / "exposures.parquet", exposures, {"unit_id": pa.string(), "variant": pa.string(), "exposed_at": MOMENT})  # fmt: skip
    slates = [(f"r{n}", f"u{n}", _moment(rng, 0, 7200)) for n in range(units)]
    _write(folder / "slates.parquet", slates, {"recommendation_id": pa.string(), "unit_id": pa.string(), "served_at": MOMENT})  # fmt: skip
    columns = {
        "unit_id": pa.string(), "name": pa.string(), "occurred_at": MOMENT, "value": pa.float64(),
        "item_id": pa.string(), "properties": pa.string(), "recommendation_id": pa.string(),
        "source": pa.string(),
    }  # fmt: skip
    _write(folder / "events.parquet", [_event(rng, units) for _ in range(events)], columns)


def _event(rng: random.Random, units: int) -> tuple[Any, ...]:
    properties = {name: rng.choice(VALUES) for name in NAMES if rng.random() < 0.7}
    return (
        f"u{rng.randrange(units + 20)}",
        rng.choice(["view", "click", "buy"]),
        _moment(rng, -1000, 8000),
        round(rng.uniform(-3, 20), 2) if rng.random() < 0.9 else None,
        f"i{rng.randrange(12)}" if rng.random() < 0.9 else None,
        json.dumps(properties) if rng.random() < 0.95 else None,
        f"r{rng.randrange(2 * units)}",
        rng.choice(["live", "live", "loaded"]),
    )


def _moment(rng: random.Random, start: float, end: float) -> datetime:
    return START + timedelta(seconds=rng.uniform(start, end))


def _write(path: Path, rows: list[tuple[Any, ...]], columns: dict[str, pa.DataType]) -> None:
    arrays = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), columns.values(), strict=True)]  # fmt: skip
    parquet.write_table(pa.table(arrays, names=list(columns)), path)
