"""The rows of an archived month as a table: all columns, ordered by unit; a digest of their content.

The digest is of values, column by column, so that how a file is cut into groups, packed or written by
another version of the library does not change it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from django.db import connection, transaction
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Generator

    from experiments.ingest.partitions import Partition

CHUNK = 20_000  # rows in memory at a time, and in a row group: what a look-up of one unit reads
_TIME = pa.timestamp("us", tz="UTC")
# PostgreSQL's types; others are text.
_TYPES: dict[str, pa.DataType] = {
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp with time zone": _TIME,
    "xid8": pa.int64(),
}
_CASTS = {"xid8": "::text::bigint"}
_COLUMNS = """
    SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname"""
# Of a row's text: whatever is changed in it changes the sum, in whichever order rows come.
ROW_HASH = "hashtextextended(stored::text, 0)"


@dataclass(frozen=True, slots=True)
class TableColumns:
    """The columns of a table.

    Attributes:
        schema: as they are in a file.
        selected: SQL of each, in the schema's order.
    """

    schema: pa.Schema
    selected: sql.Composable


def read_columns(table: str) -> TableColumns:
    """Return the columns that a table has now: an archive keeps each, also those of later versions."""
    with connection.cursor() as cursor:
        cursor.execute(_COLUMNS, [table])
        columns = cursor.fetchall()
    selected = [
        sql.SQL("{}" + _CASTS.get(kind, "" if kind in _TYPES else "::text")).format(
            sql.Identifier(name)
        )
        for name, kind in columns
    ]
    schema = pa.schema([(name, _TYPES.get(kind, pa.string())) for name, kind in columns])
    return TableColumns(schema, sql.SQL(", ").join(selected))


@dataclass(slots=True)
class RowStream:
    """Rows of one project and month, and what PostgreSQL says of them.

    Attributes:
        rows: read so far.
        row_hashes: sum of their hashes.
    """

    rows: int = 0
    row_hashes: int = 0

    def read(
        self, partition: Partition, project_id: int, columns: TableColumns
    ) -> Generator[pa.RecordBatch]:
        """Yield the rows in chunks, ordered by unit, all of one moment."""
        key = partition.table.key
        statement = sql.SQL(
            "SELECT {columns}, {hash} FROM ONLY {month} AS stored WHERE project_id = %s"
            ' ORDER BY unit_id COLLATE "C", {key}, {hash}'
        ).format(
            columns=columns.selected,
            hash=sql.SQL(ROW_HASH),
            month=sql.Identifier(partition.name),
            key=sql.Identifier(key),
        )
        with transaction.atomic(), connection.chunked_cursor() as cursor:
            cursor.execute(cast("str", statement), [project_id])
            while rows := cursor.fetchmany(CHUNK):
                *values, hashes = zip(*rows, strict=True)
                self.rows += len(rows)
                self.row_hashes += sum(hashes)
                yield pa.record_batch(
                    [pa.array(v, f.type) for v, f in zip(values, columns.schema, strict=True)],
                    columns.schema,
                )


class ContentDigest:
    """SHA-256 of the values of a table, fed in batches of any size."""

    def __init__(self, schema: pa.Schema) -> None:
        """Begin with no rows.

        Args:
            schema: of the batches that come.
        """
        self._schema, self.rows = schema, 0
        # Of each column: which are missing, the values, and of texts their lengths.
        self._hashes = [tuple(hashlib.sha256() for _ in range(3)) for _ in schema]

    def update(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        self.rows += batch.num_rows
        for column, (missing, values, lengths) in zip(batch.columns, self._hashes, strict=True):
            missing.update(np.asarray(pc.is_null(column)).tobytes())
            if pa.types.is_string(column.type):
                filled: Any = pc.fill_null(column, "")
                lengths.update(np.asarray(pc.binary_length(filled)).tobytes())
                values.update("".join(filled.to_pylist()).encode())
            else:
                plain = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
                empty = pa.scalar(False if pa.types.is_boolean(plain.type) else 0, plain.type)
                values.update(np.asarray(pc.fill_null(plain, empty)).tobytes())

    def hexdigest(self) -> str:
        """Return the digest, which the names and types of the columns are a part of."""
        whole = hashlib.sha256(str(self._schema.remove_metadata()).encode())
        for parts in self._hashes:
            for part in parts:
                whole.update(part.digest())
        return whole.hexdigest()
