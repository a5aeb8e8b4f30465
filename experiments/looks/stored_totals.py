"""Totals and sketches of an experiment's metrics as the roll-up keeps them, by keys of variants."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from django.db.models import Sum

from experiments.metrics.freeze import spec_of
from experiments.sql import TOTALED
from experiments.stats.metric_input import MetricInput
from experiments.stats.quantiles import Sketch
from experiments.stats.totals import TOTALS, Totals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.kinds import Role
    from experiments.models import Experiment, ExperimentMetric
    from experiments.stats.effects import Summary

_UNCAPPED = ("sum_u", "sum_uu")


class _Sums(NamedTuple):
    """One variant's sums in one epoch.

    Attributes:
        totals: of capped values.
        sum_u: Σu, of values without the cap.
        sum_uu: Σu².
    """

    totals: Totals
    sum_u: float
    sum_uu: float

    def uncapped(self) -> Totals:
        """Return the totals of the same units without the cap."""
        return Totals.of_mean(
            n=self.totals.n, nonzero=self.totals.nonzero, total=self.sum_u, squares=self.sum_uu
        )


class StoredTotals:
    """Reads the totals of one experiment: one query per metric, however many events there are."""

    def __init__(self, experiment: Experiment) -> None:
        """Read the variants and epochs that the totals are of."""
        self._experiment = experiment
        self._variants = {variant.pk: variant.key for variant in experiment.variants.all()}
        self._epochs = [epoch.number for epoch in experiment.epochs.all()]

    def read_metric(self, metric: ExperimentMetric) -> MetricInput:
        """Return a metric with its totals over all units."""
        spec = spec_of(metric, self._experiment)
        sums = self._read_sums(metric).get("", [{} for _ in self._epochs])
        epochs: list[dict[str, Any]] = [_totals_of(epoch) for epoch in sums]
        if spec.kind == "quantile":
            epochs = self._read_sketches(metric).get("", [{} for _ in self._epochs])
        uncapped: Sequence[Mapping[str, Totals]] = ()
        if spec.cap is not None and spec.kind == "mean":
            uncapped = [{key: one.uncapped() for key, one in epoch.items()} for epoch in sums]
        return MetricInput(
            key=spec.key,
            kind=spec.kind,
            role=cast("Role", metric.role),
            direction=spec.direction,
            margin=metric.margin,
            margin_floor=metric.margin_floor,
            epochs=epochs,
            quantile=spec.quantile,
            uncapped=uncapped,
        )

    def read_segments(self, metric: ExperimentMetric) -> dict[str, Sequence[Mapping[str, Summary]]]:
        """Return a metric's totals, or sketches, by segment, in the order of their names."""
        if not self._experiment.segments:
            return {}
        by_segment: dict[str, list[dict[str, Any]]]
        if spec_of(metric, self._experiment).kind == "quantile":
            by_segment = self._read_sketches(metric, segments=True)
        else:
            sums = self._read_sums(metric, segments=True)
            by_segment = {name: [_totals_of(one) for one in epochs] for name, epochs in sums.items()}
        # Adjusted p-values of equal rank are told apart by their place: it must not change by chance.
        return {name: by_segment[name] for name in sorted(by_segment)}

    def read_batches(self, metric: ExperimentMetric, *, after: int) -> list[Mapping[str, Totals]]:
        """Return a metric's totals of each batch and epoch after a batch, in the order they closed."""
        batches: dict[tuple[int, int], dict[str, Totals]] = defaultdict(dict)
        rows = self._experiment.totals.filter(metric=metric.metric, segment="", batch__gt=after)
        # An e-process is a product over batches in their order, so that a look can be recomputed.
        for row in rows.order_by("batch", "epoch"):
            totals = Totals(**{name: getattr(row, TOTALED.get(name, name)) for name in TOTALS})
            batches[row.batch, row.epoch][self._variants[row.variant_id]] = totals
        return list(batches.values())

    def _read_sums(
        self, metric: ExperimentMetric, *, segments: bool = False
    ) -> dict[str, list[dict[str, _Sums]]]:
        """Return sums by variant, one mapping per epoch, by segment."""
        rows: Any = self._experiment.totals.filter(metric=metric.metric)
        rows = rows.exclude(segment="") if segments else rows.filter(segment="")
        rows = rows.values("segment", "epoch", "variant_id").annotate(
            **{f"total_{name}": Sum(TOTALED.get(name, name)) for name in (*TOTALS, *_UNCAPPED)}
        )
        sums: dict[str, dict[int, dict[str, _Sums]]] = defaultdict(lambda: defaultdict(dict))
        for row in rows:
            sums[row["segment"]][row["epoch"]][self._variants[row["variant_id"]]] = _Sums(
                Totals(**{name: row[f"total_{name}"] for name in TOTALS}),
                *(row[f"total_{name}"] for name in _UNCAPPED),
            )
        return {
            segment: [by_epoch.get(number, {}) for number in self._epochs]
            for segment, by_epoch in sums.items()
        }

    def _read_sketches(
        self, metric: ExperimentMetric, *, segments: bool = False
    ) -> dict[str, list[dict[str, Sketch]]]:
        """Return sketches by variant, one mapping per epoch, by segment."""
        rows = self._experiment.quantile_counts.filter(metric=metric.metric, units__gt=0)
        rows = rows.exclude(segment="") if segments else rows.filter(segment="")
        counts: dict[str, dict[int, dict[str, dict[int, int]]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(dict))
        )
        for row in rows:
            variant = self._variants[row.variant_id]
            counts[row.segment][row.epoch][variant][row.bucket] = row.units
        return {
            segment: [
                {key: Sketch(one) for key, one in by_epoch.get(number, {}).items()}
                for number in self._epochs
            ]
            for segment, by_epoch in counts.items()
        }


def _totals_of(epoch: Mapping[str, _Sums]) -> dict[str, Totals]:
    return {key: one.totals for key, one in epoch.items()}
