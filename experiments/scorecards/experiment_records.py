"""An experiment's records as tables of DuckDB: archived months beside the rows of PostgreSQL.

Guarantees: which months are archived and the rows that are not are of one moment, so that a month that
is moved meanwhile is read once; each archived file is compared with its digest before it is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from django.db import connection, transaction

from experiments.archive.files import fetch_file
from experiments.metrics.freeze import spec_of
from experiments.metrics.spec import MetricError, MetricSpec, is_feedback
from experiments.models import ArchivedMonth, Experiment
from experiments.replica import primary_position, read_up_to
from experiments.scorecards.unit_file import FileError
from experiments.scorecards.warehouse import Records
from experiments.sql import is_excluded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from experiments.archive.place import ArchivePlace

_TIME = pa.timestamp("us", tz="UTC")
_TEXT = pa.string()
EXPOSURES = pa.schema({"unit_id": _TEXT, "variant": _TEXT, "epoch": pa.int32(), "exposed_at": _TIME})
EVENTS = pa.schema(
    {
        **dict.fromkeys(("unit_id", "name", "item_id", "recommendation_id", "source"), _TEXT),
        "properties": _TEXT,
        "value": pa.float64(),
        "occurred_at": _TIME,
    }
)
SLATES = pa.schema(
    {
        "recommendation_id": _TEXT,
        "unit_id": _TEXT,
        "experiment_id": pa.int64(),
        "served_at": _TIME,
    }
)
_EXPOSED = f"""
    SELECT x.unit_id, v.key, x.epoch, x.exposed_at FROM experiments_exposure AS x
    JOIN experiments_variant AS v ON v.id = x.variant_id
    WHERE x.experiment_id = %(experiment)s AND NOT {is_excluded("x")}"""  # noqa: S608  constants
_HAPPENED = """
    SELECT unit_id, name, item_id, recommendation_id::text, source, properties::text, value, occurred_at
    FROM experiments_event WHERE project_id = %(project)s AND name = ANY(%(names)s)
        AND occurred_at >= %(start)s AND occurred_at < %(end)s"""
_SERVED = """
    SELECT recommendation_id::text, unit_id, experiment_id, served_at FROM experiments_slate
    WHERE project_id = %(project)s AND experiment_id = %(experiment)s"""
CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class ExperimentRecords:
    """What an experiment is counted from.

    Attributes:
        specs: of its metrics, the primary one first.
        records: the tables.
        archived: how many archived months are among them.
    """

    specs: list[MetricSpec]
    records: Records
    archived: int


def open_experiment(experiment: Experiment, *, place: ArchivePlace, folder: Path) -> ExperimentRecords:
    """Write an experiment's rows to a folder, beside its archived months, and open both.

    Args:
        experiment: that has started.
        place: the archive.
        folder: of this machine; the caller deletes it when the tables are no longer read.

    Raises:
        FileError: it has not started, or assigns something else than users.
        MetricError: a metric counts what these tables do not hold.
        ArchiveError: a file of the archive is not whole.
    """
    if experiment.mode != Experiment.Mode.SPLIT:
        raise FileError(f"mode == '{experiment.mode}' of '{experiment.key}', must be 'split'.")
    specs = _specs_of(experiment)
    # A scan of all rows, so not of the primary; of what that has by now, none is left out.
    months = read_up_to(primary_position(), partial(_write_rows, experiment, specs, folder))
    files: dict[str, list[str]] = {
        name: [str(folder / f"{name}.parquet")] for name in ("events", "slates")
    }
    for row in months:
        file = folder / f"{row.table}-{row.month}.parquet"
        fetch_file(place, row, file)
        files[row.table].append(str(file))
    engine = ibis.duckdb.connect()
    slates = engine.read_parquet(files["slates"], union_by_name=True)
    events = engine.read_parquet(files["events"], union_by_name=True)
    records = Records(
        exposures=engine.read_parquet(str(folder / "exposures.parquet")),
        events=events.select(*EVENTS.names),
        slates=slates.filter(slates.experiment_id == experiment.pk).select(*SLATES.names),
    )
    return ExperimentRecords(specs, records, len(months))


def _write_rows(
    experiment: Experiment, specs: Sequence[MetricSpec], folder: Path
) -> list[ArchivedMonth]:
    """Write the rows of one moment that are in the database; return the months that were not.

    Raises:
        FileError: nobody was exposed.
    """
    values: dict[str, Any] = {
        "project": experiment.project_id,
        "experiment": experiment.pk,
        "names": sorted({name for spec in specs for name in spec.names}),
    }
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        exposed = _write(folder / "exposures.parquet", EXPOSURES, _EXPOSED, values)
        if exposed is None:
            raise FileError(f"exposures of '{experiment.key}' == 0, must be at least one.")
        values |= _span_of(specs, *exposed)
        _write(folder / "events.parquet", EVENTS, _HAPPENED, values)
        _write(folder / "slates.parquet", SLATES, _SERVED, values)
        rows = ArchivedMonth.objects.filter(project=experiment.project_id, archived_at__isnull=False)
        return [
            row
            for row in rows
            if row.month.isoformat()[:7] >= f"{values['start']:%Y-%m}"
            and row.month < values["end"].date()
        ]


def _specs_of(experiment: Experiment) -> list[MetricSpec]:
    roles = {"primary": 0, "secondary": 1, "guardrail": 2}
    metrics = list(experiment.metrics.select_related("metric"))
    metrics.sort(key=lambda one: roles[one.role])
    specs = [spec_of(metric, experiment) for metric in metrics]
    if not specs:
        raise FileError(f"metrics of '{experiment.key}' == 0, must be at least one.")
    for spec in specs:
        if names := [name for name in spec.names if is_feedback(name)]:
            raise MetricError(
                f"event == '{names[0]}', must be an event: feedback is not among these tables.",
                field="event",
            )
    return specs


def _span_of(specs: Sequence[MetricSpec], first: datetime, last: datetime) -> dict[str, datetime]:
    """Return from when to when events may count for units that were exposed in a time."""
    before = max(spec.lookback_seconds or 0.0 for spec in specs)
    after = max(spec.complete_after_seconds for spec in specs)
    return {
        "start": first - timedelta(seconds=before),
        "end": last + timedelta(seconds=after + 1),
    }


def _write(
    file: Path, schema: pa.Schema, statement: str, values: dict[str, Any]
) -> tuple[datetime, datetime] | None:
    """Write the rows of a statement; return the first and the last of their last column, if any."""
    first: datetime | None = None
    last: datetime | None = None
    with pq.ParquetWriter(file, schema) as writer, connection.chunked_cursor() as cursor:
        cursor.execute(statement, values)
        while rows := cursor.fetchmany(CHUNK):
            columns = list(zip(*rows, strict=True))
            arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema))
            first = min(columns[-1]) if first is None else min(first, *columns[-1])
            last = max(columns[-1]) if last is None else max(last, *columns[-1])
    return None if first is None or last is None else (first, last)
