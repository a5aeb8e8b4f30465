"""The library of a project's metrics: where each is used, what came out, and how it changed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson
from django.db.models import Count

from bakeoff.accounts.models import AuditEntry
from experiments.metrics.labels import LABELS
from experiments.models import Experiment, ExperimentMetric
from experiments.reports.chart_texts import translated
from experiments.reports.comparison_row import comparison_row
from experiments.reports.forest_chart import ForestRow, draw_plots
from experiments.reports.read_together import last_look, read_together
from experiments.reports.verdict import summarise_verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from experiments.models import Metric
    from experiments.reports.comparison_row import ComparisonRow
    from experiments.reports.verdict import VerdictSummary
    from inference.models import Surface

MAX_CHANGES = 50
MAX_SUGGESTED = 6
_MAX_VALUE_SHOWN = 120
_ACTIONS = ("declare metric", "edit metric")


@dataclass(frozen=True, slots=True)
class Usage:
    """In how many tests a metric has a role, drafts among them, and on which surfaces."""

    experiments: int
    surfaces: Sequence[str]


@dataclass(frozen=True, slots=True)
class MetricChange:
    """One entry of a metric's history.

    Attributes:
        version: of its definition from then on; a change of labels alone keeps the number.
        at: when.
        by: who.
        changed: field, value before, value after, as JSON; empty for its creation.
    """

    version: int
    at: datetime
    by: str
    changed: Sequence[tuple[str, str, str]] = ()


@dataclass(frozen=True, slots=True)
class MetricUse:
    """What a metric is for in an experiment, and what one treatment did to it.

    Attributes:
        experiment: that uses it.
        role: primary, secondary or guardrail.
        verdict: of the whole experiment.
        version: of the metric's definition at the start; None of a draft.
        row: the comparison of the last analysis, if there is one.
        plot: its interval as a small picture; empty without one.
    """

    experiment: Experiment
    role: str
    verdict: VerdictSummary
    version: int | None
    row: ComparisonRow | None = None
    plot: str = ""


@dataclass(frozen=True, slots=True)
class SuggestedMetric:
    """A metric that earlier tests used, and for what."""

    metric: Metric
    role: str
    experiments: int


def usage_of(metrics: Iterable[Metric]) -> dict[int, Usage]:
    """Return the usage of metrics by their ids; those that no test uses are left out."""
    rows = (
        _roles_in_tests()
        .filter(metric__in=[metric.pk for metric in metrics])
        .values_list("metric_id", "experiment__surface__key")
        .annotate(experiments=Count("pk"))
        .order_by("metric_id", "experiment__surface__key")
    )
    counted: dict[int, Usage] = {}
    for metric_id, surface, experiments in rows:
        before = counted.get(metric_id, Usage(0, ()))
        counted[metric_id] = Usage(before.experiments + experiments, (*before.surfaces, surface))
    return counted


def read_changes(metric: Metric) -> list[MetricChange]:
    """Return a metric's history from the audit log, the latest first, and at most so many.

    Metrics of a surface's serving, and those from before the log, begin at version 1 without an entry.
    """
    entries = AuditEntry.objects.filter(
        project=metric.project_id, action__in=_ACTIONS, subject=metric.key
    )
    changes, version = [], 1
    for entry in reversed(entries.order_by("-at", "-pk")[:1000]):
        changed = entry.detail.get("changed", {})
        version += bool(changed.keys() - set(LABELS))
        shown = [(name, _shown(before), _shown(after)) for name, (before, after) in changed.items()]
        changes.append(MetricChange(version, entry.at, entry.actor, shown))
    return changes[: -MAX_CHANGES - 1 : -1]


def _shown(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= _MAX_VALUE_SHOWN else f"{text[: _MAX_VALUE_SHOWN - 1]}…"


def uses_of(
    metric: Metric, experiments: Iterable[Experiment], changes: Sequence[MetricChange]
) -> tuple[list[MetricUse], str]:
    """Return what experiments showed, one row per treatment, and the axis that their plots share.

    Args:
        metric: that they use.
        experiments: that use it.
        changes: of the metric, the latest first.
    """
    uses = []
    for experiment in read_together(experiments):
        role = next(one for one in experiment.metrics.all() if one.metric_id == metric.pk)
        use = MetricUse(
            experiment=experiment,
            role=role.role,
            verdict=summarise_verdict(experiment),
            version=_version_at(changes, experiment.started_at),
        )
        uses += [replace(use, row=row) for row in _rows(experiment, role)] or [use]
    plotted = [use for use in uses if use.row is not None and use.row.lift is not None]
    plots, axis = draw_plots([_forest_row(use) for use in plotted], translated())
    drawn = dict(zip(map(id, plotted), plots, strict=True))
    return [replace(use, plot=drawn.get(id(use), "")) for use in uses], axis if plotted else ""


def _version_at(changes: Sequence[MetricChange], at: datetime | None) -> int | None:
    if at is None:
        return None
    return next((change.version for change in changes if change.at <= at), 1)


def _rows(experiment: Experiment, role: ExperimentMetric) -> list[ComparisonRow]:
    look = last_look(experiment)
    if look is None:
        return []
    treatments = sum(not variant.is_control for variant in experiment.variants.all())
    return [
        comparison_row(one, role, treatments=treatments, described="")
        for one in look.parsed_result.of_metric(role.metric.key)
    ]


def _forest_row(use: MetricUse) -> ForestRow:
    row = use.row
    if row is None:
        raise ValueError("a use without a comparison has no plot")
    low, high = row.lift_interval or (None, None)
    return ForestRow(
        label=use.experiment.title,
        estimate=row.lift,
        low=low,
        high=high,
        effect="",
        direction=row.direction,
        margin=row.margin if row.role == ExperimentMetric.Role.GUARDRAIL else None,
    )


def suggest_metrics(surface: Surface, *, without: Iterable[int]) -> list[SuggestedMetric]:
    """Return metrics that tests of a surface used most, with their commonest role.

    A surface that no test ran on gets those of its whole project.

    Args:
        surface: of the draft.
        without: ids of metrics that it has already.
    """
    started = _roles_in_tests().exclude(experiment__started_at=None)
    rows = started.filter(experiment__surface=surface)
    if not rows.exists():
        rows = started.filter(experiment__project=surface.project_id)
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    counted = rows.values_list("metric_id", "role").annotate(experiments=Count("pk"))
    for metric_id, role, experiments in counted:
        counts[metric_id][role] = experiments
    left_out = set(without)
    metrics = surface.project.metrics.unarchived().in_bulk(
        [one for one in counts if one not in left_out]
    )
    suggested = [
        SuggestedMetric(metric, max(roles, key=lambda role: (roles[role], role)), sum(roles.values()))
        for pk, metric in metrics.items()
        for roles in (counts[pk],)
    ]
    suggested.sort(key=lambda one: (-one.experiments, one.metric.key))
    return suggested[:MAX_SUGGESTED]


def _roles_in_tests() -> Any:
    """Return roles of metrics in tests: what the platform measures by itself repeats a test's."""
    return ExperimentMetric.objects.filter(experiment__purpose=Experiment.Purpose.TEST)
