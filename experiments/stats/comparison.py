"""One treatment beside the control on one metric: all that a scorecard shows."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from experiments.stats.effect import Effect, parse_interval
from experiments.stats.multiplicity import holm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.stats.effect import Interval
    from experiments.stats.metric_input import MetricInput


Z80 = 0.8416  # of the standard normal: 80 % power


@dataclass(frozen=True, slots=True)
class Comparison:
    """One treatment against the control on one metric.

    The interval excludes 0 exactly where p_value ≤ level, and on the primary exactly where the rule's
    bound is crossed: they are one test.

    Attributes:
        metric: its name.
        variant: the treatment.
        effect: the difference, or None while it cannot be said.
        why_not: why there is no effect, or no interval.
        critical: half-width of the interval in standard errors; None without an interval.
        ends: critical values of the interval's lower and upper end; a guardrail's differ.
        interval: of the difference, valid under the rule's way of looking; an end that is not known is
            None. Of a guardrail the end on its good side is that of the test of harm, the other that
            of the test of safety.
        lift_interval: of the relative difference.
        lift_why_not: why there is none.
        shrunk: estimate drawn towards zero, as an early stop overstates it.
        p_value: of this look, under the rule's way of looking.
        level: what p_value must not exceed for a verdict; None when the look does not test.
        adjusted_p_value: to be held against the policy's alpha. Of a primary p_value · alpha / level,
            which says what the verdict says; by Holm over all secondary comparisons.
        probability_better: for display only, as is
        expected_loss: of choosing the treatment.
        uncapped: the difference without the cap.
        safe: guardrail: whether its loss is shown to be within the margin.
        harmed: guardrail: whether it is shown to be worse.
    """

    metric: str
    variant: str
    effect: Effect | None
    why_not: str = ""
    critical: float | None = None
    ends: tuple[float, float] | None = None
    interval: Interval | None = None
    lift_interval: tuple[float, float] | None = None
    lift_why_not: str = ""
    shrunk: float | None = None
    p_value: float | None = None
    level: float | None = None
    adjusted_p_value: float | None = None
    probability_better: float | None = None
    expected_loss: float | None = None
    uncapped: float | None = None
    safe: bool | None = None
    harmed: bool | None = None

    def as_json(self) -> dict[str, Any]:
        """Return every field, and what follows from the effect spelled out."""
        data = {one.name: getattr(self, one.name) for one in fields(self)}
        if self.ends is not None and math.isinf(max(self.ends)):  # JSON has no infinity
            data["critical"] = data["ends"] = None
        if self.effect is not None:
            data["effect"] = self.effect.as_json()
            data |= {"lift": self.effect.lift, "p_value_fixed": self.effect.p_value}
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Comparison:
        """Read what `as_json` wrote, now or in an older version, which knew fewer fields."""
        known = {one.name for one in fields(cls)}
        plain = {name: value for name, value in data.items() if name in known}
        effect, ends, lift = data["effect"], data.get("ends"), data["lift_interval"]
        parsed = {
            "effect": None if effect is None else Effect.from_json(effect),
            "ends": None if ends is None else (ends[0], ends[1]),
            "interval": parse_interval(data["interval"]),
            "lift_interval": None if lift is None else (lift[0], lift[1]),
        }
        return cls(**{**plain, **parsed})

    @property
    def lift(self) -> float | None:
        """Relative difference; None without an effect or without a positive base."""
        return None if self.effect is None else self.effect.lift

    @property
    def units(self) -> int:
        """Units of both variants; 0 without an effect."""
        return 0 if self.effect is None else self.effect.control_n + self.effect.treatment_n

    @property
    def detectable_lift(self) -> float | None:
        """Relative difference that is found with 80 % power at the present standard error.

        (critical + z) · se / control, with z the normal quantile of the power; None without an
        interval or without a positive base.
        """
        if self.effect is None or self.critical is None or self.effect.control <= 0:
            return None
        return (self.critical + Z80) * self.effect.se / self.effect.control


def adjust(
    metrics: Sequence[MetricInput], comparisons: Sequence[Comparison], *, alpha: float
) -> list[Comparison]:
    """Adjust p-values so that they are held against alpha.

    On the primary the treatments and the looks have shared alpha already (Holm's step of one look,
    equal parts else): what is left is the scale, so that the adjusted p-value says what the verdict
    says. Over all secondary comparisons, which decide nothing, it is Holm's.
    """
    roles = {metric.key: metric.role for metric in metrics}
    adjusted = [
        replace(row, adjusted_p_value=_on_scale_of(alpha, row))
        if roles[row.metric] == "primary"
        else row
        for row in comparisons
    ]
    places = [n for n, row in enumerate(comparisons) if roles[row.metric] == "secondary"]
    for n, p in zip(places, holm([comparisons[n].p_value for n in places]), strict=True):
        adjusted[n] = replace(comparisons[n], adjusted_p_value=p)
    return adjusted


def _on_scale_of(alpha: float, row: Comparison) -> float | None:
    """Return p · alpha / level, on its side of alpha whatever the last digits are."""
    if row.p_value is None or not row.level:
        return None
    scaled = min(row.p_value * (alpha / row.level), 1.0)
    if row.p_value <= row.level:
        return min(scaled, alpha)
    return max(scaled, math.nextafter(alpha, 1.0))
