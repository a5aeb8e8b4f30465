"""Effects within segments: for exploration, never for a verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from experiments.stats.effects import Summary, critical_value
from experiments.stats.metric_input import MetricInput, effect_of
from experiments.stats.multiplicity import benjamini_hochberg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.stats.effect import Effect, Interval


@dataclass(frozen=True, slots=True)
class SegmentEffect:
    """One treatment against the control within one segment.

    Attributes:
        segment: such as `country=DE`.
        variant: the treatment.
        effect: the difference, or None.
        why_not: why there is none.
        interval: of one look at the given level.
        adjusted_p_value: by Benjamini and Hochberg over all segments and treatments.
    """

    segment: str
    variant: str
    effect: Effect | None
    why_not: str = ""
    interval: Interval | None = None
    adjusted_p_value: float | None = None


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
        segments: totals by variant, one mapping an epoch, by the name of the segment.
        control: name of the control.
        treatments: names of the treatments.
        alpha: level of the intervals.
    """
    rows = []
    for name, epochs in segments.items():
        within = replace(metric, epochs=epochs)
        for treatment in treatments:
            effect, why_not = effect_of(within, control, treatment)
            interval = effect.interval(critical_value(alpha, effect.df)) if effect else None
            rows.append(SegmentEffect(name, treatment, effect, why_not, interval))
    adjusted = benjamini_hochberg([row.effect.p_value if row.effect else None for row in rows])
    return [replace(row, adjusted_p_value=p) for row, p in zip(rows, adjusted, strict=True)]
