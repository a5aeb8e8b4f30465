"""What a look reads, from the database."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, cast

from django.db import connection
from django.db.models import Sum

from experiments.metrics.freeze import spec_of
from experiments.sql import TOTALED
from experiments.stats.look_input import LookInput
from experiments.stats.metric_input import MetricInput
from experiments.stats.quantiles import Sketch
from experiments.stats.rules import RuleState
from experiments.stats.totals import TOTALS, Totals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from experiments.models import Experiment, ExperimentMetric
    from experiments.stats.effects import Summary
    from experiments.stats.metric_input import Role

Epochs = list[dict[str, Any]]
_UNCAPPED = ("sum_u", "sum_uu")


def gather(experiment: Experiment, now: datetime) -> LookInput:
    """Read the totals of an experiment: a handful of rows however many events there are."""
    variants = {variant.pk: variant.key for variant in experiment.variants.all()}
    treatments = [variant.key for variant in experiment.treatments]
    epochs = list(experiment.epochs.all())
    numbers = [epoch.number for epoch in epochs]
    last = experiment.looks.last()
    state = experiment.sequential_state
    metrics = list(experiment.metrics.select_related("metric"))
    inputs = [_metric_input(experiment, metric, variants, numbers) for metric in metrics]
    counts: dict[str, dict[int, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    excluded: dict[int, dict[str, int]] = defaultdict(dict)
    claimed: dict[int, dict[str, int]] = defaultdict(dict)
    left = {key for key in treatments if epochs and epochs[-1].weights.get(key, 0.0) <= 0}
    moved = {epoch.number for epoch in epochs if any(epoch.weights.get(key, 0.0) <= 0 for key in left)}
    crossover_units = 0
    for total in experiment.exposure_totals.all():
        # A unit counts in the split where it came first: that it is met again in another variant, as
        # all units of a treatment that left are, says nothing about who is sent where.
        units = total.units if total.segment else max(total.units - total.crossover_units, 0)
        counts[total.segment][total.epoch][variants[total.variant_id]] = units
        if total.epoch not in moved:
            crossover_units += total.crossover_units
        if not total.segment:
            excluded[total.epoch][variants[total.variant_id]] = total.excluded
            claimed[total.epoch][variants[total.variant_id]] = total.claimed
    primary = next(metric for metric in metrics if metric.role == metric.Role.PRIMARY)
    started = experiment.started_at or now
    return LookInput(
        policy=experiment.parsed_policy,
        control=experiment.control.key,
        treatments=treatments,
        metrics=inputs,
        exposures=[(counts[""][epoch.number], epoch.weights) for epoch in epochs],
        crossover_units=crossover_units,
        elapsed_seconds=(now - started).total_seconds(),
        min_srm_p=last.parsed_result.sample_ratio.p_value if last is not None else 1.0,
        states={key: RuleState.from_json(one) for key, one in state.get("states", {}).items()},
        crossed=state.get("crossed", []),
        batches=_new_batches(experiment, primary, variants, state.get("batch", 0)),
        segments=_segments(experiment, primary, variants, numbers),
        segment_exposures={
            segment: _sum_counts(by_epoch.values()) for segment, by_epoch in counts.items() if segment
        },
        excluded=[(excluded[epoch.number], epoch.weights) for epoch in epochs],
        cross_id_conflicts=_count_cross_id_conflicts(experiment, primary),
        left=sorted(left),
        claimed=[claimed[epoch.number] for epoch in epochs],
    )


def _count_cross_id_conflicts(experiment: Experiment, metric: ExperimentMetric) -> int:
    """Count people whose two units, met before they logged in, are in different variants."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*) FROM experiments_link AS person
            CROSS JOIN LATERAL (SELECT variant_id FROM experiments_observation AS own
                WHERE own.experiment_id = %(experiment)s AND own.metric_id = %(metric)s
                    AND own.unit_id = person.unit_id LIMIT 1) AS one
            CROSS JOIN LATERAL (SELECT variant_id FROM experiments_observation AS own
                WHERE own.experiment_id = %(experiment)s AND own.metric_id = %(metric)s
                    AND own.unit_id = person.other_unit_id LIMIT 1) AS other
            WHERE person.project_id = %(project)s AND person.alias IS NULL
                AND one.variant_id <> other.variant_id""",
            {
                "experiment": experiment.pk,
                "metric": metric.metric_id,
                "project": experiment.project_id,
            },
        )
        return int(cursor.fetchone()[0])


def _metric_input(
    experiment: Experiment,
    metric: ExperimentMetric,
    variants: Mapping[int, str],
    epochs: Sequence[int],
) -> MetricInput:
    spec = spec_of(metric, experiment)
    found = _read_totals(experiment, metric, variants, epochs)
    sketches = _read_sketches(experiment, metric, variants, epochs) if spec.kind == "quantile" else None
    capped = spec.cap is not None and spec.kind == "mean"
    return MetricInput(
        key=spec.key,
        kind=spec.kind,
        role=cast("Role", metric.role),
        direction=spec.direction,
        margin=metric.margin,
        epochs=[{key: row["totals"] for key, row in epoch.items()} for epoch in found.get("", [])]
        if sketches is None
        else sketches[""],
        quantile=spec.quantile,
        uncapped=[
            {
                key: Totals.of_mean(
                    n=row["totals"].n,
                    nonzero=row["totals"].nonzero,
                    total=row["sum_u"],
                    squares=row["sum_uu"],
                )
                for key, row in epoch.items()
            }
            for epoch in found.get("", [])
        ]
        if capped
        else (),
    )


def _read_totals(
    experiment: Experiment,
    metric: ExperimentMetric,
    variants: Mapping[int, str],
    epochs: Sequence[int],
    *,
    segments: bool = False,
) -> dict[str, Epochs]:
    """Return totals by variant, one mapping an epoch, by segment."""
    rows: Any = experiment.totals.filter(metric=metric.metric)
    rows = rows.exclude(segment="") if segments else rows.filter(segment="")
    rows = rows.values("segment", "epoch", "variant_id").annotate(
        **{f"total_{name}": Sum(TOTALED.get(name, name)) for name in (*TOTALS, *_UNCAPPED)}
    )
    found: dict[str, dict[int, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        found[row["segment"]][row["epoch"]][variants[row["variant_id"]]] = {
            "totals": Totals(**{name: row[f"total_{name}"] for name in TOTALS}),
            **{name: row[f"total_{name}"] for name in _UNCAPPED},
        }
    return {
        segment: [by_epoch.get(number, {}) for number in epochs] for segment, by_epoch in found.items()
    } or ({} if segments else {"": [{} for _ in epochs]})


def _read_sketches(
    experiment: Experiment,
    metric: ExperimentMetric,
    variants: Mapping[int, str],
    epochs: Sequence[int],
    *,
    segments: bool = False,
) -> dict[str, Epochs]:
    """Return sketches as `_read_totals` does totals."""
    rows = experiment.quantile_counts.filter(metric=metric.metric, units__gt=0)
    rows = rows.exclude(segment="") if segments else rows.filter(segment="")
    found: dict[str, dict[int, dict[str, dict[int, int]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(dict))
    )
    for row in rows:
        found[row.segment][row.epoch][variants[row.variant_id]][row.bucket] = row.units
    return {
        segment: [
            {key: Sketch(counts) for key, counts in by_epoch.get(number, {}).items()}
            for number in epochs
        ]
        for segment, by_epoch in found.items()
    } or ({} if segments else {"": [{} for _ in epochs]})


def _segments(
    experiment: Experiment,
    metric: ExperimentMetric,
    variants: Mapping[int, str],
    epochs: Sequence[int],
) -> dict[str, Sequence[Mapping[str, Summary]]]:
    if not experiment.segments:
        return {}
    if spec_of(metric, experiment).kind == "quantile":
        found = _read_sketches(experiment, metric, variants, epochs, segments=True)
        return {segment: found[segment] for segment in sorted(found)}
    totals = _read_totals(experiment, metric, variants, epochs, segments=True)
    return {
        segment: [{key: row["totals"] for key, row in epoch.items()} for epoch in totals[segment]]
        for segment in sorted(totals)
    }


def _new_batches(
    experiment: Experiment, metric: ExperimentMetric, variants: Mapping[int, str], after: int
) -> list[Mapping[str, Totals]]:
    """Return the primary's totals of each batch and epoch since the last look, for the exact rule."""
    if experiment.parsed_policy.rule != "exact":
        return []
    found: dict[tuple[int, int], dict[str, Totals]] = defaultdict(dict)
    rows = experiment.totals.filter(metric=metric.metric, segment="", batch__gt=after)
    for row in rows.order_by("batch", "epoch"):
        totals = Totals(**{name: getattr(row, TOTALED.get(name, name)) for name in TOTALS})
        found[row.batch, row.epoch][variants[row.variant_id]] = totals
    return list(found.values())


def _sum_counts(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in counts:
        for key, units in one.items():
            total[key] = total.get(key, 0) + units
    return total
