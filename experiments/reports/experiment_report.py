"""The report of one experiment: everything that its page and its JSON show, read from stored looks."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from experiments.reports.after_shipping import AfterShipping, read_after_shipping
from experiments.reports.bandit_report import BanditReport, bandit_report_of
from experiments.reports.breaker_report import BreakerReport, breaker_report_of
from experiments.reports.chart_texts import translated
from experiments.reports.cluster_report import ClusterReport, cluster_report_of
from experiments.reports.comparison_row import ComparisonRow, comparison_row
from experiments.reports.doubts import describe_doubts
from experiments.reports.effect_chart import EffectPath, draw_effect
from experiments.reports.forest_chart import ForestRow, draw_plots
from experiments.reports.holdback_gain import HoldbackGain, gain_of
from experiments.reports.interleaving_report import InterleavingReport, interleaving_report_of
from experiments.reports.next_step import describe_next_step
from experiments.reports.plot_columns import PlotColumn, segment_column
from experiments.reports.quarantine import count_quarantined, describe_quarantined
from experiments.reports.remaining import describe_remaining
from experiments.reports.report_charts import ReportCharts, charts_of
from experiments.reports.segment_words import describe_difference
from experiments.reports.served_variants import read_served
from experiments.reports.small_groups import hide_small_ratios, hide_small_segments
from experiments.reports.stored_quality import (
    QualityPoint,
    current_quality,
    quality_over_time,
    quality_path,
)
from experiments.reports.stored_text import show_stored
from experiments.reports.tracking_checks import MissingOutcome, find_missing_outcome
from experiments.reports.verdict import (
    VerdictSummary,
    count_treatments,
    describe_effect,
    interval_meaning,
    interval_name,
    summarise_verdict,
)
from experiments.reports.yearly_impact import YearlyImpact, yearly_impact_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from experiments.kinds import Direction
    from experiments.models import Decision, Experiment, Look
    from experiments.models.served_variant import GenerationUse, ServedVariant
    from experiments.reports.chart_frame import Chart
    from experiments.reports.judged_quality import JudgedQuality
    from experiments.stats.look_result import LookResult
    from experiments.stats.segments import SegmentEffect
    from experiments.stats.srm import SampleRatio, SegmentRatio

HALTED = "halt"
LOOK_FIELDS = ("number", "taken_at", "information", "action", "reason")
DECISION_FIELDS = (
    "action", "reason", "created_by", "created_at", "sha256", "previous_sha256", "read_back",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class VariantRow:
    """One variant: who it is and how many units it has."""

    key: str
    is_control: bool
    model: str
    units: int
    expected_share: float
    observed_share: float


@dataclass(frozen=True, slots=True)
class ExperimentReport:
    """What the page shows."""

    experiment: Experiment
    verdict: VerdictSummary
    look: Look | None
    variants: list[VariantRow]
    metrics: list[ComparisonRow]
    decisions: list[Decision]
    looks: list[Look]
    srm_p_value: float | None
    healthy: bool
    crossover_units: int
    cross_id_conflicts: int
    excluded: int
    quarantined: dict[str, int]
    planned_units: int
    charts: ReportCharts
    plots: list[tuple[ComparisonRow, str]]
    axis: str
    segments: list[SegmentEffect]
    differences: list[str]
    mismatch: Sequence[SegmentRatio]
    serving: list[ServedVariant]
    remaining: str
    warnings: list[str]
    interval_name: str
    interval_meaning: str
    gain: HoldbackGain | None = None
    breaker: BreakerReport | None = None
    interleaving: InterleavingReport | None = None
    bandit: BanditReport | None = None
    clusters: ClusterReport | None = None
    quality: JudgedQuality | None = None
    quality_points: Sequence[QualityPoint] = ()
    yearly: YearlyImpact | None = None
    after_shipping: AfterShipping | None = None
    generation: Mapping[str, GenerationUse] = field(default_factory=dict)
    missing_outcome: MissingOutcome | None = None

    @property
    def quality_chart(self) -> Chart | None:
        """Return the difference in quality over looks; None with fewer than two."""
        points = quality_path(self.quality_points)
        if not points:
            return None
        path = EffectPath(points, is_share=False, title=_("Difference in quality"))
        title, ends = _("Difference in quality over time"), (points[0].at, points[-1].at)
        return draw_effect(path, title=title, start=ends[0], end=ends[1], name="quality")

    @property
    def counts_blocks(self) -> bool:
        """Whether its plan counts blocks of time, and not users."""
        return self.experiment.mode == self.experiment.Mode.SWITCHBACK

    @property
    def shares_lists(self) -> bool:
        """Whether each user meets all variants, in lists with items of all."""
        return self.experiment.mode == self.experiment.Mode.INTERLEAVE

    @property
    def users(self) -> int:
        """Users who were exposed, each counted once."""
        return _users_of(self.experiment, self.variants)

    @property
    def data_as_of(self) -> datetime | None:
        """When the last look was taken."""
        return self.look.taken_at if self.look else None

    def as_json(self) -> dict[str, Any]:
        """Return the same numbers for programs."""
        experiment = self.experiment
        return {
            "experiment": experiment.key,
            "name": experiment.name,
            "surface": experiment.surface.key,
            "state": experiment.state,
            "purpose": experiment.purpose,
            "mode": experiment.mode,
            "hypothesis": experiment.hypothesis,
            "against_gate": experiment.against_gate,
            "started_at": experiment.started_at,
            "ended_at": experiment.ended_at,
            "data_as_of": self.data_as_of,
            "policy": experiment.policy,
            "policy_sha256": experiment.policy_sha256,
            "planned_units": self.planned_units,
            "verdict": self._verdict_as_json(),
            "gain": self.gain.as_json() if self.gain is not None else None,
            "breaker": self.breaker.as_json() if self.breaker is not None else None,
            "interleaving": self.interleaving.as_json() if self.interleaving is not None else None,
            "bandit": self.bandit.as_json() if self.bandit is not None else None,
            "clusters": self.clusters.as_json() if self.clusters is not None else None,
            "yearly_impact": self.yearly.as_json() if self.yearly is not None else None,
            "after_shipping": self.after_shipping.as_json() if self.after_shipping else None,
            "quality": self.quality.as_json() if self.quality is not None else None,
            "quality_over_time": [asdict(point) for point in self.quality_points],
            "srm": {"p_value": self.srm_p_value, "healthy": self.healthy},
            "units": {
                "in_two_variants": self.crossover_units,
                "people_in_two_variants": self.cross_id_conflicts,
                "excluded": self.excluded,
                "quarantined": self.quarantined,
            },
            "remaining": self.remaining,
            "warnings": self.warnings,
            "missing_outcome": asdict(self.missing_outcome) if self.missing_outcome else None,
            "variants": [asdict(row) for row in self.variants],
            "over_time": [asdict(row) for row in self.charts.over_time],
            "segments": [row.as_json() for row in self.segments],
            "segment_differences": self.differences,
            "mismatch": [row.as_json() for row in self.mismatch],
            "generation": {key: asdict(use) for key, use in self.generation.items()},
            "serving": [asdict(row) for row in self.serving],
            # What is beside the fields has its old name, until 0.3.
            "metrics": [
                asdict(row) | {"increase_is_good": row.direction == "increase"} for row in self.metrics
            ],
            "looks": [{name: getattr(look, name) for name in LOOK_FIELDS} for look in self.looks],
            "decisions": [
                {name: getattr(decision, name) for name in DECISION_FIELDS}
                | {"promoted": str(decision.promoted) if decision.promoted else None}
                | {"made_by": decision.created_by, "made_at": decision.created_at}
                for decision in self.decisions
            ],
        }

    @property
    def segment_column(self) -> PlotColumn[SegmentEffect]:
        """The segments as a table with plots."""
        direction = cast("Direction", self.experiment.primary.metric.direction)
        return segment_column(self.segments, direction)

    def _verdict_as_json(self) -> dict[str, Any]:
        return {
            "action": self.verdict.action,
            "sentence": self.verdict.sentence,
            "variant": self.verdict.variant,
            "next_step": describe_next_step(self),
            "effect": self.verdict.effect,
            "ci": self.verdict.interval,
            "units": self.verdict.units,
            "details": self.verdict.details,
        }


def report_for_programs(experiment: Experiment) -> dict[str, Any]:
    """Return the report as JSON; its sentences are English whatever language the caller reads.

    Days are those of the project, as on the page.
    """
    with override("en"), timezone.override(experiment.project.timezone):
        return report_on(experiment).as_json()


def report_on(experiment: Experiment) -> ExperimentReport:
    """Read the report of an experiment, its sentences in the reader's language."""
    looks = list(experiment.looks.all())
    look = looks[-1] if looks else None
    result = look.parsed_result if look else None
    inputs = look.parsed_inputs if look else None
    ratio, policy = result.sample_ratio if result else None, experiment.parsed_policy
    metrics, variants = _comparison_rows(experiment, look), _variant_rows(experiment, ratio)
    plots, axis = _plots(metrics)
    quarantined = count_quarantined(experiment)
    decisions = list(experiment.decisions.select_related("promoted", "replaced"))
    verdict = summarise_verdict(experiment)
    breaker = breaker_report_of(experiment, decisions)
    users, served = _users_of(experiment, variants), read_served(experiment, looks)
    return ExperimentReport(
        experiment=experiment,
        verdict=verdict,
        look=look,
        variants=variants,
        metrics=metrics,
        decisions=decisions,
        looks=looks,
        srm_p_value=ratio.p_value if ratio else None,
        healthy=look is None or look.action != HALTED,
        crossover_units=inputs.crossover_units if inputs else 0,
        cross_id_conflicts=inputs.cross_id_conflicts if inputs else 0,
        excluded=inputs.excluded_units if inputs else 0,
        quarantined=quarantined,
        planned_units=policy.planned_units,
        charts=charts_of(experiment, looks, decisions, _models(variants), verdict.metric),
        plots=list(zip(metrics, plots, strict=True)),
        axis=axis,
        segments=_segments(experiment, result) if result else [],
        differences=list(map(describe_difference, result.differences)) if result else [],
        mismatch=hide_small_ratios(result.mismatch) if result else [],
        serving=served,
        remaining=describe_remaining(experiment, look),
        warnings=[
            *filter(None, [describe_quarantined(quarantined)]),
            *describe_doubts(experiment, look, served),
        ],
        interval_name=interval_name(experiment, primary=True),
        interval_meaning=interval_meaning(experiment),
        gain=gain_of(experiment) if experiment.purpose != experiment.Purpose.TEST else None,
        breaker=breaker,
        interleaving=interleaving_report_of(experiment, look),
        bandit=bandit_report_of(experiment, look),
        clusters=cluster_report_of(experiment, look),
        quality=current_quality(experiment, looks) if experiment.started_at else None,
        quality_points=quality_over_time(looks),
        yearly=_yearly(experiment, looks, metrics),
        after_shipping=read_after_shipping(decisions, verdict.metric),
        generation=_generation(looks, variants),
        missing_outcome=find_missing_outcome(experiment, breaker, users=users, units=verdict.units),
    )


def _users_of(experiment: Experiment, variants: Sequence[VariantRow]) -> int:
    """Return users who were exposed, each counted once."""
    counts = [row.units for row in variants]
    if experiment.mode == experiment.Mode.INTERLEAVE:  # each user meets all variants
        return max(counts, default=0)
    return sum(counts)


def _generation(looks: list[Look], variants: list[VariantRow]) -> dict[str, GenerationUse]:
    """Return what the answers of each variant cost, over all looks; empty where no model answered."""
    uses: dict[str, GenerationUse] = {}
    for look in looks:
        for row in look.served_variants:
            if row.generation is not None:
                use = uses.get(row.variant)
                uses[row.variant] = row.generation if use is None else use + row.generation
    return {row.key: uses[row.key] for row in variants if row.key in uses}


def _yearly(
    experiment: Experiment, looks: list[Look], metrics: list[ComparisonRow]
) -> YearlyImpact | None:
    """Return what a shipped treatment brings in a year."""
    shipped = (one for one in metrics if one.role == "primary")
    row = next((one for one in shipped if one.variant == experiment.shipped_variant), None)
    if row is None:
        return None
    name = interval_name(experiment, primary=True)
    return yearly_impact_of(experiment.primary, looks, list(experiment.epochs.all()), row, name)


def _models(variants: list[VariantRow]) -> dict[str, str]:
    """Return what each variant is, by its key, the control first; nothing of a flag's value."""
    rows = sorted(variants, key=lambda row: not row.is_control)
    return {row.key: "" if row.model == "none" else row.model for row in rows}


def _plots(metrics: list[ComparisonRow]) -> tuple[list[str], str]:
    """Draw the change of each metric, and the axis that they share."""
    rows = [
        ForestRow(
            label="",
            estimate=row.lift,
            low=row.lift_interval[0] if row.lift_interval else None,
            high=row.lift_interval[1] if row.lift_interval else None,
            effect=row.described,
            direction=row.direction,
            margin=row.margin if row.role == "guardrail" else None,
        )
        for row in metrics
    ]
    return draw_plots(rows, translated()) if rows else ([], "")


def _segments(experiment: Experiment, result: LookResult) -> list[SegmentEffect]:
    """Return the segments by their attribute's place in the experiment, others last."""
    order = {name: n for n, name in enumerate(experiment.segments)}
    shown = [replace(row, why_not=show_stored(row.why_not)) for row in result.segments]
    return sorted(
        hide_small_segments(shown),
        key=lambda row: (order.get(row.segment.partition("=")[0], len(order)), row.segment),
    )


def _variant_rows(experiment: Experiment, ratio: SampleRatio | None) -> list[VariantRow]:
    units: dict[int, int] = {}
    for total in experiment.exposure_totals.all():
        units[total.variant_id] = units.get(total.variant_id, 0) + total.units
    variants = experiment.variants.select_related("model_version")
    if experiment.mode == experiment.Mode.INTERLEAVE:  # one exposure stands for all variants
        users = sum(units.values())
        return [
            VariantRow(row.key, row.is_control, str(row.model_version), users, 1.0, 1.0)
            for row in variants
        ]
    return [
        VariantRow(
            key=variant.key,
            is_control=variant.is_control,
            model=str(variant.model_version or "none"),
            units=units.get(variant.pk, 0),
            expected_share=ratio.expected.get(variant.key, 0.0) if ratio else variant.weight,
            observed_share=ratio.observed.get(variant.key, 0.0) if ratio else 0.0,
        )
        for variant in variants
    ]


def _comparison_rows(experiment: Experiment, look: Look | None) -> list[ComparisonRow]:
    if look is None:
        return []
    metrics = {row.metric.key: row for row in experiment.metrics.select_related("metric")}
    names = {primary: interval_name(experiment, primary=primary) for primary in (True, False)}
    treatments, rows = count_treatments(experiment), []
    for comparison in look.parsed_result.comparisons:
        metric = metrics[comparison.metric]
        described = describe_effect(comparison, names[metric.role == metric.Role.PRIMARY])
        rows.append(comparison_row(comparison, metric, treatments=treatments, described=described))
    return rows
