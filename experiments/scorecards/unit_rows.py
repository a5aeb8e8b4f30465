"""From a file to one row per unit and look: loaded, checked, summed; `unit_reader` makes totals of it.

What is left out is counted, never passed over: rows without a variant, units in two variants,
variants that the question leaves out. What is kept is said too where a reader would not expect it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import duckdb

from experiments.column_names import not_found
from experiments.kinds import PROPORTIONS
from experiments.scorecards.duckdb_source import (
    as_number,
    first_line,
    is_number,
    is_text,
    number_hint,
    quote,
    source_of,
    text,
)
from experiments.scorecards.look_order import order_looks
from experiments.scorecards.unit_file import FileError
from inference.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.scorecards.unit_file import ClusterColumn, UnitFile

MISSING = ("", "na", "n/a", "nan", "null", "none")
MAX_ROWS_COMPARED = 2_000_000  # beyond, finding identical rows would cost more than the reading
MIN_ROWS_TWICE = 100  # distinct rows from which on a file that holds each of them twice is no chance


class UnitRows:
    """The tables `entries` (a row each), `units` (per unit and look) of an engine.

    Attributes:
        columns: of values; column n is `value_n`.
        covariates: columns measured before exposure; column n is `before_n`, where a unit without a
            value has 0, and `lacks_n` is true.
        features: columns that values are predicted from; column n is `feature_n`, a number or a name.
        gaps: columns in which a value is missing.
        labels: names of all looks, in order: a row's `look` is its place among them.
        unassigned: rows without a variant.
        crossover_units: units in two variants.
    """

    def __init__(self, engine: duckdb.DuckDBPyConnection, question: UnitFile) -> None:
        self._engine, self._question = engine, question
        self.question = question
        metrics = question.metrics
        self.columns = list(dict.fromkeys(c for metric in metrics for c in metric.columns))
        self.covariates = list(dict.fromkeys(c for metric in metrics for c in metric.covariates))
        self.features = list(dict.fromkeys(c for metric in metrics for c in metric.features))
        self.gaps: set[str] = set()
        self.labels: list[str] = []
        self.unassigned = self.crossover_units = 0
        self._remarks: list[str] = []

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self._engine.execute(sql).fetchall()

    def place(self, column: str) -> str:
        """Return the name of a value's column."""
        return f"value_{self.columns.index(column)}"

    def before(self, column: str) -> str:
        """Return the name of a covariate's column."""
        return f"before_{self.covariates.index(column)}"

    def load(self) -> None:
        """Read the columns that are asked for, check them, and sum the rows of each unit.

        Raises:
            FileError: the file cannot be read, lacks a column, or holds a value that is not allowed.
        """
        try:
            types = self._load()
            self._check(types)
        except duckdb.Error as error:
            path = self._question.path
            raise FileError(f"file == '{path}', cannot be read: {first_line(error)}.") from error
        self._order_looks()
        self._sum_rows()

    # Reading

    def _load(self) -> dict[str, str]:
        """Make the table `loaded`; return the types of the file's columns.

        Parquet is read where it lies, a column at a time; text is read once into a table on disk.
        """
        question = self._question
        cluster = question.cluster.column if question.cluster else None
        named = (question.variant, question.unit, question.look, cluster, *question.segments)
        numbers = {*self.columns, *self.covariates}
        plain = source_of(question.path, form=question.form)
        types = {name: str(kind) for name, kind, *_ in self.query(f"DESCRIBE SELECT * FROM {plain}")}
        for column in (*named, *self.columns, *self.covariates, *self.features):
            if column and column not in types:
                raise FileError(not_found(column, types))
        # What names something stays as it is written: '007' is not '7', and 01/02 is no date yet.
        texts = [column for column in dict.fromkeys(named) if column and column not in numbers]
        source = source_of(question.path, texts=texts, form=question.form)
        stored = source.startswith("read_csv")
        if stored:
            types |= dict.fromkeys(texts, "VARCHAR")
        names = ", ".join([*self._loaded_columns(types), "hash(file) AS row_hash"])
        kind = "TABLE" if stored else "VIEW"
        self._engine.execute(f"CREATE {kind} loaded AS SELECT {names} FROM {source} AS file")
        return types

    def _loaded_columns(self, types: Mapping[str, str]) -> list[str]:
        question, form = self._question, self._question.form
        for column in (*self.columns, *self.covariates):
            if not (is_text(types[column]) or is_number(types[column])):
                raise FileError(f"column '{column}' holds {types[column].lower()}s, must be numbers.")
        variant = f"{quote(question.variant)}::VARCHAR"
        return [
            f"nullif(trim({variant}), '') AS variant",
            f"{variant} AS written",
            f"{quote(question.unit)}::VARCHAR AS unit" if question.unit else "NULL AS unit",
            f"{quote(question.look)}::VARCHAR AS look" if question.look else "NULL AS look",
            *_cluster_columns(question.cluster),
            *(f"{quote(s)}::VARCHAR AS segment_{n}" for n, s in enumerate(question.segments)),
            *(
                f"{quote(c)}::{'VARCHAR' if is_text(types[c]) else 'DOUBLE'} AS feature_{n}"
                for n, c in enumerate(self.features)
            ),
            *(
                part
                for group, columns in (("value", self.columns), ("before", self.covariates))
                for n, c in enumerate(columns)
                for part in (
                    f"{as_number(c, types[c], form)} AS {group}_{n}",
                    f"{quote(c)}::VARCHAR AS {group}_text_{n}",
                )
                if is_text(types[c]) or "_text_" not in part
            ),
        ]

    # Checks

    def _numbered(self) -> list[tuple[str, str]]:
        """Every column of numbers, with the name of its place."""
        values = [(column, self.place(column)) for column in self.columns]
        return values + [(column, self.before(column)) for column in self.covariates]

    def _check(self, types: Mapping[str, str]) -> None:
        """Refuse what no metric can be made of, in one pass."""
        words = ", ".join(text(word) for word in MISSING)
        aggregates = {
            "rows": "count(*)",
            "unassigned": "count(*) FILTER (variant IS NULL)",
            "no_unit": "count(*) FILTER (unit IS NULL AND variant IS NOT NULL)",
            "no_look": "count(*) FILTER (look IS NULL)",
            "no_cluster": "count(*) FILTER (cluster IS NULL AND variant IS NOT NULL)",
        }
        for column, place in self._numbered():
            aggregates[f"infinite_{place}"] = f"count(*) FILTER (isinf({place}))"
            aggregates[f"gaps_{place}"] = f"count(*) - count({place})"
            if is_text(types[column]):
                group, _, n = place.partition("_")
                raw = f"{group}_text_{n}"
                bad = f"{place} IS NULL AND {raw} IS NOT NULL AND lower(trim({raw})) NOT IN ({words})"
                aggregates[f"texts_{place}"] = f"count(*) FILTER ({bad})"
                aggregates[f"text_{place}"] = f"min({raw}) FILTER ({bad})"
        for metric in self._question.metrics:
            if metric.kind in PROPORTIONS:
                place = self.place(metric.value)
                aggregates[f"wrong_{place}"] = f"min({place}) FILTER ({place} NOT IN (0, 1))"
        (row,) = self.query(f"SELECT {', '.join(aggregates.values())} FROM loaded")
        checks = dict(zip(aggregates, row, strict=True))
        self._refuse_rows(checks)
        self._refuse_values(checks)
        self.gaps = {column for column in self.columns if checks[f"gaps_{self.place(column)}"]}
        self.unassigned = int(checks["unassigned"])
        self._remark_identical_rows(int(checks["rows"]))

    def _refuse_values(self, checks: Mapping[str, Any]) -> None:
        for column, place in self._numbered():
            if count := checks.get(f"texts_{place}"):
                value = checks[f"text_{place}"]
                raise FileError(
                    f"column '{column}' has {count} value{'s' * (count > 1)} such as '{value}', "
                    f"must be numbers{number_hint(value)}."
                )
            if count := checks[f"infinite_{place}"]:
                raise FileError(
                    f"column '{column}' has {count} infinite value{'s' * (count > 1)}, must be finite."
                )
        for metric in self._question.metrics:
            wrong = checks.get(f"wrong_{self.place(metric.value)}")
            if metric.kind in PROPORTIONS and wrong is not None:
                raise FileError(
                    f"metric '{metric.name}': value == {wrong:g}, must be 0 or 1 for a {metric.kind}."
                )

    def _refuse_rows(self, checks: Mapping[str, Any]) -> None:
        question = self._question
        if not checks["rows"]:
            raise FileError(f"file == '{question.path}', holds no row.")
        if question.unit and checks["no_unit"]:
            raise FileError(f"column '{question.unit}' has a row without a value, must name a unit.")
        if question.look and checks["no_look"]:
            raise FileError(f"column '{question.look}' has a row without a value, must name a look.")
        if question.cluster and (count := checks["no_cluster"]):
            must = "name a cluster" if question.cluster.block_seconds is None else "be a time"
            raise FileError(
                f"column '{question.cluster.column}' has {count} row{'s' * (count > 1)} without a "
                f"value that can be read, must {must}."
            )

    def _remark_identical_rows(self, rows: int) -> None:
        """Say that rows stand twice: with a unit's column any, without one a file that is doubled.

        Without a unit, equal rows are ordinary (a variant and a 0); that each stands equally often,
        and more than once, is not.
        """
        if rows > MAX_ROWS_COMPARED:
            return
        # By hash: rows of any number of columns are compared without holding them.
        ((distinct, fewest, largest),) = self.query(
            "SELECT count(*), min(n), max(n) FROM (SELECT count(*) AS n FROM loaded GROUP BY row_hash)"
        )
        doubled = fewest == largest > 1 and distinct >= MIN_ROWS_TWICE
        if doubled or (self._question.unit and distinct < rows):
            self._remarks.append(
                f"{counted(rows - distinct, 'row', 'is', 'are')} identical to another one: was the "
                "file joined or written twice? Each of them counts."
            )

    # Units

    def _order_looks(self) -> None:
        """Make the view `entries`, in which a row's look is its place in the order of looks."""
        if not self._question.look:
            self._engine.execute("CREATE VIEW entries AS SELECT * FROM loaded")
            return
        labels = [label for (label,) in self.query("SELECT DISTINCT look FROM loaded")]
        self.labels, remark = order_looks(labels, self._question.form.dates)
        if remark:
            self._remarks.append(remark)
        self._engine.execute("CREATE TABLE look_order (label VARCHAR, place INTEGER)")
        rows = ", ".join(f"({text(label)}, {n})" for n, label in enumerate(self.labels))
        self._engine.execute(f"INSERT INTO look_order VALUES {rows}")
        self._engine.execute(
            "CREATE VIEW entries AS SELECT loaded.* REPLACE (look_order.place AS look) "
            "FROM loaded JOIN look_order ON loaded.look = look_order.label"
        )

    def _covariate_columns(self, once: str) -> list[str]:
        """SQL of the covariates of a unit, of which `once` picks the one value."""
        picked = [(f"before_{n}", once.format(f"before_{n}")) for n in range(len(self.covariates))]
        return [
            part
            for name, sql in picked
            for part in (f"coalesce({sql}, 0.0) AS {name}", f"{sql} IS NULL AS lacks_{name}")
        ]

    def _sum_rows(self) -> None:
        """Make `units`: the rows of each unit summed up to each look."""
        question = self._question
        columns = [f"value_{n}" for n in range(len(self.columns))]
        segments = [f"segment_{n}" for n in range(len(question.segments))]
        excluded = [f"variant <> {text(variant)}" for variant in question.excluded]
        conditions = " AND ".join(["variant IS NOT NULL", "NOT carried_over", *excluded])
        if not question.unit:
            names = [
                "unit",
                "look",
                "variant",
                "cluster",
                *segments,
                *columns,
                *self._covariate_columns("{}"),
            ]
            self._engine.execute(
                f"""CREATE VIEW units AS SELECT {", ".join(names)}, true AS is_new
                FROM entries WHERE {conditions}"""
            )
            return
        self._sum_to_units(segments)
        conditions = " AND ".join(["variant IS NOT NULL", *excluded])  # blocks have no units
        outside = f"unit NOT IN (SELECT unit FROM doubled) AND {conditions}"
        if not question.look:
            features = [f"feature_{n}" for n in range(len(self.features))]
            names = ["unit", "look", "variant", "cluster", *segments, *columns, *features]
            names += self._covariate_columns("{}")
            self._engine.execute(
                f"""CREATE VIEW units AS SELECT {", ".join(names)}, true AS is_new
                FROM summed WHERE {outside}"""
            )
            return
        # Up to each look in their order; a covariate is known before all of them, from any row.
        running = [
            f"{self._total(c)}(value_{n}) OVER so_far AS value_{n}" for n, c in enumerate(self.columns)
        ]
        names = [*segments, *running, *self._covariate_columns("min({}) OVER whole")]
        self._engine.execute(
            f"""CREATE TABLE units AS SELECT unit, look, variant,
            row_number() OVER so_far = 1 AS is_new, {", ".join(names)} FROM summed WHERE {outside}
            WINDOW so_far AS (PARTITION BY unit ORDER BY look), whole AS (PARTITION BY unit)"""
        )

    def _total(self, column: str) -> str:
        """How the rows of a unit become one: a proportion's by any of them, else by their sum."""
        metrics = self._question.metrics
        return "max" if any(m.value == column and m.kind in PROPORTIONS for m in metrics) else "sum"

    def _sum_to_units(self, segments: Sequence[str]) -> None:
        """Make `summed` (per unit and look) and `crossover_units` (units in two variants)."""
        places = range(len(self.covariates))
        values = [f"{self._total(c)}(value_{n}) AS value_{n}" for n, c in enumerate(self.columns)]
        values += [f"min({s}) AS {s}" for s in segments]
        values += ["min(cluster) AS cluster, max(cluster) AS other_cluster"]
        values += [
            f"min(feature_{n}) AS feature_{n}, max(feature_{n}) AS farthest_{n}"
            for n in range(len(self.features))
        ]
        values += [f"min(before_{n}) AS before_{n}, max(before_{n}) AS max_{n}" for n in places]
        self._engine.execute(
            f"""CREATE TABLE summed AS SELECT unit, look, min(variant) AS variant,
            max(variant) AS other, {", ".join(values)}
            FROM entries WHERE variant IS NOT NULL GROUP BY unit, look"""
        )
        for n in places:
            self._refuse_changing(self.covariates[n], f"before_{n}", f"max_{n}")
        if self._question.cluster:
            self._refuse_changing(self._question.cluster.column, "cluster", "other_cluster", "cluster")
        for n, column in enumerate(self.features):
            self._refuse_changing(column, f"feature_{n}", f"farthest_{n}")
        self._engine.execute(
            """CREATE TABLE doubled AS SELECT unit FROM summed GROUP BY unit
            HAVING min(variant) <> max(other)"""
        )
        ((self.crossover_units,),) = self.query("SELECT count(*) FROM doubled")

    def _refuse_changing(self, column: str, low: str, high: str, what: str = "covariate") -> None:
        """Of a cluster, and of what is known before exposure, a unit has one, in each of its rows."""
        ((units, unit),) = self.query(
            f"""SELECT count(*), min(unit) FROM (SELECT unit FROM summed GROUP BY unit
            HAVING min({low}) <> max({high}))"""
        )
        if units:
            raise FileError(
                f"{what} '{column}' changes between the rows of {units} "
                f"unit{'s' * (units > 1)} such as '{unit}', must have one value per unit."
            )

    def add_predictions(self, units: Sequence[str], predictions: Mapping[str, Sequence[float]]) -> None:
        """Give each unit its predictions, as columns of `units`.

        Args:
            units: names.
            predictions: by the name of the column to be, one per unit.
        """
        import pyarrow as pa  # noqa: PLC0415  few files are predicted from

        self._engine.register("predicted", pa.table({"predicted_unit": list(units), **predictions}))
        columns = ", ".join(predictions)
        self._engine.execute(
            f"CREATE TABLE predictions AS SELECT predicted_unit, {columns} FROM predicted"
        )
        self._engine.unregister("predicted")
        self._engine.execute("ALTER VIEW units RENAME TO unpredicted")
        self._engine.execute(
            f"""CREATE VIEW units AS SELECT unpredicted.*, {columns} FROM unpredicted
            JOIN predictions ON unit = predicted_unit"""
        )

    # What a reader must know

    def looks(self) -> list[tuple[int | None, str]]:
        """Return the place and the name of each look at which a unit counts; (None, "") without."""
        if not self._question.look:
            return [(None, "")]
        places = self.query("SELECT DISTINCT look FROM units ORDER BY look")
        return [(place, self.labels[place]) for (place,) in places]

    def excluded_units(self) -> dict[str, int]:
        """Count the units, or rows without a unit's column, of the variants that are left out.

        Raises:
            FileError: the file has no such variant.
        """
        counted = "DISTINCT unit" if self._question.unit else "*"
        counts = dict(
            self.query(
                f"SELECT variant, count({counted}) FROM entries GROUP BY variant ORDER BY variant"
            )
        )
        variants = [variant for variant in counts if variant is not None]
        for variant in self._question.excluded:
            if variant not in counts:
                raise FileError(f"exclude == '{variant}', not found; the variants are {variants}.")
        return {variant: int(counts[variant]) for variant in self._question.excluded}

    def imputed_units(self) -> dict[str, dict[str, int]]:
        """Count the units without a covariate, by column and variant."""
        imputed: dict[str, dict[str, int]] = defaultdict(dict)
        for n, column in enumerate(self.covariates):
            for variant, units in self.query(
                f"""SELECT variant, count(*) FROM units WHERE is_new AND lacks_before_{n}
                GROUP BY variant ORDER BY variant"""
            ):
                imputed[column][variant] = int(units)
        return dict(imputed)

    def remarks(self) -> list[str]:
        """Say what is odd: names that differ in case or blanks only, rows that stand twice."""
        written = [name for (name,) in self.query(
            "SELECT DISTINCT written FROM entries WHERE variant IS NOT NULL ORDER BY 1")]  # fmt: skip
        alike: dict[str, list[str]] = defaultdict(list)
        for name in written:
            alike["".join(name.casefold().split())].append(name)
        names = [
            f"Variants {same} differ only in case or blanks: are they one?"
            for same in alike.values()
            if len(same) > 1
        ]
        return [*names, *self._remarks]


def _cluster_columns(cluster: ClusterColumn | None) -> list[str]:
    """SQL of a row's cluster, and whether it is too early in its block to count."""
    if cluster is None:
        return ["NULL AS cluster", "false AS carried_over"]
    if cluster.block_seconds is None:
        return [
            f"nullif(trim({quote(cluster.column)}::VARCHAR), '') AS cluster",
            "false AS carried_over",
        ]
    at = f"epoch(try_cast({quote(cluster.column)} AS TIMESTAMP))"
    length = repr(float(cluster.block_seconds))
    into = f"{at} - {length} * floor({at} / {length})"
    return [
        f"floor({at} / {length})::BIGINT::VARCHAR AS cluster",
        f"{into} < {float(cluster.carry_over_seconds)!r} AS carried_over",
    ]
