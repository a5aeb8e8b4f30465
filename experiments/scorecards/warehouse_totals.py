"""Metrics over a warehouse's Parquet files, as the totals of one look."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from experiments.metrics.spec import MetricError, MetricSpec
from experiments.scorecards.unit_file import FileError, FileLook, FileTotals, MetricColumn
from experiments.scorecards.warehouse import first_exposures, open_parquet, totals_of

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.stats.effects import Summary


def read_warehouse(
    *, exposures: str, events: str, slates: str | None, metrics_file: Path, now: datetime | None = None
) -> tuple[FileTotals, list[MetricColumn]]:
    """Compute the metrics of a file over all complete units.

    Raises:
        FileError: a file cannot be read, or there are several epochs, which `bakeoff analyze` cannot
            stratify.
        MetricError: a definition breaks a rule, or a table lacks what it needs.
    """
    specs = _read_specs(metrics_file)
    try:
        records = open_parquet(exposures, events, slates)
        units = first_exposures(records).group_by("variant").agg(units=lambda t: t.count())
        counts = {row["variant"]: row["units"] for row in units.to_pyarrow().to_pylist()}
        summaries: dict[str, dict[str, Summary]] = {}
        for spec in specs:
            epochs = totals_of(spec, records, now=now or datetime.now(UTC))
            if len(epochs) > 1:
                raise FileError(f"epochs == {len(epochs)}, must be 1: filter the exposures first.")
            summaries[spec.key] = dict(epochs[0]) if epochs else {}
    except (OSError, _engine_error()) as error:
        raise FileError(f"tables cannot be read: {str(error).splitlines()[0]}") from error
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
