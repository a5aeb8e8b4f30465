"""From a file of units to totals, streamed by DuckDB: ten million rows in less than a gigabyte.

The way of the data: each value that is asked for is checked; the rows of a unit are summed to it;
products are summed per variant and look. A unit whose rows come in at several looks counts from its
first, and later rows change it by the difference.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from experiments.kinds import PROPORTIONS
from experiments.metrics.sql import bucket_of
from experiments.scorecards.cluster_rows import sum_clusters
from experiments.scorecards.duckdb_source import text
from experiments.scorecards.predicted_units import predict_metric, prediction_column
from experiments.scorecards.unit_file import FileLook, FileTotals
from experiments.scorecards.unit_rows import UnitRows
from experiments.sql import OBSERVED, products
from experiments.stats.quantiles import Sketch
from experiments.stats.totals import TOTALS, Moments, Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from experiments.scorecards.unit_file import ClusterColumn, MetricColumn, UnitFile
    from experiments.stats.effects import Summary

MEMORY = "450MB"
FRESH = "fresh"  # Σy of the units that are new at a look
ILL_CONDITIONED = 1e4  # |mean| / sd beyond which sums are taken about the mean
WHALE, FEW = 0.5, 20  # share of a spread that one unit must not have, from so many units on


# SQL by the letters of the statistics: so are the columns of a unit called here.
_PRODUCTS = products(of={letter: letter for letter in OBSERVED}, count="DOUBLE")


def read_units(unit_file: UnitFile) -> FileTotals:
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
        return UnitReader(engine, unit_file).read()


def needed(metric: MetricColumn) -> list[str]:
    """Return the sums that do not follow from others: a column that is not there is 1, or 0."""
    wanted = ["nonzero", "sum_y", "sum_yy"]
    if metric.denominator:
        wanted += ["sum_d", "sum_dd", "sum_yd"]
    if metric.covariate or metric.features:
        wanted += ["sum_x", "sum_xx", "sum_yx", *(["sum_dx"] if metric.denominator else [])]
    if metric.covariate_denominator:
        wanted += ["sum_w", "sum_ww", "sum_yw", "sum_dw", "sum_xw"]
    return wanted + (["sum_u", "sum_uu"] if metric.cap is not None else [])


def complete(sums: Mapping[str, float], n: int) -> dict[str, float]:
    """Return all sums from the needed ones."""
    y, x = sums["sum_y"], sums.get("sum_x", 0.0)
    follow = {
        "sum_d": n, "sum_dd": n, "sum_yd": y, "sum_x": 0.0, "sum_xx": 0.0, "sum_yx": 0.0,
        "sum_w": n, "sum_ww": n, "sum_yw": y, "sum_dx": x, "sum_dw": sums.get("sum_d", n), "sum_xw": x,
        "sum_u": y, "sum_uu": sums["sum_yy"],
    }  # fmt: skip
    return {"n": n} | follow | dict(sums)


class UnitReader:
    """One reading of a file: each step a table or a query of its engine."""

    def __init__(self, engine: duckdb.DuckDBPyConnection, unit_file: UnitFile) -> None:
        self._unit_file = unit_file
        self._source = UnitRows(engine, unit_file)
        self._rows = self._source.query
        self._shifts: dict[str, float] = {}  # by the name of a column's place
        self._several = bool(unit_file.unit and unit_file.look)  # a unit may have several rows

    def read(self) -> FileTotals:
        """Read, check and sum."""
        source = self._source
        source.load()
        excluded = source.excluded_units()
        predicted = [predict_metric(source, metric) for metric in self._predicted()]
        if predicted:
            source.add_predictions(predicted[0].units, {one.column: one.values for one in predicted})
        if self._unit_file.cluster is not None:
            remarks = [one.remark for one in predicted]
            return self._read_clusters(self._unit_file.cluster, excluded, remarks)
        self._measure_shifts()
        units = self._count_units()
        added = self._sum_all()
        return FileTotals(
            looks=list(self._accumulate(units, added)),
            crossover_units=source.crossover_units,
            missing=self._missing(),
            unassigned=source.unassigned,
            excluded=excluded,
            imputed=source.imputed_units(),
            remarks=[
                *source.remarks(),
                *(one.remark for one in predicted),
                *self._remarks_on_whales(),
            ],
            segments=self._segment_totals(),
            segment_units=self._segment_units(),
        )

    def _read_clusters(
        self, cluster: ClusterColumn, excluded: dict[str, int], remarks: list[str]
    ) -> FileTotals:
        """Return the totals of clusters: they were randomised, and are what counts."""
        metrics, source = self._unit_file.metrics, self._source
        counted = sum_clusters(
            source, metrics, cluster=cluster, columns_of=self._columns_of, valid=self._valid
        )
        totals: dict[str, dict[str, Summary]] = {
            metric.name: {v: _totals(sums) for v, sums in counted.sums[metric.name].items()}
            for metric in metrics
        }
        return FileTotals(
            looks=[FileLook("", counted.clusters, totals, uncapped={}, batch={})],
            # A unit has one cluster: one in two variants is within a cluster in two variants.
            crossover_units=counted.split,
            missing=self._missing(),
            unassigned=source.unassigned,
            excluded=excluded,
            imputed=source.imputed_units(),
            remarks=[*source.remarks(), *remarks],
            clustered=counted.units,
        )

    def _predicted(self) -> list[MetricColumn]:
        return [metric for metric in self._unit_file.metrics if metric.features]

    def _measure_shifts(self) -> None:
        """Find the columns whose spread sums would lose: they are summed about their mean."""
        metrics = [m for m in self._unit_file.metrics if m.kind == "mean" and m.cap is None]
        places = [self._source.place(m.value) for m in metrics]
        places += [self._source.before(m.covariate) for m in metrics if m.covariate]
        if not places:
            return
        pairs = [f"avg({place}), stddev_samp({place})" for place in places]
        (row,) = self._rows(f"SELECT {', '.join(pairs)} FROM units")
        for place, mean, sd in zip(places, row[0::2], row[1::2], strict=True):
            if mean is not None and sd and abs(mean) > ILL_CONDITIONED * sd:
                self._shifts[place] = mean

    def _remarks_on_whales(self) -> list[str]:
        """Say of which means one unit makes most of a variant's spread: no mean is normal there."""
        remarks = []
        metrics = [m for m in self._unit_file.metrics if m.kind == "mean" and m.cap is None]
        for metric in [] if self._several else metrics:  # of several rows of a unit none is its value
            place = self._source.place(metric.value)
            farthest = f"greatest(max({place}) - avg({place}), avg({place}) - min({place}))"
            rows = self._rows(
                f"SELECT variant, {farthest} ** 2 / (var_pop({place}) * count({place})) FROM units "
                f"GROUP BY variant HAVING count({place}) >= {FEW} AND var_pop({place}) > 0 "
                "ORDER BY variant"
            )
            remarks += [
                f"One unit makes {share:.0%} of the spread of '{metric.name}' in '{variant}': its mean "
                f"is that unit's. Cap it (--cap {metric.name}=VALUE, settled before the start)."
                for variant, share in rows
                if share > WHALE
            ]
        return remarks

    def _count_units(self) -> dict[tuple[Any, str], int]:
        rows = self._rows(
            "SELECT look, variant, count(*) FROM units WHERE is_new GROUP BY look, variant"
        )
        return {(look, variant): count for look, variant, count in rows}

    def _columns_of(self, metric: MetricColumn) -> dict[str, str]:
        """SQL of y, d, x, w and u of a unit at a look."""
        source = self._source

        def shifted(place: str) -> str:
            shift = self._shifts.get(place, 0.0)
            return f"({place} - {shift!r})" if shift else place

        u = shifted(source.place(metric.value))
        x = shifted(source.before(metric.covariate)) if metric.covariate else "0.0"
        return {
            "y": u if metric.cap is None else f"least({u}, {metric.cap!r})",
            "d": source.place(metric.denominator) if metric.denominator else "1.0",
            "x": prediction_column(source, metric) if metric.features else x,
            "w": source.before(metric.covariate_denominator) if metric.covariate_denominator else "1.0",
            "u": u,
        }

    def _numbers(self, metric: MetricColumn) -> str:
        columns = self._columns_of(metric)
        return ", ".join(f"{sql}::DOUBLE AS {name}" for name, sql in columns.items())

    def _valid(self, metric: MetricColumn) -> str:
        gaps = [column for column in metric.columns if column in self._source.gaps]
        return " AND ".join(f"{self._source.place(column)} IS NOT NULL" for column in gaps) or "true"

    def _valued(self, metric: MetricColumn) -> str:
        """SQL of the rows that count for a metric."""
        return f"""SELECT unit, look, variant, {self._numbers(metric)} FROM units
            WHERE {self._valid(metric)}"""

    def _sum_all(self) -> dict[str, dict[Any, dict[str, dict[Any, Any]]]]:
        """Return what each look adds to each metric, by variant: sums, or counts of buckets."""
        metrics = self._unit_file.metrics
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
            each = products(of=self._columns_of(metric), count="DOUBLE")
            wanted, valid = needed(metric), self._valid(metric)
            only = "" if valid == "true" else f" FILTER ({valid})"
            sums.append(f"count(*){only}")
            sums += [f"sum({each[name]}){only}" for name in wanted]
            names.append((metric, wanted))
        for look, variant, *values in self._rows(
            f"SELECT look, variant, {', '.join(sums)} FROM units GROUP BY look, variant"
        ):
            at = iter(values)
            for metric, wanted in names:
                n = next(at)
                sums_of_metric = {name: next(at) or 0.0 for name in wanted}
                if n:
                    sums_of_unit = complete(sums_of_metric, n)
                    added[metric.name][look][variant] = sums_of_unit | {FRESH: sums_of_unit["sum_y"]}
        return added

    def _sum_changes(self, metric: MetricColumn) -> dict[Any, dict[str, dict[str, Any]]]:
        """Sum by how each look changes a unit's products: the new ones less those of its last look."""
        # Rows hold a unit's running sums, so its row before is what its last look had counted.
        sums = []
        for name, product in _PRODUCTS.items():
            sums.append(f"({product}) - coalesce(lag({product}) OVER by_unit, 0) AS {name}")
        totals = ", ".join(f"sum({name})" for name in _PRODUCTS)
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
            added[look][variant] = {"n": n, FRESH: fresh, **dict(zip(_PRODUCTS, values, strict=True))}
        return added

    def _sum_buckets(self, metric: MetricColumn) -> dict[Any, dict[str, dict[str, Any]]]:
        # A unit leaves the bucket of its look before; without several rows of one there is no window.
        bucket = bucket_of("y", integer="BIGINT")
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
        units: Mapping[tuple[Any, str], int],
        added: Mapping[str, Mapping[Any, Mapping[str, Mapping[str, Any]]]],
    ) -> Iterator[FileLook]:
        """Yield what is known at each look."""
        counts: dict[str, int] = defaultdict(int)
        sums: dict[str, dict[str, dict[Any, float]]] = {
            m.name: defaultdict(lambda: defaultdict(float)) for m in self._unit_file.metrics
        }
        for place, label in self._source.looks():
            for (look, variant), count in units.items():
                if look == place:
                    counts[variant] += count
            batch: dict[str, dict[str, Totals]] = {}
            for metric in self._unit_file.metrics:
                new = added[metric.name].get(place, {})
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
                label=label,
                units=dict(counts),
                summaries={
                    m.name: {v: self._summary(m, values) for v, values in sums[m.name].items()}
                    for m in self._unit_file.metrics
                },
                uncapped={
                    m.name: {v: _uncapped(values) for v, values in sums[m.name].items()}
                    for m in self._unit_file.metrics
                    if m.cap is not None and m.kind == "mean"
                },
                batch=batch,
            )

    def _summary(self, metric: MetricColumn, values: Mapping[Any, float]) -> Summary:
        if metric.kind == "quantile":
            return Sketch({int(bucket): round(n) for bucket, n in values.items() if n})
        totals = _totals(values)
        mean = metric.kind == "mean"
        y = self._shifts.get(self._source.place(metric.value), 0.0) if mean else 0.0
        x = (
            self._shifts.get(self._source.before(metric.covariate), 0.0)
            if mean and metric.covariate
            else 0.0
        )
        if not (y or x) or not totals.n:
            return totals
        moments: Moments = totals.moments().shifted(y=y, x=x)
        return moments._replace(nonzero=totals.n) if y else moments

    def _missing(self) -> dict[str, dict[str, int]]:
        """Count the units without a value: at their last look, if they have several."""
        latest = "QUALIFY row_number() OVER (PARTITION BY unit ORDER BY look DESC) = 1"
        metrics = self._unit_file.metrics
        if not self._source.gaps:
            return {}
        counts = ", ".join(f"count(*) FILTER (NOT ({self._valid(m)}))" for m in metrics)
        rows = self._rows(
            f"""WITH last AS (SELECT * FROM units {latest if self._several else ""})
            SELECT variant, {counts} FROM last GROUP BY variant ORDER BY variant"""
        )
        by_metric = {
            metric.name: {variant: row[n] for variant, *row in rows if row[n]}
            for n, metric in enumerate(metrics)
        }
        return {name: missing for name, missing in by_metric.items() if missing}

    def _by_segment(self, query: Callable[[str], str]) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
        """Run a query for each segment column: it is made of the segment's SQL."""
        for n, column in enumerate(self._unit_file.segments):
            place = f"coalesce({text(column + '=')} || segment_{n}, {text(column + '=')})"
            yield column, self._rows(query(place))

    def _segment_units(self) -> dict[str, dict[str, int]]:
        by_segment: dict[str, dict[str, int]] = defaultdict(dict)
        for _, rows in self._by_segment(
            lambda segment: f"SELECT {segment}, variant, count(*) FROM units WHERE is_new GROUP BY ALL"
        ):
            for segment, variant, count in rows:
                by_segment[segment][variant] = count
        return dict(sorted(by_segment.items()))

    def _segment_totals(self) -> dict[str, dict[str, Summary]]:
        """Return the first metric's totals by segment; series of looks are not broken down."""
        metric = self._unit_file.metrics[0]
        if self._unit_file.look or metric.kind == "quantile":
            return {}
        totals = ", ".join(f"sum({product})" for product in _PRODUCTS.values())
        by_segment: dict[str, dict[str, Summary]] = defaultdict(dict)
        for _, rows in self._by_segment(
            lambda segment: (
                f"""WITH numbers AS (
                SELECT {segment} AS segment, variant, {self._numbers(metric)}
                FROM units WHERE {self._valid(metric)})
            SELECT segment, variant, count(*), {totals} FROM numbers GROUP BY segment, variant"""
            )
        ):
            for segment, variant, n, *values in rows:
                sums = {"n": n, **dict(zip(_PRODUCTS, values, strict=True))}
                by_segment[segment][variant] = self._summary(metric, sums)
        return dict(sorted(by_segment.items()))


def _totals(values: Mapping[Any, float]) -> Totals:
    sums = {name: values.get(name, 0.0) for name in TOTALS}
    return Totals(**sums | {"n": round(sums["n"]), "nonzero": round(sums["nonzero"])})  # type: ignore[arg-type]


def _uncapped(values: Mapping[Any, float]) -> Totals:
    return Totals.of_mean(
        n=round(values["n"]), nonzero=round(values["nonzero"]),
        total=values["sum_u"], squares=values["sum_uu"],
    )  # fmt: skip
