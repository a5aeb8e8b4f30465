"""One comparison as reports show it: page, JSON, CSV and workbook have the same numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from experiments.kinds import Direction
    from experiments.models import ExperimentMetric
    from experiments.stats.comparison import Comparison
    from experiments.stats.effect import Interval

Judgement = Literal["better", "worse", "inconclusive", "safe", "unproven"]


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One treatment's effect on one metric.

    Attributes:
        metric: its name.
        role: primary, secondary or guardrail.
        variant: the treatment.
        control_mean: the control's mean, proportion, ratio or quantile.
        treatment_mean: the treatment's.
        absolute: the difference, in the metric's unit.
        interval: of the difference.
        lift: the relative difference.
        lift_interval: of it.
        shrunk: the difference drawn towards zero, as an early stop overstates it.
        probability_better: for display, never for a decision.
        described: effect and interval in words, or why there is none.
        metric_key: its key.
        p_value: of the rule at this look, to be held against `level`; None where it tests nothing.
        level: what p_value must not exceed for a verdict.
        adjusted_p_value: to be held against the policy's alpha.
        control_n: units in the control.
        treatment_n: units in the treatment.
        se: standard error of the difference.
        critical: half-width of the interval in standard errors.
        margin: of a guardrail: the relative loss that is still accepted.
        direction: which change is good.
        safe: guardrail: whether its loss is shown to be within the margin.
        uncapped: the difference without the cap.
        expected_loss: of choosing the treatment; for display.
        detectable: relative difference that is found with 80 % power at the present standard error.
        variance_reduction: share of the variance that the covariate takes out; None without one.
        covariate: history (CUPED) or prediction (CUPAC); empty without one.
        interval_level: of both intervals, such as 0.95; the primary's treatments share alpha.
        interval_kind: when they hold, in the words of the policy.
    """

    metric: str
    role: str
    variant: str
    control_mean: float | None
    treatment_mean: float | None
    absolute: float | None
    interval: Interval | None
    lift: float | None
    lift_interval: tuple[float, float] | None
    shrunk: float | None
    probability_better: float | None
    described: str
    metric_key: str
    p_value: float | None
    level: float | None
    adjusted_p_value: float | None
    control_n: int
    treatment_n: int
    se: float | None
    critical: float | None
    margin: float | None
    direction: Direction
    safe: bool | None
    uncapped: float | None
    expected_loss: float | None
    detectable: float | None
    interval_level: float
    interval_kind: str
    variance_reduction: float | None = None
    covariate: str = ""

    @property
    def judgement(self) -> Judgement:
        """How it is, for a badge: a guardrail by its margin, any other metric by its interval."""
        if self.role == "guardrail" and self.safe is not None:
            return "safe" if self.safe else "unproven"
        ends = self.lift_interval or self.interval
        if ends is None or ends[0] is None or ends[1] is None or ends[0] <= 0 <= ends[1]:
            return "inconclusive"
        return "better" if (ends[0] > 0) == (self.direction == "increase") else "worse"


def comparison_row(
    comparison: Comparison, metric: ExperimentMetric, *, treatments: int, described: str
) -> ComparisonRow:
    """Return a comparison as it is shown.

    Args:
        comparison: of a look.
        metric: the metric, with its role.
        treatments: how many share alpha on the primary.
        described: effect and interval in words.
    """
    effect, policy = comparison.effect, metric.experiment.parsed_policy
    return ComparisonRow(
        metric=str(metric.metric),
        role=metric.role,
        variant=comparison.variant,
        control_mean=effect.control if effect else None,
        treatment_mean=effect.treatment if effect else None,
        absolute=effect.estimate if effect else None,
        interval=comparison.interval,
        lift=comparison.lift,
        lift_interval=comparison.lift_interval,
        shrunk=comparison.shrunk,
        probability_better=comparison.probability_better,
        described=described,
        metric_key=comparison.metric,
        # Looks of schema 1 have no level, and a p-value that is held against nothing.
        p_value=comparison.p_value if comparison.level is not None else None,
        level=comparison.level,
        adjusted_p_value=comparison.adjusted_p_value,
        control_n=effect.control_n if effect else 0,
        treatment_n=effect.treatment_n if effect else 0,
        se=effect.se if effect else None,
        critical=comparison.critical,
        margin=metric.margin,
        direction=cast("Direction", metric.metric.direction),
        safe=comparison.safe,
        uncapped=comparison.uncapped,
        expected_loss=comparison.expected_loss,
        detectable=comparison.detectable_lift,
        interval_level=policy.interval_level(treatments if metric.role == metric.Role.PRIMARY else 1),
        interval_kind=policy.interval_kind,
        variance_reduction=effect.variance_reduction if effect else None,
        covariate=_covariate_of(metric) if effect and effect.variance_reduction is not None else "",
    )


def _covariate_of(metric: ExperimentMetric) -> str:
    """Return what adjusts it: as it was fixed at the start, where it is not as it is declared now."""
    if metric.spec:
        return str(metric.spec.get("covariate", "history"))
    return metric.metric.covariate
