"""Metrics over facts of served answers: guardrails of every automatic experiment."""

from __future__ import annotations

from dataclasses import dataclass, replace


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

# Of surfaces that generate, beside these: what an answer costs is a guardrail there, since a longer
# prompt or a larger model is better at nearly everything else. What streams make wait is felt at once.
GENERATION_METRICS = (
    ServingMetric(
        "serving-first-token",
        "Time to first token (ms)",
        "slate.first_token",
        value="sum",
        margin=0.2,
        margin_floor=50.0,
    ),
    ServingMetric("serving-tokens", "Tokens of an answer", "slate.tokens", value="sum"),
    ServingMetric(
        "serving-refusals", "Refusals", "slate.refusal", margin=0.2, margin_floor=SHARE_FLOOR
    ),
    ServingMetric(
        "serving-schema-failures",
        "Answers that break the schema",
        "slate.schema_failure",
        margin=0.2,
        margin_floor=SHARE_FLOOR,
    ),
)
_NOT_OF_GENERATIONS = frozenset({"slate.cold_start", "slate.item"})
COST_MARGIN = 0.2


def serving_metrics_of(kind: str) -> tuple[ServingMetric, ...]:
    """Return the serving metrics of surfaces of a kind."""
    if kind != "generate":
        return SERVING_METRICS
    shared = (one for one in SERVING_METRICS if one.event not in _NOT_OF_GENERATIONS)
    return (
        *(replace(one, margin=COST_MARGIN) if one.event == "slate.cost" else one for one in shared),
        *GENERATION_METRICS,
    )
