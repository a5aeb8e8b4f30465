"""A file of units and what is asked of it; `unit_reader` reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from experiments.kinds import MetricKind
    from experiments.stats.effects import Summary
    from experiments.stats.totals import Totals


class FileError(ValueError):
    """A file or a question that cannot be read; the message names the value and the rule."""


@dataclass(frozen=True, slots=True)
class TextFormat:
    """How a text file writes numbers and dates.

    Attributes:
        decimal: the decimal mark, a point or a comma.
        thousands: the mark between groups of three digits; empty for none.
        dates: how dates of digits are meant, `day-first` or `month-first`; None where they must
            speak for themselves.
    """

    decimal: str = "."
    thousands: str = ""
    dates: str | None = None

    def __post_init__(self) -> None:
        if self.thousands == self.decimal:
            raise FileError(f"thousands == '{self.thousands}', must differ from the decimal mark.")

    @property
    def is_plain(self) -> bool:
        """Whether numbers are written as programs write them."""
        return self.decimal == "." and not self.thousands

    def as_plain(self, number: str) -> str:
        """Return a number as programs write it."""
        bare = number.replace(self.thousands, "") if self.thousands else number
        return bare.replace(self.decimal, ".")


@dataclass(frozen=True, slots=True)
class MetricColumn:
    """A metric over columns.

    Attributes:
        name: of the metric.
        kind: proportion, mean, ratio, quantile, retention or funnel.
        value: column of the value, or of a ratio's numerator.
        denominator: column of a ratio's denominator.
        covariate: column measured before exposure: one value per unit, which may stand in each of
            its rows; a unit without one counts as 0, as a unit without events does on the platform.
        covariate_denominator: of a ratio's covariate.
        features: columns measured before exposure, numbers or names, from which the value is predicted;
            the prediction is then the covariate.
        quantile: which, of a quantile.
        cap: larger values of a unit count as this.
    """

    name: str
    kind: MetricKind
    value: str
    denominator: str | None = None
    covariate: str | None = None
    covariate_denominator: str | None = None
    features: tuple[str, ...] = ()
    quantile: float = 0.5
    cap: float | None = None

    @property
    def columns(self) -> list[str]:
        """The columns that are summed per unit."""
        return [column for column in (self.value, self.denominator) if column]

    @property
    def covariates(self) -> list[str]:
        """The columns that were measured before exposure."""
        return [column for column in (self.covariate, self.covariate_denominator) if column]


@dataclass(frozen=True, slots=True)
class ClusterColumn:
    """What was randomised, above the units.

    Attributes:
        column: of the cluster's name; of the time of a row, where there are blocks.
        block_seconds: length of the blocks of time that variants were switched by; None without.
        carry_over_seconds: from a block's start, in which the block before still acts: left out.
    """

    column: str
    block_seconds: float | None = None
    carry_over_seconds: float = 0.0

    def __post_init__(self) -> None:
        length = self.block_seconds
        if length is None:
            return
        if not 0 < length < float("inf"):
            raise FileError(f"block_seconds == {length:g}, must be positive.")
        if not 0 <= self.carry_over_seconds < length:
            raise FileError(
                f"carry_over_seconds == {self.carry_over_seconds:g}, must be at least 0 and less than "
                f"block_seconds == {length:g}: nothing of a block would count."
            )

    @property
    def word(self) -> str:
        """What its clusters are called."""
        return "clusters" if self.block_seconds is None else "blocks"

    @property
    def option(self) -> str:
        """What names it in a shell."""
        return "--cluster" if self.block_seconds is None else "--switchback"


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
        crossover_units: units that the file shows in two variants; they are left out.
        missing: units without a value, by metric and variant.
        unassigned: rows without a variant; they are left out.
        excluded: units of variants that the question leaves out, by variant.
        imputed: units without a value of a covariate, by column and variant; it counts as 0.
        remarks: what else a reader must know of the file, in words.
        segments: totals of the first metric by `column=value`, by variant.
        segment_units: units by `column=value`, by variant.
        clustered: units within clusters, by variant; the looks then count clusters. Empty without.
    """

    looks: list[FileLook]
    crossover_units: int = 0
    missing: dict[str, dict[str, int]] = field(default_factory=dict)
    unassigned: int = 0
    excluded: dict[str, int] = field(default_factory=dict)
    imputed: dict[str, dict[str, int]] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    segments: dict[str, dict[str, Summary]] = field(default_factory=dict)
    segment_units: dict[str, dict[str, int]] = field(default_factory=dict)
    clustered: dict[str, int] = field(default_factory=dict)


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
        excluded: variants to leave out of the comparison.
        form: how a text file writes numbers, and the dates of looks.
        cluster: what was randomised, where it was not the unit.

    Raises:
        FileError: a prediction without units or with several looks, or clusters with what counts units.
    """

    path: Path
    variant: str
    metrics: Sequence[MetricColumn]
    unit: str | None = None
    look: str | None = None
    segments: Sequence[str] = ()
    excluded: Sequence[str] = ()
    form: TextFormat = field(default_factory=TextFormat)
    cluster: ClusterColumn | None = None

    def __post_init__(self) -> None:
        if any(metric.features for metric in self.metrics):
            self._require_predictable()
        if self.cluster is not None:
            self._require_clusters(self.cluster)

    def _require_predictable(self) -> None:
        if not self.unit:
            raise FileError("predict needs --unit: each unit is predicted by models of the others.")
        if self.look:
            raise FileError(
                f"predict with --look == '{self.look}', must be one look: a model of the last would "
                "tell the first what was to come."
            )

    def _require_clusters(self, cluster: ClusterColumn) -> None:
        for option, value in (("--look", self.look), ("--segment", self.segments)):
            if value:
                raise FileError(
                    f"{option} with {cluster.option}, must be left out: clusters count once."
                )
        if quantiles := [metric.name for metric in self.metrics if metric.kind == "quantile"]:
            raise FileError(
                f"metric '{quantiles[0]}' with {cluster.option}, must be no quantile: a mean or a "
                "share."
            )
        if cluster.block_seconds is not None and self.unit:
            raise FileError(
                "--unit with --switchback, must be left out: a row counts in the block of its time."
            )
