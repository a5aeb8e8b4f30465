"""What a look reads, from the database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from experiments.looks.clustered_units import by_clusters
from experiments.looks.exposure_counts import count_cross_id_conflicts, count_exposures
from experiments.looks.interleaved_units import read_interleaved
from experiments.looks.stored_totals import StoredTotals
from experiments.metrics.freeze import spec_of
from experiments.stats.look_input import LookInput
from experiments.stats.rules import RuleState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from experiments.metrics.spec import MetricSpec
    from experiments.models import Epoch, Experiment
    from experiments.stats.metric_input import MetricInput


def gather(experiment: Experiment, now: datetime) -> LookInput:
    """Read the totals of an experiment: a handful of rows however many events there are."""
    treatments = [variant.key for variant in experiment.treatments]
    epochs = list(experiment.epochs.all())
    left = frozenset(key for key in treatments if epochs and epochs[-1].weights.get(key, 0.0) <= 0)
    counts = count_exposures(experiment, epochs, left)
    weights = [epoch.weights for epoch in epochs]
    metrics = list(experiment.metrics.select_related("metric"))
    primary = next(metric for metric in metrics if metric.role == metric.Role.PRIMARY)
    policy, stored = experiment.parsed_policy, StoredTotals(experiment)
    inputs = [stored.read_metric(metric) for metric in metrics]
    rewards = None
    if experiment.mode == experiment.Mode.BANDIT:
        rewards = inputs[metrics.index(primary)].epochs
        if policy.rule != "exact":  # which reads batches, and is right for any shares
            specs = [spec_of(metric, experiment) for metric in metrics]
            inputs = _without_open_epochs(inputs, specs, epochs, now)
    state, last = experiment.sequential_state, experiment.looks.last()
    of_units = LookInput(
        policy=policy,
        control=experiment.control.key,
        treatments=treatments,
        metrics=inputs,
        exposures=list(zip(counts.units, weights, strict=True)),
        crossover_units=counts.crossover_units,
        elapsed_seconds=(now - (experiment.started_at or now)).total_seconds(),
        min_srm_p=last.parsed_result.sample_ratio.p_value if last is not None else 1.0,
        states={key: RuleState.from_json(one) for key, one in state.get("states", {}).items()},
        crossed=state.get("crossed", []),
        # The exact rule alone reads batches; the others read the totals of all of them.
        batches=stored.read_batches(primary, after=state.get("batch", 0))
        if policy.rule == "exact"
        else [],
        segments=stored.read_segments(primary),
        segment_exposures=counts.segments,
        excluded=list(zip(counts.excluded, weights, strict=True)),
        cross_id_conflicts=count_cross_id_conflicts(experiment, primary),
        left=sorted(left),
        claimed=counts.claimed,
        interleaved=read_interleaved(experiment, now),
        rewards=rewards,
    )
    return by_clusters(experiment, metrics, of_units)


def _without_open_epochs(
    metrics: Sequence[MetricInput], specs: Sequence[MetricSpec], epochs: Sequence[Epoch], now: datetime
) -> list[MetricInput]:
    """Return a bandit's metrics with the epochs that are over, all windows closed: its batches."""
    wait = timedelta(seconds=max(spec.complete_after_seconds for spec in specs))
    over = [epoch.ended_at is not None and epoch.ended_at + wait <= now for epoch in epochs]

    def of_over(totals: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        return [one if closed else {} for one, closed in zip(totals, over, strict=True)]

    return [
        replace(
            metric,
            epochs=of_over(metric.epochs),
            uncapped=of_over(metric.uncapped) if metric.uncapped else (),
        )
        for metric in metrics
    ]
