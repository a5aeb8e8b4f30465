"""Effects within segments: for exploration, never for a verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from experiments.stats.effect import parse_interval
from experiments.stats.effects import Summary, critical_value
from experiments.stats.estimates import effect_of
from experiments.stats.multiplicity import benjamini_hochberg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.stats.effect import Effect, Interval
    from experiments.stats.metric_input import MetricInput


@dataclass(frozen=True, slots=True)
class SegmentEffect:
    """One treatment against the control within one segment.

    Attributes:
        segment: such as `country=DE`.
        variant: the treatment.
        units: of both variants; 0 without an effect.
        control: the control's level; None without an effect, and in looks that did not store it.
        treatment: the treatment's, likewise.
        estimate: the difference, in the metric's unit; None without an effect.
        lift: the relative difference; None without one.
        interval: of the difference, of one look at the given level.
        adjusted_p_value: by Benjamini and Hochberg over all segments and treatments.
        why_not: why there is no effect, or nothing.
        se: standard error of the difference; None without one, and in looks that did not store it.
        shrunken: the difference drawn towards that of the attribute's other segments
            (`shrunken_segments`); None where there are none, likewise.
        shrunken_interval: of it, at the same level.
    """

    segment: str
    variant: str
    units: int = 0
    control: float | None = None
    treatment: float | None = None
    estimate: float | None = None
    lift: float | None = None
    interval: Interval | None = None
    adjusted_p_value: float | None = None
    why_not: str = ""
    se: float | None = None
    shrunken: float | None = None
    shrunken_interval: Interval | None = None

    def as_json(self) -> dict[str, Any]:
        """Return every field."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SegmentEffect:
        """Read what `as_json` wrote, now or in an older version, which stored fewer fields."""
        intervals = {name: data.get(name) for name in ("interval", "shrunken_interval")}
        return cls(**{**data, **{name: parse_interval(one) for name, one in intervals.items()}})


def compare_segments(
    metric: MetricInput,
    segments: Mapping[str, Sequence[Mapping[str, Summary]]],
    *,
    control: str,
    treatments: Sequence[str],
    alpha: float = 0.05,
) -> list[SegmentEffect]:
    """Compare the treatments with the control within each segment.

    Many segments make many chances: of the differences called significant, at most alpha is expected
    to be false. The p-values are those of a single look.

    Args:
        metric: which, with its kind; its own totals are not read.
        segments: totals by variant, one mapping per epoch, by the name of the segment.
        control: name of the control.
        treatments: names of the treatments.
        alpha: level of the intervals.
    """
    rows, p_values = [], []
    for name, epochs in segments.items():
        within = replace(metric, epochs=epochs)
        for treatment in treatments:
            effect, why_not = effect_of(within, control, treatment)
            rows.append(_describe(name, treatment, effect, why_not, alpha))
            p_values.append(effect.p_value if effect else None)
    adjusted = benjamini_hochberg(p_values)
    return [replace(row, adjusted_p_value=p) for row, p in zip(rows, adjusted, strict=True)]


def _describe(
    segment: str, variant: str, effect: Effect | None, why_not: str, alpha: float
) -> SegmentEffect:
    if effect is None:
        return SegmentEffect(segment, variant, why_not=why_not)
    return SegmentEffect(
        segment=segment,
        variant=variant,
        units=effect.control_n + effect.treatment_n,
        control=effect.control,
        treatment=effect.treatment,
        estimate=effect.estimate,
        se=effect.se,
        lift=effect.lift,
        interval=effect.interval(critical_value(alpha, effect.df)),
    )
