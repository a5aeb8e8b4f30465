"""The report of one experiment: everything that its page and its JSON show, read from stored looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from experiments.reports.path_chart import PathPoint, draw_path
from experiments.reports.verdict import Verdict, describe_lift, verdict_of

if TYPE_CHECKING:
    from datetime import datetime

    from experiments.models import Decision, Experiment, Look

HALTED = "halt"


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


@dataclass(frozen=True, slots=True)
class ExperimentReport:
    """What the page shows."""

    experiment: Experiment
    verdict: Verdict
    look: Look | None
    variants: list[VariantRow]
    metrics: list[MetricRow]
    decisions: list[Decision]
    looks: list[Look]
    srm_p_value: float | None
    healthy: bool
    doubled: int
    split: int
    excluded: int
    planned_units: int
    chart: str

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
            },
            "srm": {"p_value": self.srm_p_value, "healthy": self.healthy},
            "units": {
                "in_two_variants": self.doubled,
                "people_in_two_variants": self.split,
                "excluded": self.excluded,
            },
            "variants": [_plain(row) for row in self.variants],
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


def _plain(row: VariantRow | MetricRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__}


def report_on(experiment: Experiment) -> ExperimentReport:
    """Read the report of an experiment."""
    looks = list(experiment.looks.all())
    look = looks[-1] if looks else None
    ratio = look.result["sample_ratio"] if look else None
    policy = experiment.parsed_policy
    return ExperimentReport(
        experiment=experiment,
        verdict=verdict_of(experiment),
        look=look,
        variants=_variant_rows(experiment, ratio),
        metrics=_metric_rows(experiment, look),
        decisions=list(experiment.decisions.select_related("promoted", "replaced")),
        looks=looks,
        srm_p_value=ratio["p_value"] if ratio else None,
        healthy=look is None or look.action != HALTED,
        doubled=look.inputs["doubled"] if look else 0,
        split=look.inputs.get("split", 0) if look else 0,
        excluded=_count_excluded(look) if look else 0,
        planned_units=policy.planned_units,
        chart=draw_path(
            _path(experiment, looks),
            planned_units=policy.planned_units,
            label=f"Estimated difference over the looks of {experiment.key}",
        ),
    )


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
                described=describe_lift(row) if effect else row["why_not"],
            )
        )
    return rows


def _path(experiment: Experiment, looks: list[Look]) -> list[PathPoint]:
    """Return the primary metric of the first treatment at each look that could say something."""
    primary = experiment.primary.metric.key
    points = []
    for look in looks:
        row = next((r for r in look.result["comparisons"] if r["metric"] == primary), None)
        if row is None or row["effect"] is None:
            continue
        units = row["effect"]["control_n"] + row["effect"]["treatment_n"]
        low, high = row["interval"]
        if low is None or high is None:  # the exact rule knows no end yet
            continue
        points.append(PathPoint(units, row["effect"]["estimate"], low, high))
    return points
