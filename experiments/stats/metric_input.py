"""One metric of an experiment as a look reads it: totals by variant, one set an epoch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from experiments.kinds import DIRECTIONS, direction_of
from experiments.stats.quantiles import Sketch
from experiments.stats.totals import StatisticsError, Totals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.kinds import Direction, MetricKind, Role
    from experiments.stats.effects import Summary


@dataclass(frozen=True, slots=True)
class MetricInput:
    """One metric's totals: per epoch, per variant.

    Attributes:
        key: the metric's name.
        kind: proportion, mean, ratio, quantile, retention or funnel.
        role: primary, secondary or guardrail.
        direction: which change is good.
        margin: guardrail: the relative loss that is still accepted.
        epochs: totals by variant, or sketches of a quantile, one mapping per epoch.
        quantile: which, of kind quantile.
        uncapped: totals of the same units without the cap, where values are capped.
        margin_floor: guardrail: the absolute loss that is accepted beside the relative one.

    Raises:
        StatisticsError: the direction is none.
    """

    key: str
    kind: MetricKind
    role: Role
    direction: Direction
    margin: float
    epochs: Sequence[Mapping[str, Summary]]
    quantile: float = 0.5
    uncapped: Sequence[Mapping[str, Totals]] = ()
    margin_floor: float = 0.0

    def __post_init__(self) -> None:
        # Until 0.1 it was a boolean, and True would quietly count as "not increase".
        if self.direction not in DIRECTIONS:
            raise StatisticsError(
                f"direction == {self.direction!r}, must be one of {list(DIRECTIONS)}."
            )

    def as_json(self) -> dict[str, Any]:
        """Return every field as plain values."""
        return {
            "key": self.key,
            "kind": self.kind,
            "role": self.role,
            "direction": self.direction,
            "margin": self.margin,
            "quantile": self.quantile,
            "epochs": epochs_to_json(self.epochs),
            "uncapped": epochs_to_json(self.uncapped),
            # Only where there is one: what was written before has none, and hashes the same.
            **({"margin_floor": self.margin_floor} if self.margin_floor else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MetricInput:
        """Read what `as_json` wrote; until 0.1 the direction was a boolean."""
        plain = dict(data)
        if "increase_is_good" in plain:
            plain["direction"] = direction_of(increase_is_good=plain.pop("increase_is_good"))
        parsed = {name: epochs_from_json(data[name]) for name in ("epochs", "uncapped")}
        return cls(**{**plain, **parsed})


def epochs_to_json(epochs: Sequence[Mapping[str, Summary]]) -> list[dict[str, Any]]:
    """Return totals or sketches by variant, one mapping per epoch, as plain values."""
    return [{key: _summary_to_json(one) for key, one in epoch.items()} for epoch in epochs]


def epochs_from_json(data: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Read what `epochs_to_json` wrote."""
    return [{key: _summary_from_json(one) for key, one in epoch.items()} for epoch in data]


def _summary_to_json(summary: Summary) -> dict[str, Any]:
    if isinstance(summary, Sketch):
        # JSON has no integers as keys.
        return {"counts": {str(bucket): units for bucket, units in sorted(summary.counts.items())}}
    return asdict(cast("Totals", summary))


def _summary_from_json(data: Mapping[str, Any]) -> Summary:
    if "counts" in data:
        return Sketch({int(bucket): units for bucket, units in data["counts"].items()})
    return Totals(**data)
