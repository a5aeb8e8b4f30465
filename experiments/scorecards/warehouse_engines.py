"""Other engines than DuckDB: how one is reached, and what Ibis does not say in its dialect.

Ibis compiles the same expressions for every engine. It leaves to us: properties that are stored as
text, whose JSON types each engine tells apart in its own way; parts of a second in ClickHouse; and
ClickHouse's distinct count, which is a guess where it is not asked to be exact.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import ibis

from experiments.scorecards.unit_file import FileError

if TYPE_CHECKING:
    from ibis.backends import BaseBackend
    from ibis.expr.types import Column, Table

CLICKHOUSE, SPARK, DUCKDB = "clickhouse", "pyspark", "duckdb"
BIGQUERY, SNOWFLAKE = "bigquery", "snowflake"
CLICKHOUSE_NUMBERS = ["Int64", "UInt64", "Double"]  # as JSONType names them
# Of each scheme: the extra that installs its client; none for what is always there.
SCHEMES = {
    BIGQUERY: "bigquery",
    CLICKHOUSE: "clickhouse",
    DUCKDB: "",
    SPARK: "spark",
    SNOWFLAKE: "snowflake",
}


def connect(url: str) -> BaseBackend:
    """Open a warehouse.

    Args:
        url: as Ibis reads it, such as `clickhouse://user:password@host:8443/shop?secure=True`.

    Raises:
        FileError: an unknown engine, a client that is not installed, or nobody answers.
    """
    scheme, colon, _ = url.partition("://")
    if not colon or scheme not in SCHEMES:
        raise FileError(
            f"warehouse begins with '{scheme}', must begin with one of "
            f"{[f'{name}://' for name in sorted(SCHEMES)]}."
        )
    try:
        if scheme == SPARK:
            return _connect_spark(url)
        # DuckDB would make a file that is not there.
        return ibis.connect(url, **({"read_only": True} if scheme == DUCKDB else {}))
    except ImportError as error:
        extra = f"pip install 'bakeoff[{SCHEMES[scheme]}]'"
        raise FileError(f"warehouse: {error.name or error} is not installed: {extra}.") from error
    except Exception as error:
        raise FileError(f"warehouse cannot be opened: {first_line(error, url)}") from error


def _connect_spark(url: str) -> BaseBackend:
    from pyspark.sql import SparkSession  # noqa: PLC0415  an extra

    builder = SparkSession.builder
    for name, value in parse_qsl(urlsplit(url).query):
        builder = builder.config(name, value)
    # Ibis's reading of a URL sets each again in the session, where Spark refuses to change some.
    return ibis.pyspark.connect(builder.getOrCreate())


def table_of(engine: BaseBackend, name: str) -> Table:
    """Return a table by its name, with its database before a dot where it is another.

    Columns in capitals, as Snowflake has every name that was not quoted, get their small letters.

    Raises:
        FileError: there is none.
    """
    database, _, table = name.rpartition(".")
    place: Any = tuple(database.split(".")) if "." in database else database or None
    try:
        found = engine.table(table, database=place)
    except Exception as error:
        raise FileError(f"table '{name}' cannot be read: {first_line(error)}") from error
    capitals = {name.lower(): name for name in found.columns if name.isupper()}
    return found.rename({name: old for name, old in capitals.items() if name not in found.columns})


def first_line(error: Exception, url: str = "") -> str:
    """Return an engine's error in one line, without the password of a URL."""
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    password = urlsplit(url).password if url else None
    return line.strip().replace(password, "***") if password else line.strip()


@dataclass(frozen=True, slots=True)
class Property:
    """One property of events, whose values may be of any JSON type.

    Attributes:
        text: of a text; null of anything else.
        number: likewise.
        flag: likewise, of true and false.
        exists: whether the event has it.
    """

    text: Column
    number: Column
    flag: Column
    exists: Column

    @classmethod
    def of_column(cls, column: Column) -> Property:
        """Return a column of one type as if it were a property."""
        return cls(column, column, column, column.notnull())


def property_of(events: Table, name: str, engine: str) -> Property:
    """Return a property as an engine reads it."""
    if engine == CLICKHOUSE:
        kind = _json_type(events.properties, name)
        return Property(
            ibis.cases((kind == "String", _json_text(events.properties, name))),
            ibis.cases((kind.isin(CLICKHOUSE_NUMBERS), _json_number(events.properties, name))),
            ibis.cases((kind == "Bool", _json_flag(events.properties, name))),
            _json_has(events.properties, name).fill_null(False),  # noqa: FBT003
        )
    if engine == SPARK:
        path = f"$[{json.dumps(name)}]"
        value = _variant_get(_try_parse_json(events.properties), path, "variant")
        kind = _schema_of_variant(value)
        is_number = kind.isin(["BIGINT", "DOUBLE"]) | kind.startswith("DECIMAL")
        return Property(
            ibis.cases((kind == "STRING", _variant_text(value, "$", "string"))),
            ibis.cases((is_number, _variant_number(value, "$", "double"))),
            ibis.cases((kind == "BOOLEAN", _variant_flag(value, "$", "boolean"))),
            value.notnull(),
        )
    # DuckDB takes a name with a dot for a path; as a path, quoted, it is one name.
    place = f"$.{json.dumps(name)}" if engine == DUCKDB else name
    # Of a text a cast makes a JSON text here, not what it says.
    is_text = engine in {BIGQUERY, SNOWFLAKE} and events.properties.type().is_string()
    column = (_parse_json(events.properties) if is_text else events.properties.cast("json"))[place]
    return Property(column.str, column.float, column.bool, column.notnull())


def distinct_count(column: Column, engine: str) -> Any:
    """Return how many different values there are, exactly."""
    return _uniq_exact(column) if engine == CLICKHOUSE else column.nunique()


def shifted(column: Column, seconds: float, engine: str) -> Any:
    """Return the time that many seconds later, to the microsecond."""
    microseconds = round(seconds * 1e6)
    if engine == CLICKHOUSE:  # Ibis knows no part of a second there
        kind = "timestamp('UTC', 6)" if column.type().timezone else "timestamp(6)"
        return _add_microseconds(kind)(column, microseconds)
    # Of a difference Ibis makes `-'600'` there, a sign before a text.
    if microseconds >= 0 or engine == SNOWFLAKE:
        return column + ibis.interval(microseconds=microseconds)
    return column - ibis.interval(microseconds=-microseconds)


@cache
def _add_microseconds(kind: str) -> Any:
    @ibis.udf.scalar.builtin(name="addMicroseconds", signature=((kind, "int64"), kind))
    def add(column: Any, microseconds: int) -> Any: ...

    return add


@ibis.udf.scalar.builtin(name="parse_json", signature=(("string",), "json"))
def _parse_json(text: str) -> Any: ...


@ibis.udf.agg.builtin(name="uniqExact")
def _uniq_exact(column: str) -> int: ...


@ibis.udf.scalar.builtin(name="JSONType")
def _json_type(text: str, key: str) -> str: ...


@ibis.udf.scalar.builtin(name="JSONExtractString")
def _json_text(text: str, key: str) -> str: ...


@ibis.udf.scalar.builtin(name="JSONExtractFloat")
def _json_number(text: str, key: str) -> float: ...


@ibis.udf.scalar.builtin(name="JSONExtractBool")
def _json_flag(text: str, key: str) -> bool: ...


@ibis.udf.scalar.builtin(name="JSONHas")
def _json_has(text: str, key: str) -> bool: ...


# Ibis has no type for Spark's variants; nothing but these functions sees one.
@ibis.udf.scalar.builtin(name="try_parse_json")
def _try_parse_json(text: str) -> bytes: ...


@ibis.udf.scalar.builtin(name="schema_of_variant")
def _schema_of_variant(variant: bytes) -> str: ...


@ibis.udf.scalar.builtin(name="try_variant_get")
def _variant_get(variant: bytes, path: str, kind: str) -> bytes: ...


@ibis.udf.scalar.builtin(name="try_variant_get")
def _variant_text(variant: bytes, path: str, kind: str) -> str: ...


@ibis.udf.scalar.builtin(name="try_variant_get")
def _variant_number(variant: bytes, path: str, kind: str) -> float: ...


@ibis.udf.scalar.builtin(name="try_variant_get")
def _variant_flag(variant: bytes, path: str, kind: str) -> bool: ...
