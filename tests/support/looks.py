"""What a look reads, made of keywords: no database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.stats.look_input import LookInput
from experiments.stats.metric_input import MetricInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from experiments.stats.policy import Policy


def metric_input(epoch: Mapping[str, Any] | None = None, **fields: Any) -> MetricInput:
    """The primary metric, a proportion, of one epoch: totals (or sketches) by variant."""
    defaults: dict[str, Any] = {
        "key": "clicks",
        "kind": "proportion",
        "role": "primary",
        "direction": "increase",
        "margin": 0.0,
        "epochs": [] if epoch is None else [epoch],
    }
    return MetricInput(**defaults | fields)


def look_input(*metrics: MetricInput, policy: Policy, **fields: Any) -> LookInput:
    """A look at `control` and `treatment` of a moment after the start; nothing else is wrong."""
    defaults: dict[str, Any] = {
        "control": "control",
        "treatments": ["treatment"],
        "exposures": [],
        "crossover_units": 0,
        "elapsed_seconds": 1.0,
    }
    return LookInput(policy=policy, metrics=list(metrics), **defaults | fields)


def half_and_half(units: int) -> list[tuple[dict[str, int], dict[str, float]]]:
    """One epoch in which each of the two variants has this many units."""
    return [({"control": units, "treatment": units}, {"control": 0.5, "treatment": 0.5})]
