"""From a file of totals to totals: one row per variant, metric and look.

| column | of | also called |
|---|---|---|
| variant | | |
| metric | | |
| n | units | |
| sum, sum_squares | value, or a ratio's numerator | sum_y, sum_yy |
| nonzero | units with a value; of a mean, all units if it is left out | |
| sum_denominator | of a ratio | sum_d |
| sum_squares_denominator | | sum_dd |
| sum_products | Σ value · denominator | sum_yd |
| sum_covariate | measured before exposure | sum_x |
| sum_squares_covariate | | sum_xx |
| sum_products_covariate | Σ value · covariate | sum_yx |
| sum_w, sum_ww, sum_yw, sum_dx, sum_dw, sum_xw | a ratio's covariates | |
| kind | unless the question says it | |
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import duckdb

from experiments.column_names import not_found
from experiments.kinds import METRIC_KINDS, PROPORTIONS
from experiments.scorecards.duckdb_source import PLAIN, first_line, source_of
from experiments.scorecards.look_order import order_looks
from experiments.scorecards.unit_file import (
    FileError,
    FileLook,
    FileTotals,
    MetricColumn,
    TextFormat,
)
from experiments.stats.totals import TOTALS, Totals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from experiments.stats.effects import Summary

_COLUMNS = {
    "sum": "sum_y", "sum_squares": "sum_yy",
    "sum_denominator": "sum_d", "sum_squares_denominator": "sum_dd", "sum_products": "sum_yd",
    "sum_covariate": "sum_x", "sum_squares_covariate": "sum_xx", "sum_products_covariate": "sum_yx",
}  # fmt: skip
MAX_ROWS = 1_000_000


def read_totals(
    path: Path,
    metrics: Sequence[MetricColumn],
    *,
    variant: str = "variant",
    look: str | None = None,
    cumulative: bool = False,
    excluded: Sequence[str] = (),
    form: TextFormat = PLAIN,
) -> FileTotals:
    """Read totals; without `cumulative` the rows of a look are what was added since the one before.

    Args:
        path: of the file.
        metrics: what is asked of it.
        variant: column of the variant.
        look: column of the look, if there are several.
        cumulative: whether a look's totals hold all before it.
        excluded: variants to leave out of the comparison.
        form: how a text file writes numbers, and the dates of looks.

    Raises:
        FileError: it cannot be read, lacks a column or a metric, or its totals are impossible.
    """
    names = [name for name in (variant, look) if name]
    columns, rows = _read_rows(path, [*names, "n", "sum"], names, form)
    order, remark = (
        order_looks(sorted({str(row[look]) for row in rows}), form.dates) if look else ([None], "")
    )
    if "metric" not in columns and len(metrics) > 1:
        raise FileError(not_found("metric", columns))
    kinds = {metric.name: metric for metric in metrics}
    added: dict[Any, dict[str, dict[str, Totals]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        name = str(row.get("metric", metrics[0].name))
        if name not in kinds or row[variant] is None or str(row[variant]) in excluded:
            continue
        key = str(row[variant])
        group = added[str(row[look]) if look else None][name]
        group[key] = group.get(key, Totals()) + _totals_of(row, kinds[name], key)
    present = {name for by_metric in added.values() for name in by_metric}
    if missing := [name for name in kinds if name not in present]:
        known = sorted({str(row.get("metric")) for row in rows})
        raise FileError(f"metric == '{missing[0]}', not found; the file has {known}.")
    return FileTotals(
        looks=list(_accumulate(order, added, metrics, cumulative=cumulative)),
        excluded=_excluded_units(rows, variant, metrics[0].name, excluded),
        remarks=[remark] if remark else [],
    )


def _excluded_units(
    rows: Sequence[Mapping[str, Any]], variant: str, metric: str, excluded: Sequence[str]
) -> dict[str, int]:
    """Return the units that the rows of each excluded variant name.

    Raises:
        FileError: the file has no such variant.
    """
    known = sorted({str(row[variant]) for row in rows if row[variant] is not None})
    for name in excluded:
        if name not in known:
            raise FileError(f"exclude == '{name}', not found; the variants are {known}.")
    units = dict.fromkeys(excluded, 0)
    for row in rows:
        if str(row[variant]) in units and str(row.get("metric", metric)) == metric:
            units[str(row[variant])] += round(_number(row, "n"))
    return units


def _read_rows(
    path: Path, needed: Sequence[str], names: Sequence[str], form: TextFormat
) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the columns and the rows; columns of names stay as they are written."""
    try:
        with duckdb.connect() as engine:
            described = engine.execute(
                f"DESCRIBE SELECT * FROM {source_of(path, form=form)}"
            ).fetchall()
            columns = [str(column[0]) for column in described]
            for column in needed:
                if column not in columns and _COLUMNS.get(column) not in columns:
                    raise FileError(not_found(column, columns))
            source = source_of(path, texts=names, form=form)
            cursor = engine.execute(f"SELECT * FROM {source} LIMIT {MAX_ROWS}")
            rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    except duckdb.Error as error:
        raise FileError(f"file == '{path}', cannot be read: {first_line(error)}.") from error
    if not rows:
        raise FileError(f"file == '{path}', holds no row.")
    if not form.is_plain:
        texts = {*names, "metric", "kind"}
        rows = [
            {
                k: form.as_plain(v) if isinstance(v, str) and k not in texts else v
                for k, v in row.items()
            }
            for row in rows
        ]
    return columns, rows


def _number(row: Mapping[str, Any], name: str, default: float | None = None) -> float:
    value = row.get(name, row.get(_COLUMNS.get(name, name)))
    if value is None and default is not None:
        return default
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise FileError(f"{name} == {value!r}, must be a number.") from error
    if not math.isfinite(number):
        raise FileError(f"{name} == {number}, must be finite.")
    return number


def _totals_of(row: Mapping[str, Any], metric: MetricColumn, variant: str) -> Totals:
    n, total = _number(row, "n"), _number(row, "sum")
    if n < 0 or n != round(n):
        raise FileError(f"n == {n:g} of '{variant}', must be a whole number of units.")
    proportion, ratio = metric.kind in PROPORTIONS, metric.kind == "ratio"
    if metric.kind == "quantile":
        raise FileError("a quantile has no totals, must be analysed from rows.")
    if proportion and not 0 <= total <= n:
        raise FileError(f"sum == {total:g} of '{variant}', must be in [0, {n:g}] for a {metric.kind}.")
    squares = total if proportion else _number(row, "sum_squares")
    if n and squares < total * total / n * (1 - 1e-9):
        raise FileError(
            f"sum_squares == {squares:g} of '{variant}', must be at least sum² / n == {total**2 / n:g}."
        )
    d = _number(row, "sum_denominator") if ratio else n
    yd = _number(row, "sum_products") if ratio else total
    values = {
        "sum_y": total, "sum_yy": squares, "sum_d": d, "sum_yd": yd,
        "sum_dd": _number(row, "sum_squares_denominator") if ratio else n,
        "sum_x": _number(row, "sum_covariate", 0.0),
        "sum_xx": _number(row, "sum_squares_covariate", 0.0),
        "sum_yx": _number(row, "sum_products_covariate", 0.0),
        "sum_w": _number(row, "sum_w", n), "sum_ww": _number(row, "sum_ww", n),
        "sum_yw": _number(row, "sum_yw", total), "sum_dw": _number(row, "sum_dw", d),
    }  # fmt: skip
    values["sum_dx"] = _number(row, "sum_dx", values["sum_x"])
    values["sum_xw"] = _number(row, "sum_xw", values["sum_x"])
    nonzero = total if proportion else _number(row, "nonzero", n)
    return Totals(n=round(n), nonzero=round(nonzero), **values)


def _accumulate(
    order: Sequence[Any],
    added: Mapping[Any, Mapping[str, Mapping[str, Totals]]],
    metrics: Sequence[MetricColumn],
    *,
    cumulative: bool,
) -> Iterator[FileLook]:
    so_far: dict[str, dict[str, Totals]] = {metric.name: {} for metric in metrics}
    for label in order:
        batch: dict[str, dict[str, Totals]] = {}
        for name, group in added.get(label, {}).items():
            batch[name] = {}
            for variant, totals in group.items():
                before = so_far[name].get(variant, Totals())
                batch[name][variant] = _less(totals, before) if cumulative else totals
                so_far[name][variant] = totals if cumulative else before + totals
        summaries: dict[str, dict[str, Summary]] = {name: dict(group) for name, group in so_far.items()}
        units = {variant: totals.n for variant, totals in so_far[metrics[0].name].items()}
        yield FileLook("" if label is None else str(label), units, summaries, {}, batch)


def _less(totals: Totals, before: Totals) -> Totals:
    if totals.n < before.n:
        raise FileError(
            f"n == {totals.n} after {before.n}, must not shrink when totals are cumulative."
        )
    return Totals(**{name: getattr(totals, name) - getattr(before, name) for name in TOTALS})


def kinds_in(path: Path, form: TextFormat = PLAIN) -> list[MetricColumn]:
    """Return the metrics that a file of totals names itself, by its columns `metric` and `kind`.

    Raises:
        FileError: it has no such columns, or a kind that is none.
    """
    source = source_of(path, form=form)
    with duckdb.connect() as engine:
        try:
            rows = engine.execute(
                f"SELECT metric, min(kind) FROM {source} GROUP BY metric ORDER BY 1"
            ).fetchall()
        except duckdb.Error as error:
            raise FileError(
                "metrics == 0, must be named by --metric NAME:KIND, or by columns 'metric' and 'kind'."
            ) from error
    for name, kind in rows:
        if kind not in METRIC_KINDS:
            raise FileError(
                f"kind == '{kind}' of metric '{name}', must be one of {list(METRIC_KINDS)}."
            )
    return [
        MetricColumn(str(name), kind, str(name), "" if kind == "ratio" else None) for name, kind in rows
    ]
