"""The report of one experiment: everything that its page and its JSON show, read from stored looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from experiments.reports.chart_texts import translated
from experiments.reports.code_names import name_of
from experiments.reports.forest_chart import ForestRow, draw_forest, themed
from experiments.reports.path_chart import PathPoint, draw_path
from experiments.reports.quarantine import count_quarantined, describe_quarantined
from experiments.reports.remaining import describe_remaining, describe_seconds
from experiments.reports.stored_text import show_stored
from experiments.reports.verdict import (
    VerdictSummary,
    describe_lift,
    interval_name,
    percent,
    summarise_verdict,
)

if TYPE_CHECKING:
    from datetime import datetime

    from experiments.models import Decision, Experiment, Look

HALTED = "halt"
MIN_SLATES = 50  # of a variant, before shares of them are compared
UNEQUAL_FALLBACK = 0.05
LATE_SECONDS = 6 * 3600
Z80 = 0.8416  # of the standard normal: 80 % power


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
class MetricRow:
    """One treatment's effect on one metric."""

    metric: str
    role: str
    variant: str
    control_mean: float | None
    treatment_mean: float | None
    absolute: float | None
    interval: list[float] | None
    lift: float | None
    lift_interval: list[float] | None
    shrunk: float | None
    probability_better: float | None
    described: str
    metric_key: str = ""
    p_value: float | None = None  # of the rule at this look, to be held against level
    level: float | None = None
    adjusted_p_value: float | None = None
    control_n: int = 0
    treatment_n: int = 0
    se: float | None = None
    critical: float | None = None
    margin: float | None = None
    increase_is_good: bool = True
    safe: bool | None = None
    uncapped: float | None = None
    expected_loss: float | None = None
    detectable: float | None = None


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A treatment's effect on the primary metric within a segment, for exploration."""

    segment: str
    variant: str
    control: float | None
    treatment: float | None
    estimate: float | None
    interval: list[float] | None
    adjusted_p_value: float | None
    why_not: str


@dataclass(frozen=True, slots=True)
class ServingRow:
    """How a variant was served since the look before."""

    variant: str
    slates: int
    latency_p95_ms: float
    fallback: float
    errors: float
    items: int
    samples: list[list[str]]
    cold: float = 0.0  # share of answers to units without history; older looks do not have it


@dataclass(frozen=True, slots=True)
class ExperimentReport:
    """What the page shows."""

    experiment: Experiment
    verdict: VerdictSummary
    look: Look | None
    variants: list[VariantRow]
    metrics: list[MetricRow]
    decisions: list[Decision]
    looks: list[Look]
    srm_p_value: float | None
    healthy: bool
    crossover_units: int
    cross_id_conflicts: int
    excluded: int
    quarantined: dict[str, int]
    planned_units: int
    chart: str
    forest: str
    segments: list[SegmentRow]
    mismatch: list[dict[str, Any]]
    serving: list[ServingRow]
    remaining: str
    warnings: list[str]
    interval_name: str

    @property
    def data_as_of(self) -> datetime | None:
        """When the last look was taken."""
        return self.look.taken_at if self.look else None

    def as_json(self) -> dict[str, Any]:
        """Return the same numbers for programs."""
        experiment = self.experiment
        return {
            "experiment": experiment.key,
            "surface": experiment.surface.key,
            "state": experiment.state,
            "hypothesis": experiment.hypothesis,
            "against_gate": experiment.against_gate,
            "started_at": experiment.started_at,
            "ended_at": experiment.ended_at,
            "data_as_of": self.data_as_of,
            "policy": experiment.policy,
            "policy_sha256": experiment.policy_sha256,
            "planned_units": self.planned_units,
            "verdict": {
                "action": self.verdict.action,
                "sentence": self.verdict.sentence,
                "effect": self.verdict.effect,
                "ci": self.verdict.interval,
                "units": self.verdict.units,
                "details": self.verdict.details,
            },
            "srm": {"p_value": self.srm_p_value, "healthy": self.healthy},
            "units": {
                "in_two_variants": self.crossover_units,
                "people_in_two_variants": self.cross_id_conflicts,
                "excluded": self.excluded,
                "quarantined": self.quarantined,
            },
            "remaining": self.remaining,
            "warnings": self.warnings,
            "variants": [_plain(row) for row in self.variants],
            "segments": [_plain(row) for row in self.segments],
            "mismatch": self.mismatch,
            "serving": [_plain(row) for row in self.serving],
            "metrics": [_plain(row) for row in self.metrics],
            "looks": [
                {
                    "number": look.number,
                    "taken_at": look.taken_at,
                    "information": look.information,
                    "action": look.action,
                    "reason": look.reason,
                }
                for look in self.looks
            ],
            "decisions": [
                {
                    "action": decision.action,
                    "reason": decision.reason,
                    "made_by": decision.made_by,
                    "made_at": decision.made_at,
                    "promoted": str(decision.promoted) if decision.promoted else None,
                    "sha256": decision.sha256,
                    "previous_sha256": decision.previous_sha256,
                    "read_back": decision.read_back,
                }
                for decision in self.decisions
            ],
        }


def _plain(row: VariantRow | MetricRow | SegmentRow | ServingRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__}


def report_for_programs(experiment: Experiment) -> dict[str, Any]:
    """Return the report as JSON; its sentences are English whatever language the caller reads."""
    with override("en"):
        return report_on(experiment).as_json()


def report_on(experiment: Experiment) -> ExperimentReport:
    """Read the report of an experiment, its sentences in the reader's language."""
    looks = list(experiment.looks.all())
    look = looks[-1] if looks else None
    ratio = look.result["sample_ratio"] if look else None
    policy = experiment.parsed_policy
    metrics = _metric_rows(experiment, look)
    quarantined = count_quarantined(experiment)
    return ExperimentReport(
        experiment=experiment,
        verdict=summarise_verdict(experiment),
        look=look,
        variants=_variant_rows(experiment, ratio),
        metrics=metrics,
        decisions=list(experiment.decisions.select_related("promoted", "replaced")),
        looks=looks,
        srm_p_value=ratio["p_value"] if ratio else None,
        healthy=look is None or look.action != HALTED,
        crossover_units=look.inputs["doubled"] if look else 0,
        cross_id_conflicts=look.inputs.get("split", 0) if look else 0,
        excluded=_count_excluded(look) if look else 0,
        quarantined=quarantined,
        planned_units=policy.planned_units,
        chart=draw_path(
            _path(experiment, looks),
            planned_units=policy.planned_units,
            label=_("Effect over time"),
            marks=_epoch_marks(experiment, looks),
            texts=translated(),
        ),
        forest=_forest(metrics),
        segments=_segment_rows(experiment, look),
        mismatch=look.result.get("mismatch", []) if look else [],
        serving=_serving_rows(looks),
        remaining=describe_remaining(experiment, look),
        warnings=[*filter(None, [describe_quarantined(quarantined)]), *_warnings(experiment, look)],
        interval_name=interval_name(experiment, primary=True),
    )


def _warnings(experiment: Experiment, look: Look | None) -> list[str]:
    """Return what makes the numbers doubtful without stopping the experiment."""
    if look is None:
        return []
    found = [
        _("'%(variant)s' takes no traffic any more: %(reason)s")
        % {"variant": key, "reason": show_stored(reason)}
        for key, reason in _left(experiment).items()
    ]
    shares = {key: row["fallback"] for key, row in look.serving.items() if row["slates"] >= MIN_SLATES}
    if shares and max(shares.values()) - min(shares.values()) > UNEQUAL_FALLBACK:
        most, least = max(shares, key=shares.__getitem__), min(shares, key=shares.__getitem__)
        found.append(
            _(
                "'%(high)s' used a fallback in %(high_share)s of its answers, '%(low)s' in "
                "%(low_share)s: the comparison is not between the models alone"
            )
            % {
                "high": most,
                "high_share": f"{shares[most]:.0%}",
                "low": least,
                "low_share": f"{shares[least]:.0%}",
            }
        )
    age = (timezone.now() - look.taken_at).total_seconds()
    if experiment.state == experiment.State.RUNNING and age > LATE_SECONDS:
        found.append(
            _("no new data for %(duration)s: there is no traffic, or the worker has stopped")
            % {"duration": describe_seconds(age)}
        )
    return found


def _left(experiment: Experiment) -> dict[str, str]:
    """Return the treatments that left a running experiment, and why."""
    decisions = experiment.decisions.filter(action=experiment.decisions.model.Action.ROLL_BACK)
    return {
        decision.evidence["variant"]: decision.reason.partition(": ")[2]
        for decision in decisions
        if "variant" in decision.evidence
    }


def _serving_rows(looks: list[Look]) -> list[ServingRow]:
    """Return how variants were served before the last look that saw somebody served."""
    served: dict[str, Any] = next((look.serving for look in reversed(looks) if look.serving), {})
    return [ServingRow(variant=key, **row) for key, row in served.items()]


def _epoch_marks(experiment: Experiment, looks: list[Look]) -> list[int]:
    """Return the complete units at the first look of each epoch after the first."""
    planned = experiment.parsed_policy.planned_units
    marks = []
    for epoch in experiment.epochs.all():
        after = next((look for look in looks if look.taken_at >= epoch.started_at), None)
        if epoch.number > 1 and after is not None:
            marks.append(round(after.information * planned))
    return marks


def _forest(metrics: list[MetricRow]) -> str:
    rows = [
        ForestRow(
            label=f"{row.metric} ({name_of(row.role)}), {name_of(row.variant)}",
            estimate=row.lift,
            low=row.lift_interval[0] if row.lift_interval else None,
            high=row.lift_interval[1] if row.lift_interval else None,
            said=percent(row.lift) if row.lift is not None else "–",
            increase_is_good=row.increase_is_good,
            margin=row.margin if row.role == "guardrail" else None,
        )
        for row in metrics
    ]
    return (
        themed(draw_forest(rows, title=_("Change against control"), texts=translated())) if rows else ""
    )


def _segment_rows(experiment: Experiment, look: Look | None) -> list[SegmentRow]:
    """Return the segments, those named at the start first, by their attribute's place there."""
    if look is None:
        return []
    order = {name: n for n, name in enumerate(experiment.segments)}
    rows = []
    for row in look.result.get("segments", []):
        effect = row["effect"]
        rows.append(
            SegmentRow(
                segment=row["segment"],
                variant=row["variant"],
                control=effect["control"] if effect else None,
                treatment=effect["treatment"] if effect else None,
                estimate=effect["estimate"] if effect else None,
                interval=row["interval"],
                adjusted_p_value=row["adjusted_p_value"],
                why_not=show_stored(row["why_not"]),
            )
        )
    return sorted(rows, key=lambda row: (order.get(row.segment.partition("=")[0], 99), row.segment))


def _count_excluded(look: Look) -> int:
    return sum(sum(counts.values()) for counts, _ in look.inputs.get("excluded", []))


def _variant_rows(experiment: Experiment, ratio: dict[str, Any] | None) -> list[VariantRow]:
    units: dict[int, int] = {}
    for total in experiment.exposure_totals.all():
        units[total.variant_id] = units.get(total.variant_id, 0) + total.units
    return [
        VariantRow(
            key=variant.key,
            is_control=variant.is_control,
            model=str(variant.model_version or "none"),
            units=units.get(variant.pk, 0),
            expected_share=ratio["expected"].get(variant.key, 0.0) if ratio else variant.weight,
            observed_share=ratio["observed"].get(variant.key, 0.0) if ratio else 0.0,
        )
        for variant in experiment.variants.select_related("model_version")
    ]


def _metric_rows(experiment: Experiment, look: Look | None) -> list[MetricRow]:
    if look is None:
        return []
    roles = {role.metric.key: role for role in experiment.roles.select_related("metric")}
    names = {primary: interval_name(experiment, primary=primary) for primary in (True, False)}
    rows = []
    for row in look.result["comparisons"]:
        effect, role = row["effect"], roles[row["metric"]]
        rows.append(
            MetricRow(
                metric=str(role.metric),
                role=role.role,
                variant=row["variant"],
                control_mean=effect["control"] if effect else None,
                treatment_mean=effect["treatment"] if effect else None,
                absolute=effect["estimate"] if effect else None,
                interval=row["interval"],
                lift=row.get("lift"),
                lift_interval=row["lift_interval"],
                shrunk=row["shrunk"],
                probability_better=row.get("probability_better"),
                described=describe_lift(row, names[role.role == "primary"])
                if effect
                else show_stored(row["why_not"]),
                metric_key=row["metric"],
                # Looks of before have no level, and a p-value that is held against nothing.
                p_value=row.get("p_value") if row.get("level") is not None else None,
                level=row.get("level"),
                adjusted_p_value=row.get("adjusted_p_value"),
                control_n=effect["control_n"] if effect else 0,
                treatment_n=effect["treatment_n"] if effect else 0,
                se=effect["se"] if effect else None,
                critical=row.get("critical"),
                margin=role.margin,
                increase_is_good=role.metric.increase_is_good,
                safe=row.get("safe"),
                uncapped=row.get("uncapped"),
                expected_loss=row.get("expected_loss"),
                detectable=_detectable(row),
            )
        )
    return rows


def _detectable(row: dict[str, Any]) -> float | None:
    """Return the relative effect that is found with 80 % power at the present standard error."""
    effect = row["effect"]
    if effect is None or effect["control"] <= 0 or row.get("critical") is None:
        return None
    return float((row["critical"] + Z80) * effect["se"] / effect["control"])


def _path(experiment: Experiment, looks: list[Look]) -> list[PathPoint]:
    """Return the primary metric of the first treatment at each look that could say something."""
    primary = experiment.primary.metric.key
    points = []
    for look in looks:
        row = next((r for r in look.result["comparisons"] if r["metric"] == primary), None)
        if row is None or row["effect"] is None:
            continue
        units = row["effect"]["control_n"] + row["effect"]["treatment_n"]
        if row["interval"] is None:  # below the gates
            continue
        low, high = row["interval"]
        if low is None or high is None:  # the exact rule knows no end yet
            continue
        points.append(PathPoint(units, row["effect"]["estimate"], low, high))
    return points
