"""Give a project its serving metrics: with its first surface that answers, or to who names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.metrics.spec import SERVED
from experiments.models import Metric
from experiments.programme.serving_metrics import SERVING_METRICS, serving_metrics_of

if TYPE_CHECKING:
    from bakeoff.accounts.models import Project
    from experiments.programme.serving_metrics import ServingMetric


def create_serving_metrics(project: Project, kind: str) -> dict[str, Metric]:
    """Return the serving metrics of a project's surfaces of a kind; those missing are created.

    Part of the caller's change, whose audit entry it shares. One that is archived is restored. Where a
    metric of another meaning has the key, the serving metric has the key with `-2`, or the next number
    that is free.
    """
    # Those of every kind, too: a project has them from its first surface on.
    wanted = {one.key: one for one in (*SERVING_METRICS, *serving_metrics_of(kind))}
    return {one.key: _metric(project, one) for one in wanted.values()}


def _metric(project: Project, one: ServingMetric) -> Metric:
    similar = Metric.objects.filter(project=project, key__startswith=one.key)
    known = {metric.key: metric for metric in similar}
    names = (one.key, *(f"{one.key}-{number}" for number in range(2, len(known) + 2)))
    key = next(name for name in names if name not in known or known[name].event == one.event)
    if (metric := known.get(key)) is not None:
        if metric.archived_at is not None:
            metric.archived_at = None
            metric.save(update_fields=["archived_at"])
        return metric
    # Two workers may create it at once: the second gets what the first has created.
    metric, _ = Metric.objects.get_or_create(
        project=project,
        key=key,
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
