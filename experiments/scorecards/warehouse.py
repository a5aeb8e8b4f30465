"""The same metrics over a warehouse's tables, compiled by Ibis: DuckDB over Parquet, or another engine.

What an engine needs beside Ibis stands in `warehouse_engines`.

A second back end beside `metric_sql`: one definition (`MetricSpec`), the same totals. It recomputes
from all rows, where PostgreSQL keeps totals by the change.

| table | columns |
|---|---|
| exposures | unit_id, variant, exposed_at; epoch where there are several |
| events | unit_id, name, occurred_at; value, item_id, properties (JSON), recommendation_id, source |
| slates | recommendation_id, unit_id, served_at, of this experiment; where a metric asks for them |

Columns of events after the first three are needed where a metric uses them. `source`, where there is
one, is `live` or `loaded`: a value counts live events, a covariate all.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis
from ibis import _

from experiments.kinds import PROPORTIONS
from experiments.metrics.spec import SERVED, Filter, MetricError, MetricSpec, is_slate_fact
from experiments.scorecards.warehouse_engines import (
    DUCKDB,
    Property,
    connect,
    distinct_count,
    property_of,
    shifted,
    table_of,
)
from experiments.stats.quantiles import LOG_GAMMA, MIN_NONZERO, OFFSET, Sketch
from experiments.stats.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ibis.expr.types import Table

    from experiments.stats.effects import Summary


@dataclass(frozen=True, slots=True)
class Records:
    """The tables of one experiment, as Ibis expressions.

    Attributes:
        exposures: see the table above, as the others.
        events: likewise.
        slates: likewise; None where no metric asks for them.
        engine: Ibis's name of the engine that holds them.
    """

    exposures: Table
    events: Table
    slates: Table | None = None
    engine: str = DUCKDB


def open_parquet(exposures: str, events: str, slates: str | None = None) -> Records:
    """Open Parquet files in DuckDB; a pattern such as `events/*.parquet` reads many.

    Raises:
        MetricError: a table lacks a column that every metric needs.
    """
    engine = ibis.duckdb.connect()
    records = Records(
        exposures=engine.read_parquet(exposures),
        events=engine.read_parquet(events),
        slates=engine.read_parquet(slates) if slates else None,
    )
    return _complete(records)


def open_tables(url: str, exposures: str, events: str, slates: str | None = None) -> Records:
    """Open tables of another engine.

    Args:
        url: of the engine, as `connect` reads it.
        exposures: the table's name, with its database before a dot where it is not the URL's.
        events: likewise.
        slates: likewise.

    Raises:
        FileError: the engine or a table cannot be reached.
        MetricError: a table lacks a column that every metric needs.
    """
    engine = connect(url)
    return _complete(
        Records(
            exposures=table_of(engine, exposures),
            events=table_of(engine, events),
            slates=table_of(engine, slates) if slates else None,
            engine=engine.name,
        )
    )


def _complete(records: Records) -> Records:
    _require(records.exposures, "exposures", {"unit_id", "variant", "exposed_at"})
    _require(records.events, "events", {"unit_id", "name", "occurred_at"})
    if records.slates is not None:
        _require(records.slates, "slates", {"recommendation_id", "unit_id", "served_at"})
    return records


def _require(table: Table, name: str, columns: set[str]) -> None:
    if missing := columns - set(table.columns):
        raise MetricError(
            f"{name} lacks the column '{min(missing)}', has {list(table.columns)}.", field=name
        )


def first_exposures(records: Records) -> Table:
    """Return each unit's first exposure: unit_id, variant, epoch, exposed_at."""
    table = records.exposures
    if "epoch" not in table.columns:
        table = table.mutate(epoch=ibis.literal(1))
    window = ibis.window(group_by="unit_id", order_by="exposed_at")
    first = table.mutate(place=ibis.row_number().over(window)).filter(_.place == 0)
    return first.select("unit_id", "variant", "epoch", "exposed_at")


def unit_values(spec: MetricSpec, records: Records) -> Table:
    """Return one row a unit: unit_id, variant, epoch, exposed_at, u, y, d, x, w.

    Raises:
        MetricError: the metric needs a table or column that is not there.
    """
    if spec.trusted_only:
        raise MetricError(
            "trusted_only == true, must be false: a warehouse does not say which key sent an event.",
            field="trusted_only",
        )
    if spec.covariate == "prediction":
        raise MetricError(
            "covariate == 'prediction', must be 'history': a warehouse has no start to fix a model at.",
            field="covariate",
        )
    if facts := [name for name in spec.names if is_slate_fact(name)]:
        raise MetricError(
            f"event == '{facts[0]}', must be an event: a warehouse does not hold facts of answers.",
            field="event",
        )
    units = first_exposures(records)
    after = _EventWindow(spec.delay_seconds, spec.delay_seconds + spec.window_seconds, live=True)
    parts = {"u": _numerator(spec, records, units, after, attributed=spec.attributed_only)}
    parts["d"] = _denominator(spec, records, units, after)
    if spec.lookback_seconds is not None:
        before = _EventWindow(-spec.lookback_seconds, 0.0, live=False)
        parts["x"] = _numerator(spec, records, units, before, attributed=False)
        parts["w"] = _denominator(spec, records, units, before)
    for name, part in parts.items():
        if part is not None:
            units = units.left_join(part.rename({name: "total"}), "unit_id").drop("unit_id_right")
    defaults = {"u": 0, "d": 1, "x": 0, "w": 1}
    units = units.mutate(
        **{
            name: units[name].fill_null(0.0).cast("float64")
            if parts.get(name) is not None
            # A cast of a whole number: PostgreSQL would read 1.0 as a decimal, and sum decimals.
            else ibis.literal(default).cast("float64")
            for name, default in defaults.items()
        }
    )
    cap = spec.cap
    capped = units if cap is None else units.mutate(x=ibis.least(units.x, cap))
    return capped.mutate(y=capped.u if cap is None else ibis.least(capped.u, cap))


@dataclass(frozen=True, slots=True)
class _EventWindow:
    """Seconds from exposure in which events count, and whether live ones alone do."""

    start: float
    end: float
    live: bool


def _within(rows: Table, units: Table, span: _EventWindow, at: str, engine: str) -> Table:
    """Return the rows of each unit that lie in its span."""
    joined = rows.inner_join(units.select("unit_id", "exposed_at"), "unit_id")
    return joined.filter(
        joined[at] >= shifted(joined.exposed_at, span.start, engine),
        joined[at] < shifted(joined.exposed_at, span.end, engine),
    )


def _events(records: Records, span: _EventWindow) -> Table:
    events = records.events
    return (
        events.filter(events.source == "live") if span.live and "source" in events.columns else events
    )


def _numerator(
    spec: MetricSpec, records: Records, units: Table, span: _EventWindow, *, attributed: bool
) -> Table:
    events = _events(records, span)
    if spec.kind == "funnel":
        return _funnel(spec, _within(events, units, span, "occurred_at", records.engine))
    conditions = (condition(events, one, records.engine) for one in spec.filters)
    wanted = [events.name == spec.event, *conditions]
    rows = _within(events.filter(*wanted), units, span, "occurred_at", records.engine)
    if attributed:
        if records.slates is None:
            raise MetricError(
                f"metric '{spec.key}' counts attributed events: slates must be given.", field="slates"
            )
        rows = rows.semi_join(records.slates, "recommendation_id")
    by_unit = rows.group_by("unit_id")
    if spec.kind in PROPORTIONS:
        return by_unit.agg(total=_one_if(rows.count() > 0).cast("float64"))
    if spec.value == "count":
        total = rows.count()
    elif spec.value == "items":
        total = distinct_count(rows.item_id, records.engine)
    else:
        total = rows.value.sum() if spec.value == "sum" else rows.value.max()
    return by_unit.agg(total=total.cast("float64"))


def _one_if(truth: Any) -> Any:
    """Return 1 or 0. No cast: BigQuery makes no float of a boolean, PostgreSQL no bigint either."""
    return ibis.cases((truth, 1), else_=0)


def _funnel(spec: MetricSpec, rows: Table) -> Table:
    """Return 1 for each unit that took the steps in their order."""
    reached = None
    for step in spec.steps:
        taken = rows.filter(rows.name == step).select("unit_id", "occurred_at")
        if reached is not None:
            joined = taken.inner_join(reached, "unit_id")
            taken = joined.filter(joined.occurred_at >= joined.reached_at)
        reached = taken.group_by("unit_id").agg(reached_at=taken.occurred_at.min())
    assert reached is not None  # noqa: S101  a funnel has at least two steps
    return reached.select("unit_id", total=ibis.literal(1.0))


def _denominator(spec: MetricSpec, records: Records, units: Table, span: _EventWindow) -> Table | None:
    if spec.kind != "ratio" or (spec.denominator == SERVED and not span.live):
        return None
    if spec.denominator == SERVED:
        if records.slates is None:
            raise MetricError(
                f"metric '{spec.key}' counts slates: slates must be given.", field="slates"
            )
        rows = _within(records.slates, units, span, "served_at", records.engine)
    else:
        events = _events(records, span)
        rows = _within(
            events.filter(events.name == spec.denominator), units, span, "occurred_at", records.engine
        )
    return rows.group_by("unit_id").agg(total=rows.count().cast("float64"))


def condition(events: Table, one: Filter, engine: str) -> Any:
    """Return a condition. A missing property equals nothing, and differs from everything."""
    name = one.field.removeprefix("properties.")
    inside = one.field not in {"value", "item_id"}
    found = property_of(events, name, engine) if inside else Property.of_column(events[name])
    if one.op == "exists":
        return found.exists if one.value in {None, True} else ~found.exists
    if one.op in {"gt", "gte", "lt", "lte"}:
        compare = {"gt": "__gt__", "gte": "__ge__", "lt": "__lt__", "lte": "__le__"}[one.op]
        return getattr(found.number, compare)(float(one.value)).fill_null(False)  # noqa: FBT003
    if one.op == "in":
        return ibis.or_(*(_equals(found, value) for value in one.value))
    equal = _equals(found, one.value)
    return ~equal if one.op == "ne" else equal


def _equals(found: Property, value: Any) -> Any:
    column = found.number
    if isinstance(value, bool):
        column = found.flag
    elif isinstance(value, str):
        column = found.text
    return (column == value).fill_null(False)  # noqa: FBT003


_TERMS = {
    "sum_y": ("y",), "sum_yy": ("y", "y"), "sum_d": ("d",), "sum_dd": ("d", "d"), "sum_yd": ("y", "d"),
    "sum_x": ("x",), "sum_xx": ("x", "x"), "sum_yx": ("y", "x"),
    "sum_w": ("w",), "sum_ww": ("w", "w"), "sum_yw": ("y", "w"),
    "sum_dx": ("d", "x"), "sum_dw": ("d", "w"), "sum_xw": ("x", "w"),
}  # fmt: skip


def totals_table(spec: MetricSpec, records: Records, *, now: datetime) -> Table:
    """Return the question that `totals_of` puts to the engine.

    Raises:
        MetricError: the metric needs a table or column that is not there.
    """
    values = unit_values(spec, records)
    moment = ibis.literal(now, "timestamp('UTC')" if values.exposed_at.type().timezone else "timestamp")
    complete_at = shifted(values.exposed_at, spec.complete_after_seconds, records.engine)
    complete = values.filter(complete_at <= moment)
    if spec.kind == "quantile":
        return _bucket_counts(complete)
    sums = {}
    for name, (first, *rest) in _TERMS.items():
        product = complete[first] * complete[rest[0]] if rest else complete[first]
        sums[name] = product.sum()
    return complete.group_by("variant", "epoch").agg(
        n=complete.count(), nonzero=_one_if(complete.y != 0).sum(), **sums
    )


def totals_of(spec: MetricSpec, records: Records, *, now: datetime) -> list[Mapping[str, Summary]]:
    """Return the totals, or the sketches of a quantile, of the complete units: one mapping an epoch.

    Args:
        spec: the metric.
        records: the tables.
        now: units whose window has passed by then are complete.

    Raises:
        MetricError: the metric needs a table or column that is not there.
    """
    return read_totals(spec, totals_table(spec, records, now=now).to_pyarrow().to_pylist())


def read_totals(spec: MetricSpec, rows: list[dict[str, Any]]) -> list[Mapping[str, Summary]]:
    """Return what an engine answers to `totals_table`, as `totals_of` does."""
    totals: dict[int, dict[str, Any]] = defaultdict(dict)
    if spec.kind == "quantile":
        for row in rows:
            totals[row["epoch"]].setdefault(row["variant"], {})[row["bucket"]] = row["units"]
        return [
            {variant: Sketch(counts) for variant, counts in totals[epoch].items()}
            for epoch in sorted(totals)
        ]
    for row in rows:
        variant, epoch = row.pop("variant"), row.pop("epoch")
        totals[epoch][variant] = Totals(**row)
    return [totals[epoch] for epoch in sorted(totals)]


def _bucket_counts(complete: Table) -> Table:
    size = complete.y.abs()
    # An engine may take a branch that it does not need: none may see ln(0).
    logarithm = ibis.greatest(size, MIN_NONZERO).ln()
    bucket = (complete.y.sign() * ((logarithm / LOG_GAMMA).ceil() + OFFSET)).cast("int64")
    rows = complete.mutate(bucket=ibis.cases((size <= MIN_NONZERO, 0), else_=bucket))
    return rows.group_by("variant", "epoch", "bucket").agg(units=rows.count())
