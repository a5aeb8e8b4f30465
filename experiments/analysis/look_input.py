"""What a look reads, from the database or from a stored look."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from django.db.models import Sum

from experiments.stats.group_sequential import SequentialState
from experiments.stats.look import LookInput, LookResult, MetricInput
from experiments.stats.policy import Policy
from experiments.stats.totals import Totals

if TYPE_CHECKING:
    from datetime import datetime

    from experiments.models import Experiment
    from experiments.stats.effects import Kind
    from experiments.stats.look import Role

_SUMS = ("n", "nonzero", "sum_y", "sum_yy", "sum_d", "sum_dd", "sum_yd")


def gather(experiment: Experiment, now: datetime) -> LookInput:
    """Read the totals of an experiment: a handful of rows however many events there are."""
    variants = {variant.pk: variant for variant in experiment.variants.all()}
    epochs = list(experiment.epochs.all())
    last = experiment.looks.last()
    metrics = []
    for role in experiment.roles.select_related("metric"):
        rows: Any = (
            experiment.totals.filter(metric=role.metric)
            .values("epoch", "variant_id")
            .annotate(**{f"total_{name}": Sum(name) for name in _SUMS})
        )
        by_epoch: dict[int, dict[str, Totals]] = {epoch.number: {} for epoch in epochs}
        for row in rows:
            totals = Totals(**{name: row[f"total_{name}"] for name in _SUMS})
            by_epoch.setdefault(row["epoch"], {})[variants[row["variant_id"]].key] = totals
        metrics.append(
            MetricInput(
                key=role.metric.key,
                kind=cast("Kind", role.metric.kind),
                role=cast("Role", role.role),
                increase_is_good=role.metric.increase_is_good,
                margin=role.margin,
                epochs=[by_epoch[number] for number in sorted(by_epoch)],
            )
        )
    counts: dict[int, dict[str, int]] = {epoch.number: {} for epoch in epochs}
    doubled = 0
    for total in experiment.exposure_totals.all():
        counts.setdefault(total.epoch, {})[variants[total.variant_id].key] = total.units
        doubled += total.doubled
    started = experiment.started_at or now
    return LookInput(
        policy=experiment.parsed_policy,
        control=experiment.control.key,
        treatments=[variant.key for variant in experiment.treatments],
        metrics=metrics,
        exposures=[(counts[epoch.number], epoch.weights) for epoch in epochs],
        doubled=doubled,
        elapsed_seconds=(now - started).total_seconds(),
        smallest_srm_p=last.result["sample_ratio"]["p_value"] if last is not None else 1.0,
        states={
            key: SequentialState.from_json(state)
            for key, state in experiment.sequential_state.get("states", {}).items()
        },
        crossed=experiment.sequential_state.get("crossed", []),
    )


def input_to_json(given: LookInput) -> dict[str, Any]:
    """Return a look's input as plain values, to be stored with it."""
    data = asdict(given)
    data["policy"] = given.policy.as_json()
    data["states"] = {key: state.as_json() for key, state in given.states.items()}
    return data


def input_from_json(data: dict[str, Any]) -> LookInput:
    """Read what `input_to_json` wrote."""
    metrics = [
        MetricInput(
            **{key: value for key, value in metric.items() if key != "epochs"},
            epochs=[
                {variant: Totals(**totals) for variant, totals in epoch.items()}
                for epoch in metric["epochs"]
            ],
        )
        for metric in data["metrics"]
    ]
    return LookInput(
        **{
            key: value
            for key, value in data.items()
            if key not in {"policy", "metrics", "exposures", "states"}
        },
        policy=Policy.parse(data["policy"]),
        metrics=metrics,
        exposures=[(counts, weights) for counts, weights in data["exposures"]],
        states={key: SequentialState.from_json(state) for key, state in data["states"].items()},
    )


def result_to_json(result: LookResult) -> dict[str, Any]:
    """Return a look's result as plain values; what follows from the numbers is spelled out."""
    comparisons = []
    for comparison in result.comparisons:
        effect = comparison.effect
        derived = (
            {}
            if effect is None
            else {
                "lift": effect.lift,
                "p_value_fixed": effect.p_value,
                "probability_better": effect.probability_better,
            }
        )
        comparisons.append(asdict(comparison) | derived)
    return {
        "action": result.action,
        "variant": result.variant,
        "reason": result.reason,
        "information": result.information,
        "sample_ratio": asdict(result.sample_ratio),
        "comparisons": comparisons,
        "bounds": {
            key: {"t": state.t, "bound": state.as_json()["bound"], "spent": state.spent}
            for key, state in result.states.items()
        },
    }
