"""Metrics over facts of served answers: guardrails of every automatic experiment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServingMetric:
    """A metric that every project with a surface that answers has.

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


SHARE_FLOOR = 0.005
# Shares that are nearly 0 need a floor: 1 failure in 10,000 against 0 is no reason never to ship. Nor
# an answer after 4 ms instead of 2: nobody notices 20 ms.
SERVING_METRICS = (
    ServingMetric(
        "serving-errors", "Failed answers", "slate.error", margin=0.2, margin_floor=SHARE_FLOOR
    ),
    ServingMetric(
        "serving-fallbacks", "Fallbacks", "slate.fallback", margin=0.2, margin_floor=SHARE_FLOOR
    ),
    ServingMetric(
        "serving-latency", "Latency (ms)", "slate.latency", value="sum", margin=0.2, margin_floor=20.0
    ),
    ServingMetric("serving-cold-starts", "Cold starts", "slate.cold_start"),
    ServingMetric("serving-cost", "Cost of an answer", "slate.cost", value="sum"),
    ServingMetric(
        "serving-items", "Distinct items", "slate.item", "mean", value="items", direction="increase"
    ),
)
