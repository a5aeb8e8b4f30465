"""Metrics over a warehouse's tables or Parquet files, as the totals of one look."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, cast

from experiments.metrics.spec import MetricError, MetricSpec
from experiments.scorecards.unit_file import FileError, FileLook, FileTotals, MetricColumn
from experiments.scorecards.warehouse import (
    first_exposures,
    open_parquet,
    open_tables,
    totals_of,
)
from experiments.scorecards.warehouse_engines import first_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from experiments.scorecards.warehouse import Records
    from experiments.stats.effects import Summary


def read_warehouse(
    *,
    exposures: str,
    events: str,
    slates: str | None,
    metrics_file: Path,
    url: str = "",
    now: datetime | None = None,
) -> tuple[FileTotals, list[MetricColumn]]:
    """Compute the metrics of a file over all complete units.

    Args:
        exposures: a Parquet file, or with a URL the name of a table.
        events: likewise.
        slates: likewise; None where no metric asks for them.
        metrics_file: a JSON list of definitions.
        url: of the warehouse; empty for Parquet files.
        now: units whose window has passed by then are complete.

    Raises:
        FileError: a file or the warehouse cannot be read, or there are several epochs, which
            `bakeoff analyze` cannot stratify.
        MetricError: a definition breaks a rule, or a table lacks what it needs.
    """
    specs = _read_specs(metrics_file)
    try:
        open_records = partial(open_tables, url) if url else open_parquet
        records = open_records(exposures, events, slates)
        return totals_of_records(records, specs, now=now or datetime.now(UTC))
    except (FileError, MetricError):
        raise
    except Exception as error:
        if not url and not isinstance(error, (OSError, _engine_error())):
            raise
        # Of a warehouse any error is its own: each client raises what its server says.
        raise FileError(f"tables cannot be read: {first_line(error, url)}") from error


def totals_of_records(
    records: Records, specs: Sequence[MetricSpec], *, now: datetime
) -> tuple[FileTotals, list[MetricColumn]]:
    """Compute metrics over all complete units of some tables.

    Args:
        records: the tables.
        specs: of the metrics; the first one decides.
        now: units whose window has passed by then are complete.

    Raises:
        FileError: there are several epochs, which `bakeoff analyze` cannot stratify.
        MetricError: a table lacks what a metric needs.
    """
    units = first_exposures(records).group_by("variant").agg(units=lambda t: t.count())
    counts = {row["variant"]: row["units"] for row in units.to_pyarrow().to_pylist()}
    summaries: dict[str, dict[str, Summary]] = {}
    for spec in specs:
        epochs = totals_of(spec, records, now=now)
        if len(epochs) > 1:
            raise FileError(f"epochs == {len(epochs)}, must be 1: filter the exposures first.")
        summaries[spec.key] = dict(epochs[0]) if epochs else {}
    columns = [
        MetricColumn(spec.key, spec.kind, spec.key, "d" if spec.kind == "ratio" else None,
                     quantile=spec.quantile)
        for spec in specs
    ]  # fmt: skip
    return FileTotals(looks=[FileLook("", counts, summaries, {}, {})]), columns


def _engine_error() -> type[Exception]:
    import duckdb  # noqa: PLC0415  the engine's own error, where the engine is used

    return cast("type[Exception]", duckdb.Error)


def _read_specs(path: Path) -> list[MetricSpec]:
    try:
        definitions = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise FileError(f"metrics_file == '{path}', cannot be read: {error}") from error
    is_list = isinstance(definitions, list) and definitions
    if not is_list or not all(isinstance(one, dict) for one in definitions):
        raise FileError(f"metrics_file == '{path}', must hold a list of metric definitions.")
    specs = []
    for one in definitions:
        if missing := {"key", "kind"} - set(one):
            raise MetricError(f"metric == {one!r}, lacks '{min(missing)}'.", field=min(missing))
        specs.append(MetricSpec.from_json(one))
    return specs
