"""Read what verdicts of many experiments need in a handful of queries, however many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Prefetch, prefetch_related_objects

from experiments.models import ExperimentMetric, Look, Variant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from experiments.models import Experiment

LAST_LOOKS = "last_looks"


def read_together(experiments: Iterable[Experiment]) -> list[Experiment]:
    """Return experiments with their last look, decisions, variants and metrics read."""
    rows = list(experiments)
    # One look each, found by the index of (experiment, number): an experiment may have thousands.
    looks = Look.objects.order_by("experiment_id", "-number").distinct("experiment_id").defer("inputs")
    prefetch_related_objects(
        rows,
        Prefetch("looks", queryset=looks, to_attr=LAST_LOOKS),
        "decisions",
        Prefetch("variants", queryset=Variant.objects.select_related("model_version")),
        Prefetch("metrics", queryset=ExperimentMetric.objects.select_related("metric")),
    )
    return rows


def last_look(experiment: Experiment) -> Look | None:
    """Return the last look, as it was read together with others or by a query of its own."""
    looks: list[Look] | None = getattr(experiment, LAST_LOOKS, None)
    return experiment.looks.last() if looks is None else next(iter(looks), None)


def primary_of(experiment: Experiment) -> ExperimentMetric:
    """Return the metric that decides, likewise."""
    if not hasattr(experiment, LAST_LOOKS):
        return experiment.primary
    return next(one for one in experiment.metrics.all() if one.role == ExperimentMetric.Role.PRIMARY)


def find_primary(experiment: Experiment) -> ExperimentMetric | None:
    """Return the same, or None where none was chosen yet."""
    if not hasattr(experiment, LAST_LOOKS):
        return experiment.metrics.select_related("metric").filter(role="primary").first()
    primary = (one for one in experiment.metrics.all() if one.role == ExperimentMetric.Role.PRIMARY)
    return next(primary, None)


def variants_of(experiment: Experiment) -> list[Variant]:
    """Return the variants with their versions, likewise."""
    if not hasattr(experiment, LAST_LOOKS):
        return list(experiment.variants.select_related("model_version"))
    return list(experiment.variants.all())


def variant_of(experiment: Experiment, key: str) -> Variant:
    """Return a variant by its key, likewise."""
    return next(one for one in variants_of(experiment) if one.key == key)
