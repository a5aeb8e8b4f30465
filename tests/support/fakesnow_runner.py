"""Run statements of Snowflake's SQL on fakesnow; for an interpreter that has it, and nothing of ours.

`python fakesnow_runner.py FOLDER` reads the Parquet files `exposures`, `events` and `slates` of the folder
and `statements.json`, a list of texts, and writes `answers.json`: per statement its rows as objects, or the
error as a text.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path

import fakesnow
import pyarrow.parquet as pq
import snowflake.connector

# What fakesnow lacks, as Snowflake's reference defines it: the value of a VARIANT if it is of the type.
MACROS = (
    "as_varchar(x) AS CASE WHEN json_type(x) = 'VARCHAR' THEN x ->> '$' END",
    "as_double(x) AS CASE WHEN json_type(x) IN ('DOUBLE', 'BIGINT', 'UBIGINT') THEN x::DOUBLE END",
    "as_boolean(x) AS CASE WHEN json_type(x) = 'BOOLEAN' THEN x::BOOLEAN END",
)
TYPES = {"string": "TEXT", "double": "FLOAT", "timestamp[us, tz=UTC]": "TIMESTAMP_TZ"}
ROWS = 500  # of one statement


def fill(cursor: snowflake.connector.cursor.SnowflakeCursor, name: str, file: Path) -> None:
    """Make a table whose names are in small letters, as a statement quotes them."""
    table = pq.read_table(file)
    columns = ", ".join(f'"{field.name}" {TYPES[str(field.type)]}' for field in table.schema)
    cursor.execute(f'CREATE TABLE "{name}" ({columns})')
    rows = [f"({', '.join(map(literal, row.values()))})" for row in table.to_pylist()]
    for start in range(0, len(rows), ROWS):
        cursor.execute(f'INSERT INTO "{name}" VALUES {", ".join(rows[start : start + ROWS])}')
    (count,) = cursor.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()
    if count != len(rows):
        sys.exit(f"{name}: {count} rows, must be {len(rows)}.")


def literal(value: object) -> str:
    """Return a value as Snowflake's SQL writes it."""
    if value is None:
        return "NULL"
    if isinstance(value, datetime):
        return f"'{value.isoformat(sep=' ')}'::TIMESTAMP_TZ"
    if isinstance(value, float):
        return repr(value)
    escaped = str(value).replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def main(folder: Path) -> None:
    with fakesnow.patch(), snowflake.connector.connect(database="shop", schema="public") as connection:
        cursor = connection.cursor(snowflake.connector.DictCursor)
        plain = connection.cursor()
        for macro in MACROS:
            connection._duck_conn.execute(f"CREATE MACRO {macro}")
        for name in ("exposures", "events", "slates"):
            fill(plain, name, folder / f"{name}.parquet")
        answers = []
        for statement in json.loads((folder / "statements.json").read_text()):
            try:
                answers.append(cursor.execute(statement).fetchall())
            except Exception as error:  # noqa: BLE001  whatever it cannot do is an answer
                answers.append(f"{type(error).__name__}: {error}")
    (folder / "answers.json").write_text(json.dumps(answers, default=float))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
