"""Metrics over facts of served answers: guardrails of every automatic experiment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.metrics.spec import SERVED
from experiments.models import Metric

if TYPE_CHECKING:
    from bakeoff.accounts.models import Project


@dataclass(frozen=True, slots=True)
class ServingMetric:
    """A metric that every project has once its first automatic experiment is drafted.

    Attributes:
        key: of the metric.
        name: for people.
        event: fact of an answer that is counted.
        kind: ratio per answer, or mean per user.
        value: what is taken over the facts.
        margin: of a guardrail by default; None where it is none by default.
        margin_floor: the absolute loss that is accepted beside it.
    """

    key: str
    name: str
    event: str
    kind: str = "ratio"
    value: str = "count"
    direction: str = "decrease"
    margin: float | None = None
    margin_floor: float = 0.0


# Shares that are nearly 0 need a floor: 1 failure in 10,000 against 0 is no reason never to ship. Nor
# an answer after 4 ms instead of 2: nobody notices 20 ms.
SERVING_METRICS = (
    ServingMetric("serving-errors", "Failed answers", "slate.error", margin=0.2, margin_floor=0.005),
    ServingMetric("serving-fallbacks", "Fallbacks", "slate.fallback", margin=0.2, margin_floor=0.005),
    ServingMetric(
        "serving-latency", "Latency (ms)", "slate.latency", value="sum", margin=0.2, margin_floor=20.0
    ),
    ServingMetric("serving-cold-starts", "Cold starts", "slate.cold_start"),
    ServingMetric("serving-cost", "Cost of an answer", "slate.cost", value="sum"),
    ServingMetric(
        "serving-items", "Different items", "slate.item", "mean", value="items", direction="increase"
    ),
)


def serving_metrics(project: Project) -> dict[str, Metric]:
    """Return a project's serving metrics by their key, and create those that are missing.

    Where a metric of another meaning has the key, the serving metric has the key with `-2`.
    """
    known = {metric.key: metric for metric in Metric.objects.filter(project=project)}
    found: dict[str, Metric] = {}
    for one in SERVING_METRICS:
        for key in (one.key, f"{one.key}-2"):
            metric = known.get(key)
            if metric is None:
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
            if metric.event == one.event:
                found[one.key] = metric
                break
    return found
