"""From a file of units to totals, streamed by DuckDB: ten million rows in less than a gigabyte.

The way of the data: the columns that are asked for are read once into a table on disk, each value
checked; the rows of a unit are summed to it; products are summed per variant and look. A unit whose
rows come in at several looks counts from its first, and later rows change it by the difference.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from experiments.analysis.metric_sql import BUCKET, TERMS
from experiments.stats.effects import PROPORTIONS
from experiments.stats.quantiles import Sketch
from experiments.stats.totals import TOTALS, Moments, Totals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from experiments.stats.effects import Kind, Summary

MEMORY = "450MB"
MISSING = ("", "na", "n/a", "nan", "null", "none")
FRESH = "fresh"  # Σy of the units that are new at a look
ILL_CONDITIONED = 1e4  # |mean| / sd beyond which sums are taken about the mean


class FileError(ValueError):
    """A file or a question that cannot be read; the message names the value and the rule."""


@dataclass(frozen=True, slots=True)
class MetricColumn:
    """A metric over columns.

    Attributes:
        name: of the metric.
        kind: proportion, mean, ratio, quantile, retention or funnel.
        value: column of the value, or of a ratio's numerator.
        denominator: column of a ratio's denominator.
        covariate: column measured before exposure.
        covariate_denominator: of a ratio's covariate.
        quantile: which, of a quantile.
        cap: larger values of a unit count as this.
    """

    name: str
    kind: Kind
    value: str
    denominator: str | None = None
    covariate: str | None = None
    covariate_denominator: str | None = None
    quantile: float = 0.5
    cap: float | None = None

    @property
    def columns(self) -> list[str]:
        """The columns that it reads."""
        named = (self.value, self.denominator, self.covariate, self.covariate_denominator)
        return [column for column in named if column]


@dataclass(frozen=True, slots=True)
class FileLook:
    """What is known at one look: cumulative.

    Attributes:
        label: the look's name in the file; empty where there is only one.
        units: per variant.
        summaries: by metric, by variant.
        uncapped: totals without the cap of capped metrics, likewise.
        batch: of proportions, the units that are new at this look, as they were then, by metric, by
            variant.
    """

    label: str
    units: dict[str, int]
    summaries: dict[str, dict[str, Summary]]
    uncapped: dict[str, dict[str, Totals]]
    batch: dict[str, dict[str, Totals]]


@dataclass(frozen=True, slots=True)
class FileTotals:
    """A file's totals at each of its looks.

    Attributes:
        looks: in order, at least one.
        doubled: units that the file shows in two variants; they are left out.
        missing: units without a value, by metric and variant.
        unassigned: rows without a variant; they are left out.
        segments: totals of the first metric by `column=value`, by variant.
        segment_units: units by `column=value`, by variant.
    """

    looks: list[FileLook]
    doubled: int = 0
    missing: dict[str, dict[str, int]] = field(default_factory=dict)
    unassigned: int = 0
    segments: dict[str, dict[str, Summary]] = field(default_factory=dict)
    segment_units: dict[str, dict[str, int]] = field(default_factory=dict)


def quote(name: str) -> str:
    """Quote an identifier."""
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class UnitFile:
    """A file of rows, opened.

    Attributes:
        path: CSV (also gzipped) or Parquet.
        variant: column of the variant.
        metrics: what is asked of it; the first one is broken down by segments.
        unit: column of the unit, if a unit may have several rows.
        look: column that says at which look a row came in.
        segments: columns to break down by.
    """

    path: Path
    variant: str
    metrics: Sequence[MetricColumn]
    unit: str | None = None
    look: str | None = None
    segments: Sequence[str] = ()

    def totals(self) -> FileTotals:
        """Read the file.

        Raises:
            FileError: it cannot be read, lacks a column, or holds a value that is not allowed.
        """
        with (
            tempfile.TemporaryDirectory(prefix="bakeoff-analyze-") as folder,
            duckdb.connect(str(Path(folder) / "rows.duckdb")) as engine,
        ):
            engine.execute(f"SET memory_limit = '{MEMORY}'")
            engine.execute(f"SET temp_directory = {_text(folder)}")
            engine.execute("SET preserve_insertion_order = false")
            engine.execute("SET threads = 2")
            return _Reader(engine, self).read()


class _Reader:
    """One reading of a file: each step a table or a query of its engine."""

    def __init__(self, engine: duckdb.DuckDBPyConnection, given: UnitFile) -> None:
        self._engine, self._given = engine, given
        self._columns = list(dict.fromkeys(c for metric in given.metrics for c in metric.columns))
        self._shifts: dict[str, float] = {}

    def read(self) -> FileTotals:
        """Read, check and sum."""
        unassigned = self._load()
        self._check_values()
        doubled = self._sum_rows()
        self._measure_shifts()
        labels = self._labels()
        units = self._count_units()
        added = {metric.name: self._sum_products(metric) for metric in self._given.metrics}
        looks = list(self._accumulate(labels, units, added))
        return FileTotals(
            looks=looks,
            doubled=doubled,
            missing=self._missing(),
            unassigned=unassigned,
            segments=self._segment_totals(),
            segment_units=self._segment_units(),
        )

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._engine.execute(query).fetchall()

    def _load(self) -> int:
        """Read the columns that are asked for; return how many rows have no variant."""
        given = self._given
        source = source_of(given.path)
        try:
            described = self._rows(f"DESCRIBE SELECT * FROM {source}")
        except duckdb.Error as error:
            raise FileError(f"file == '{given.path}', cannot be read: {_first_line(error)}") from error
        types = {name: str(kind) for name, kind, *_ in described}
        for column in (given.variant, given.unit, given.look, *given.segments, *self._columns):
            if column and column not in types:
                raise FileError(f"column == '{column}', not found; the file has {list(types)}.")
        names = [
            f"nullif(trim({quote(given.variant)}::VARCHAR), '') AS variant",
            f"{quote(given.unit)}::VARCHAR AS unit" if given.unit else "NULL AS unit",
            f"{quote(given.look)} AS look" if given.look else "NULL AS look",
            *(f"{quote(s)}::VARCHAR AS segment_{n}" for n, s in enumerate(given.segments)),
            *(f"{_number(c, types[c])} AS value_{n}" for n, c in enumerate(self._columns)),
            *(
                f"{quote(c)}::VARCHAR AS text_{n}"
                for n, c in enumerate(self._columns)
                if _is_text(types[c])
            ),
        ]
        try:
            self._engine.execute(f"CREATE TABLE entries AS SELECT {', '.join(names)} FROM {source}")
        except duckdb.Error as error:
            raise FileError(f"file == '{given.path}', cannot be read: {_first_line(error)}") from error
        ((rows, unassigned),) = self._rows(
            "SELECT count(*), count(*) FILTER (variant IS NULL) FROM entries"
        )
        if not rows:
            raise FileError(f"file == '{given.path}', holds no row.")
        self._check_texts([n for n, c in enumerate(self._columns) if _is_text(types[c])])
        if given.unit and self._rows(
            "SELECT 1 FROM entries WHERE unit IS NULL AND variant IS NOT NULL LIMIT 1"
        ):
            raise FileError(f"column '{given.unit}' has a row without a value, must name a unit.")
        if given.look and self._rows("SELECT 1 FROM entries WHERE look IS NULL LIMIT 1"):
            raise FileError(f"column '{given.look}' has a row without a value, must name a look.")
        return int(unassigned)

    def _check_texts(self, places: Sequence[int]) -> None:
        missing = ", ".join(_text(word) for word in MISSING)
        for n in places:
            found = self._rows(
                f"""SELECT count(*), min(text_{n}) FROM entries WHERE value_{n} IS NULL
                AND text_{n} IS NOT NULL AND lower(trim(text_{n})) NOT IN ({missing})"""
            )
            count, example = found[0]
            if count:
                raise FileError(
                    f"column '{self._columns[n]}' has {count} value{'s' * (count > 1)} such as "
                    f"'{example}', must be numbers."
                )

    def _check_values(self) -> None:
        """Refuse what no metric can be made of; NaN is how some tools write a missing value."""
        for n, column in enumerate(self._columns):
            self._engine.execute(f"UPDATE entries SET value_{n} = NULL WHERE isnan(value_{n})")
            ((count,),) = self._rows(f"SELECT count(*) FROM entries WHERE isinf(value_{n})")
            if count:
                raise FileError(
                    f"column '{column}' has {count} infinite value{'s' * (count > 1)}, must be finite."
                )
        for metric in self._given.metrics:
            if metric.kind in PROPORTIONS:
                place = self._place(metric.value)
                wrong = self._rows(
                    f"""SELECT {place} FROM entries WHERE {place} IS NOT NULL
                    AND {place} NOT IN (0, 1) LIMIT 1"""
                )
                if wrong:
                    raise FileError(
                        f"metric '{metric.name}': value == {wrong[0][0]:g}, must be 0 or 1 for a "
                        f"{metric.kind}."
                    )

    def _place(self, column: str) -> str:
        return f"value_{self._columns.index(column)}"

    def _sum_rows(self) -> int:
        """Sum the rows of each unit up to each look; return how many units were in two variants."""
        given = self._given
        proportions = {m.value for m in given.metrics if m.kind in PROPORTIONS}
        kept = "variant IS NOT NULL"
        segments = [f"segment_{n}" for n in range(len(given.segments))]
        if not given.unit:
            self._engine.execute(
                f"CREATE VIEW units AS SELECT *, true AS is_new FROM entries WHERE {kept}"
            )
            return 0
        values = [
            f"{'max' if c in proportions else 'sum'}(value_{n}) AS value_{n}"
            for n, c in enumerate(self._columns)
        ]
        first = [f"min({s}) AS {s}" for s in segments]
        self._engine.execute(
            f"""CREATE TABLE summed AS SELECT unit, look, min(variant) AS variant,
            max(variant) AS other, {", ".join([*first, *values])}
            FROM entries WHERE {kept} GROUP BY unit, look"""
        )
        self._engine.execute(
            """CREATE TABLE doubled AS SELECT unit FROM summed GROUP BY unit
            HAVING min(variant) <> max(other)"""
        )
        running = []
        for n, c in enumerate(self._columns):
            total = "max" if c in proportions else "sum"
            running.append(f"{total}(value_{n}) OVER so_far AS value_{n}")
        self._engine.execute(
            f"""CREATE TABLE units AS SELECT unit, look, variant, {"".join(s + ", " for s in segments)}
            row_number() OVER so_far = 1 AS is_new, {", ".join(running)}
            FROM summed WHERE unit NOT IN (SELECT unit FROM doubled)
            WINDOW so_far AS (PARTITION BY unit ORDER BY look)"""
            if given.look
            else """CREATE VIEW units AS SELECT *, true AS is_new FROM summed
            WHERE unit NOT IN (SELECT unit FROM doubled)"""
        )
        ((doubled,),) = self._rows("SELECT count(*) FROM doubled")
        return int(doubled)

    def _measure_shifts(self) -> None:
        """Find the columns whose spread sums would lose: they are summed about their mean."""
        for metric in self._given.metrics:
            if metric.kind != "mean" or metric.cap is not None:
                continue
            for column in (metric.value, metric.covariate):
                if column is None:
                    continue
                place = self._place(column)
                ((mean, sd),) = self._rows(f"SELECT avg({place}), stddev_samp({place}) FROM units")
                if mean is not None and sd and abs(mean) > ILL_CONDITIONED * sd:
                    self._shifts[column] = mean

    def _labels(self) -> list[Any]:
        if not self._given.look:
            return [None]
        return [row[0] for row in self._rows("SELECT DISTINCT look FROM units ORDER BY look")]

    def _count_units(self) -> dict[tuple[Any, str], int]:
        rows = self._rows(
            "SELECT look, variant, count(*) FROM units WHERE is_new GROUP BY look, variant"
        )
        return {(look, variant): count for look, variant, count in rows}

    def _numbers(self, metric: MetricColumn) -> str:
        """SQL of y, d, x, w and u of a unit at a look; a row where one is missing does not count."""

        def column(name: str | None, default: str) -> str:
            if name is None:
                return default
            shift = self._shifts.get(name, 0.0)
            return f"({self._place(name)} - {shift!r})" if shift else self._place(name)

        u = column(metric.value, "")
        y = u if metric.cap is None else f"least({u}, {metric.cap!r})"
        parts = {
            "y": y,
            "d": column(metric.denominator, "1.0"),
            "x": column(metric.covariate, "0.0"),
            "w": column(metric.covariate_denominator, "1.0"),
            "u": u,
        }
        return ", ".join(f"{sql}::DOUBLE AS {name}" for name, sql in parts.items())

    def _valid(self, metric: MetricColumn) -> str:
        return " AND ".join(f"{self._place(column)} IS NOT NULL" for column in metric.columns)

    def _valued(self, metric: MetricColumn) -> str:
        """SQL of the rows that count for a metric."""
        return f"""SELECT unit, look, variant, {self._numbers(metric)} FROM units
            WHERE {self._valid(metric)}"""

    def _sum_products(self, metric: MetricColumn) -> dict[Any, dict[str, dict[str, Any]]]:
        """Return what each look adds, by variant: sums of products, or counts of buckets."""
        if metric.kind == "quantile":
            return self._sum_buckets(metric)
        several = bool(self._given.unit and self._given.look)
        numbers = self._valued(metric)
        sums, counts = [], "count(*)"
        for name, product in TERMS.items():
            sql = product.replace("::int", "::DOUBLE")
            if several:
                sql = f"({sql}) - coalesce(lag({sql}) OVER by_unit, 0)"
            sums.append(f"{sql} AS {name}")
        new = "row_number() OVER by_unit = 1" if several else "true"
        window = "WINDOW by_unit AS (PARTITION BY unit ORDER BY look)" if several else ""
        if several:
            counts = "count(*) FILTER (is_new)"
        totals = ", ".join(f"fsum({name})" for name in TERMS)
        rows = self._rows(
            f"""WITH numbers AS ({numbers}),
            products AS (SELECT look, variant, {new} AS is_new, {", ".join(sums)} FROM numbers {window})
            SELECT look, variant, {counts}, coalesce(fsum(sum_y) FILTER (is_new), 0), {totals}
            FROM products GROUP BY look, variant"""
        )
        added: dict[Any, dict[str, dict[str, Any]]] = defaultdict(dict)
        for look, variant, n, fresh, *values in rows:
            added[look][variant] = {"n": n, FRESH: fresh, **dict(zip(TERMS, values, strict=True))}
        return added

    def _sum_buckets(self, metric: MetricColumn) -> dict[Any, dict[str, dict[str, Any]]]:
        bucket = BUCKET.replace("::int", "::BIGINT")
        rows = self._rows(
            f"""WITH numbers AS (
                {self._valued(metric)}),
            placed AS (SELECT unit, look, variant, {bucket} AS bucket FROM numbers),
            moved AS (
                SELECT look, variant, bucket, 1 AS units FROM placed
                UNION ALL
                SELECT look, variant, lag(bucket) OVER (PARTITION BY unit ORDER BY look), -1
                FROM placed WHERE {bool(self._given.unit and self._given.look)})
            SELECT look, variant, bucket, sum(units) FROM moved WHERE bucket IS NOT NULL
            GROUP BY look, variant, bucket"""
        )
        added: dict[Any, dict[str, dict[str, Any]]] = defaultdict(dict)
        for look, variant, place, units in rows:
            added[look].setdefault(variant, {})[place] = int(units)
        return added

    def _accumulate(
        self,
        labels: Sequence[Any],
        units: Mapping[tuple[Any, str], int],
        added: Mapping[str, Mapping[Any, Mapping[str, Mapping[str, Any]]]],
    ) -> Iterator[FileLook]:
        """Yield what is known at each look."""
        counts: dict[str, int] = defaultdict(int)
        sums: dict[str, dict[str, dict[Any, float]]] = {
            m.name: defaultdict(lambda: defaultdict(float)) for m in self._given.metrics
        }
        for label in labels:
            for (look, variant), count in units.items():
                if look == label:
                    counts[variant] += count
            batch: dict[str, dict[str, Totals]] = {}
            for metric in self._given.metrics:
                new = added[metric.name].get(label, {})
                for variant, values in new.items():
                    for name, value in values.items():
                        sums[metric.name][variant][name] += value
                if metric.kind in PROPORTIONS:
                    batch[metric.name] = {
                        variant: Totals.of_proportion(round(values[FRESH]), values["n"])
                        for variant, values in new.items()
                        if values["n"]
                    }
            yield FileLook(
                label="" if label is None else str(label),
                units=dict(counts),
                summaries={
                    m.name: {v: self._summary(m, values) for v, values in sums[m.name].items()}
                    for m in self._given.metrics
                },
                uncapped={
                    m.name: {v: _uncapped(values) for v, values in sums[m.name].items()}
                    for m in self._given.metrics
                    if m.cap is not None and m.kind == "mean"
                },
                batch=batch,
            )

    def _summary(self, metric: MetricColumn, values: Mapping[Any, float]) -> Summary:
        if metric.kind == "quantile":
            return Sketch({int(bucket): round(n) for bucket, n in values.items() if n})
        totals = _totals(values)
        y = self._shifts.get(metric.value, 0.0) if metric.kind == "mean" else 0.0
        x = self._shifts.get(metric.covariate or "", 0.0) if metric.kind == "mean" else 0.0
        if not (y or x) or not totals.n:
            return totals
        moments: Moments = totals.moments().shifted(y=y, x=x)
        return moments._replace(nonzero=totals.n) if y else moments

    def _missing(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        latest = "QUALIFY row_number() OVER (PARTITION BY unit ORDER BY look DESC) = 1"
        several = bool(self._given.unit and self._given.look)
        for metric in self._given.metrics:
            rows = self._rows(
                f"""WITH last AS (SELECT * FROM units {latest if several else ""})
                SELECT variant, count(*) FROM last WHERE NOT ({self._valid(metric)}) GROUP BY variant"""
            )
            if rows:
                found[metric.name] = dict(sorted(rows))
        return found

    def _by_segment(self, query: str) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
        """Run a query for each segment column, with {segment} in place of its SQL."""
        for n, column in enumerate(self._given.segments):
            place = f"coalesce({_text(column + '=')} || segment_{n}, {_text(column + '=')})"
            yield column, self._rows(query.replace("{segment}", place))

    def _segment_units(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = defaultdict(dict)
        query = "SELECT {segment}, variant, count(*) FROM units WHERE is_new GROUP BY ALL"
        for _, rows in self._by_segment(query):
            for segment, variant, count in rows:
                found[segment][variant] = count
        return dict(sorted(found.items()))

    def _segment_totals(self) -> dict[str, dict[str, Summary]]:
        """Return the first metric's totals by segment; series of looks are not broken down."""
        metric = self._given.metrics[0]
        if self._given.look or metric.kind == "quantile":
            return {}
        totals = ", ".join(
            f"fsum({product.replace('::int', '::DOUBLE')})" for product in TERMS.values()
        )
        found: dict[str, dict[str, Summary]] = defaultdict(dict)
        query = f"""WITH numbers AS (SELECT {{segment}} AS segment, variant, {self._numbers(metric)}
            FROM units WHERE {self._valid(metric)})
            SELECT segment, variant, count(*), {totals} FROM numbers GROUP BY segment, variant"""
        for _, rows in self._by_segment(query):
            for segment, variant, n, *values in rows:
                sums = {"n": n, **dict(zip(TERMS, values, strict=True))}
                found[segment][variant] = self._summary(metric, sums)
        return dict(sorted(found.items()))


def _totals(values: Mapping[Any, float]) -> Totals:
    sums = {name: values.get(name, 0.0) for name in TOTALS}
    return Totals(**sums | {"n": round(sums["n"]), "nonzero": round(sums["nonzero"])})  # type: ignore[arg-type]


def _uncapped(values: Mapping[Any, float]) -> Totals:
    return Totals.of_mean(
        n=round(values["n"]), nonzero=round(values["nonzero"]),
        total=values["sum_u"], squares=values["sum_uu"],
    )  # fmt: skip


def source_of(path: Path) -> str:
    """Return the DuckDB expression that reads a file: Parquet by its first bytes, else CSV.

    Raises:
        FileError: there is no such file, or it is empty.
    """
    if not path.is_file():
        raise FileError(f"file == '{path}', does not exist.")
    with path.open("rb") as stream:
        start = stream.read(4)
    if not start:
        raise FileError(f"file == '{path}', is empty.")
    if start == b"PAR1":
        return f"read_parquet({_text(str(path))})"
    return f"read_csv({_text(str(path))}, header = true, sample_size = 100000)"


def _is_text(kind: str) -> bool:
    return kind == "VARCHAR"


def _number(column: str, kind: str) -> str:
    """SQL of a column as a number: words for missing and for truth are understood."""
    name = quote(column)
    if not _is_text(kind):
        return f"TRY_CAST({name} AS DOUBLE)"
    word = f"lower(trim({name}))"
    return f"""CASE WHEN {word} IN ('true', 't', 'yes') THEN 1.0 WHEN {word} IN ('false', 'f', 'no')
        THEN 0.0 WHEN {word} IN ('nan') THEN NULL ELSE TRY_CAST({name} AS DOUBLE) END"""


def _first_line(error: Exception) -> str:
    if "unicode" in str(error).lower():
        return "it must be UTF-8"
    return str(error).strip().splitlines()[0].removeprefix("Invalid Input Error: ")
