"""Give a project its serving metrics, for whoever names them: a programme, an automatic experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.metrics.spec import SERVED
from experiments.models import Metric
from experiments.programme.serving_metrics import SERVING_METRICS

if TYPE_CHECKING:
    from bakeoff.accounts.models import Project
    from experiments.programme.serving_metrics import ServingMetric


def create_serving_metrics(project: Project) -> dict[str, Metric]:
    """Return a project's serving metrics by their key; those that are missing are created.

    Part of the caller's change, whose audit entry it shares. Where a metric of another meaning has the
    key, the serving metric has the key with `-2`.
    """
    return {one.key: _metric(project, one) for one in SERVING_METRICS}


def _metric(project: Project, one: ServingMetric) -> Metric:
    keys = (one.key, f"{one.key}-2")
    known = Metric.objects.filter(project=project, key__in=keys).order_by("key")
    for metric in known:
        if metric.event == one.event:
            return metric
    # Two workers may create it at once: the second gets what the first has made.
    metric, _ = Metric.objects.get_or_create(
        project=project,
        key=keys[len(known)],
        defaults={
            "name": one.name,
            "kind": one.kind,
            "event": one.event,
            "value": one.value,
            "denominator": SERVED if one.kind == "ratio" else "",
            "direction": one.direction,
        },
    )
    return metric
