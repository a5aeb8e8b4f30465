"""From a file of units to totals, streamed by DuckDB: ten million rows in less than a gigabyte.

The way of the data: each value that is asked for is checked; the rows of a unit are summed to it;
products are summed per variant and look. A unit whose rows come in at several looks counts from its
first, and later rows change it by the difference.
"""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from experiments.analysis.duckdb_source import as_number, first_line, is_text, quote, source_of, text
from experiments.analysis.metric_sql import BUCKET, TERMS
from experiments.analysis.unit_file import FileError, FileLook, FileTotals
from experiments.stats.effects import PROPORTIONS
from experiments.stats.quantiles import Sketch
from experiments.stats.totals import TOTALS, Moments, Totals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from experiments.analysis.unit_file import MetricColumn, UnitFile
    from experiments.stats.effects import Summary

MEMORY = "450MB"
MISSING = ("", "na", "n/a", "nan", "null", "none")
FRESH = "fresh"  # Σy of the units that are new at a look
ILL_CONDITIONED = 1e4  # |mean| / sd beyond which sums are taken about the mean


def read_units(given: UnitFile) -> FileTotals:
    """Read a file of units.

    Raises:
        FileError: it cannot be read, lacks a column, or holds a value that is not allowed.
    """
    with (
        tempfile.TemporaryDirectory(prefix="bakeoff-analyze-") as folder,
        duckdb.connect(str(Path(folder) / "rows.duckdb")) as engine,
    ):
        engine.execute(f"SET memory_limit = '{MEMORY}'")
        engine.execute(f"SET temp_directory = {text(folder)}")
        engine.execute("SET preserve_insertion_order = false")
        engine.execute("SET threads = 2")
        return UnitReader(engine, given).read()


def needed(metric: MetricColumn) -> list[str]:
    """Return the sums that do not follow from others: a column that is not there is 1, or 0."""
    wanted = ["nonzero", "sum_y", "sum_yy"]
    if metric.denominator:
        wanted += ["sum_d", "sum_dd", "sum_yd"]
    if metric.covariate:
        wanted += ["sum_x", "sum_xx", "sum_yx", *(["sum_dx"] if metric.denominator else [])]
    if metric.covariate_denominator:
        wanted += ["sum_w", "sum_ww", "sum_yw", "sum_dw", "sum_xw"]
    return wanted + (["sum_u", "sum_uu"] if metric.cap is not None else [])


def complete(found: Mapping[str, float], n: int) -> dict[str, float]:
    """Return all sums from the needed ones."""
    y, x = found["sum_y"], found.get("sum_x", 0.0)
    follow = {
        "sum_d": n, "sum_dd": n, "sum_yd": y, "sum_x": 0.0, "sum_xx": 0.0, "sum_yx": 0.0,
        "sum_w": n, "sum_ww": n, "sum_yw": y, "sum_dx": x, "sum_dw": found.get("sum_d", n), "sum_xw": x,
        "sum_u": y, "sum_uu": found["sum_yy"],
    }  # fmt: skip
    return {"n": n} | follow | dict(found)


class UnitReader:
    """One reading of a file: each step a table or a query of its engine."""

    def __init__(self, engine: duckdb.DuckDBPyConnection, given: UnitFile) -> None:
        self._engine, self._given = engine, given
        self._columns = list(dict.fromkeys(c for metric in given.metrics for c in metric.columns))
        self._shifts: dict[str, float] = {}
        self._gaps: set[str] = set()  # columns in which a value is missing
        self._several = bool(given.unit and given.look)  # whether a unit may have several rows left

    def read(self) -> FileTotals:
        """Read, check and sum."""
        unassigned = self._load()
        doubled = self._sum_rows()
        self._measure_shifts()
        labels = self._labels()
        units = self._count_units()
        added = self._sum_all()
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
        """Read the columns that are asked for; return how many rows have no variant.

        Parquet is read where it lies, a column at a time; text is read once into a table on disk.
        """
        given = self._given
        source = source_of(given.path)
        try:
            described = self._rows(f"DESCRIBE SELECT * FROM {source}")
            types = {name: str(kind) for name, kind, *_ in described}
            for column in (given.variant, given.unit, given.look, *given.segments, *self._columns):
                if column and column not in types:
                    raise FileError(f"column == '{column}', not found; the file has {list(types)}.")
            kept = "TABLE" if source.startswith("read_csv") else "VIEW"
            names = ", ".join(self._entry_columns(types))
            self._engine.execute(f"CREATE {kept} entries AS SELECT {names} FROM {source}")
            return self._check([n for n, c in enumerate(self._columns) if is_text(types[c])])
        except duckdb.Error as error:
            raise FileError(f"file == '{given.path}', cannot be read: {first_line(error)}") from error

    def _entry_columns(self, types: Mapping[str, str]) -> list[str]:
        given = self._given
        texts = [n for n, c in enumerate(self._columns) if is_text(types[c])]
        return [
            f"nullif(trim({quote(given.variant)}::VARCHAR), '') AS variant",
            f"{quote(given.unit)}::VARCHAR AS unit" if given.unit else "NULL AS unit",
            f"{quote(given.look)} AS look" if given.look else "NULL AS look",
            *(f"{quote(s)}::VARCHAR AS segment_{n}" for n, s in enumerate(given.segments)),
            *(f"{as_number(c, types[c])} AS value_{n}" for n, c in enumerate(self._columns)),
            *(f"{quote(self._columns[n])}::VARCHAR AS text_{n}" for n in texts),
        ]

    def _check(self, texts: Sequence[int]) -> int:
        """Refuse what no metric can be made of, in one pass; return how many rows have no variant."""
        words = ", ".join(text(word) for word in MISSING)
        proportions = [m for m in self._given.metrics if m.kind in PROPORTIONS]
        asked = {
            "rows": "count(*)",
            "unassigned": "count(*) FILTER (variant IS NULL)",
            "no_unit": "count(*) FILTER (unit IS NULL AND variant IS NOT NULL)",
            "no_look": "count(*) FILTER (look IS NULL)",
        }
        for n in range(len(self._columns)):
            asked[f"infinite_{n}"] = f"count(*) FILTER (isinf(value_{n}))"
            asked[f"gaps_{n}"] = f"count(*) - count(value_{n})"
        for n in texts:
            bad = f"""value_{n} IS NULL AND text_{n} IS NOT NULL
                AND lower(trim(text_{n})) NOT IN ({words})"""
            asked[f"texts_{n}"] = f"count(*) FILTER ({bad})"
            asked[f"text_{n}"] = f"min(text_{n}) FILTER ({bad})"
        for metric in proportions:
            place = self._place(metric.value)
            asked[f"wrong_{place}"] = f"min({place}) FILTER ({place} NOT IN (0, 1))"
        (row,) = self._rows(f"SELECT {', '.join(asked.values())} FROM entries")
        found = dict(zip(asked, row, strict=True))
        self._refuse_rows(found)
        self._refuse_values(found)
        self._gaps = {c for n, c in enumerate(self._columns) if found[f"gaps_{n}"]}
        return int(found["unassigned"])

    def _refuse_values(self, found: Mapping[str, Any]) -> None:
        for n, column in enumerate(self._columns):
            if count := found.get(f"texts_{n}"):
                raise FileError(
                    f"column '{column}' has {count} value{'s' * (count > 1)} such as "
                    f"'{found[f'text_{n}']}', must be numbers."
                )
            if count := found[f"infinite_{n}"]:
                raise FileError(
                    f"column '{column}' has {count} infinite value{'s' * (count > 1)}, must be finite."
                )
        for metric in self._given.metrics:
            wrong = found.get(f"wrong_{self._place(metric.value)}")
            if metric.kind in PROPORTIONS and wrong is not None:
                raise FileError(
                    f"metric '{metric.name}': value == {wrong:g}, must be 0 or 1 for a {metric.kind}."
                )

    def _refuse_rows(self, found: Mapping[str, Any]) -> None:
        given = self._given
        if not found["rows"]:
            raise FileError(f"file == '{given.path}', holds no row.")
        if given.unit and found["no_unit"]:
            raise FileError(f"column '{given.unit}' has a row without a value, must name a unit.")
        if given.look and found["no_look"]:
            raise FileError(f"column '{given.look}' has a row without a value, must name a look.")

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
        columns = [
            column
            for metric in self._given.metrics
            if metric.kind == "mean" and metric.cap is None
            for column in (metric.value, metric.covariate)
            if column
        ]
        if not columns:
            return
        pairs = [f"avg({self._place(c)}), stddev_samp({self._place(c)})" for c in columns]
        (row,) = self._rows(f"SELECT {', '.join(pairs)} FROM units")
        for column, mean, sd in zip(columns, row[0::2], row[1::2], strict=True):
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

    def _columns_of(self, metric: MetricColumn) -> dict[str, str]:
        """SQL of y, d, x, w and u of a unit at a look."""

        def column(name: str | None, default: str) -> str:
            if name is None:
                return default
            shift = self._shifts.get(name, 0.0)
            return f"({self._place(name)} - {shift!r})" if shift else self._place(name)

        u = column(metric.value, "")
        return {
            "y": u if metric.cap is None else f"least({u}, {metric.cap!r})",
            "d": column(metric.denominator, "1.0"),
            "x": column(metric.covariate, "0.0"),
            "w": column(metric.covariate_denominator, "1.0"),
            "u": u,
        }

    def _numbers(self, metric: MetricColumn) -> str:
        columns = self._columns_of(metric)
        return ", ".join(f"{sql}::DOUBLE AS {name}" for name, sql in columns.items())

    def _valid(self, metric: MetricColumn) -> str:
        gaps = [column for column in metric.columns if column in self._gaps]
        return " AND ".join(f"{self._place(column)} IS NOT NULL" for column in gaps) or "true"

    def _valued(self, metric: MetricColumn) -> str:
        """SQL of the rows that count for a metric."""
        return f"""SELECT unit, look, variant, {self._numbers(metric)} FROM units
            WHERE {self._valid(metric)}"""

    def _sum_all(self) -> dict[str, dict[Any, dict[str, dict[Any, Any]]]]:
        """Return what each look adds to each metric, by variant: sums, or counts of buckets."""
        metrics = self._given.metrics
        sketches = {m.name: self._sum_buckets(m) for m in metrics if m.kind == "quantile"}
        summed = [m for m in metrics if m.kind != "quantile"]
        if self._several:
            return sketches | {m.name: self._sum_changes(m) for m in summed}
        return sketches | self._sum_at_once(summed)

    def _sum_at_once(self, metrics: Sequence[MetricColumn]) -> dict[str, Any]:
        """Sum all metrics in one pass: each unit is one row."""
        added: dict[str, Any] = {metric.name: defaultdict(dict) for metric in metrics}
        if not metrics:
            return added
        sums, names = [], []
        for metric in metrics:
            columns = self._columns_of(metric)
            wanted, valid = needed(metric), self._valid(metric)
            only = "" if valid == "true" else f" FILTER ({valid})"
            sums.append(f"count(*){only}")
            for name in wanted:
                product = re.sub(r"\b([ydxwu])\b", r"{\1}", TERMS[name]).format(**columns)
                product = product.replace("::int", "::DOUBLE")
                sums.append(f"sum({product}){only}")
            names.append((metric, wanted))
        for look, variant, *values in self._rows(
            f"SELECT look, variant, {', '.join(sums)} FROM units GROUP BY look, variant"
        ):
            at = iter(values)
            for metric, wanted in names:
                n = next(at)
                found = {name: next(at) or 0.0 for name in wanted}
                if n:
                    sums_of_unit = complete(found, n)
                    added[metric.name][look][variant] = sums_of_unit | {FRESH: sums_of_unit["sum_y"]}
        return added

    def _sum_changes(self, metric: MetricColumn) -> dict[Any, dict[str, dict[str, Any]]]:
        """Sum by how each look changes a unit's products: the new ones less those of its last look."""
        sums = []
        for name, product in TERMS.items():
            sql = product.replace("::int", "::DOUBLE")
            sums.append(f"({sql}) - coalesce(lag({sql}) OVER by_unit, 0) AS {name}")
        totals = ", ".join(f"sum({name})" for name in TERMS)
        rows = self._rows(
            f"""WITH numbers AS ({self._valued(metric)}),
            products AS (SELECT look, variant, row_number() OVER by_unit = 1 AS is_new,
                {", ".join(sums)} FROM numbers WINDOW by_unit AS (PARTITION BY unit ORDER BY look))
            SELECT look, variant, count(*) FILTER (is_new),
                coalesce(sum(sum_y) FILTER (is_new), 0), {totals}
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
                FROM placed WHERE {self._several})
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
        """Count the units without a value: at their last look, if they have several."""
        latest = "QUALIFY row_number() OVER (PARTITION BY unit ORDER BY look DESC) = 1"
        metrics = self._given.metrics
        if not self._gaps:
            return {}
        counts = ", ".join(f"count(*) FILTER (NOT ({self._valid(m)}))" for m in metrics)
        rows = self._rows(
            f"""WITH last AS (SELECT * FROM units {latest if self._several else ""})
            SELECT variant, {counts} FROM last GROUP BY variant ORDER BY variant"""
        )
        found = {
            metric.name: {variant: row[n] for variant, *row in rows if row[n]}
            for n, metric in enumerate(metrics)
        }
        return {name: missing for name, missing in found.items() if missing}

    def _by_segment(self, query: str) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
        """Run a query for each segment column, with {segment} in place of its SQL."""
        for n, column in enumerate(self._given.segments):
            place = f"coalesce({text(column + '=')} || segment_{n}, {text(column + '=')})"
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
        totals = ", ".join(f"sum({product.replace('::int', '::DOUBLE')})" for product in TERMS.values())
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
