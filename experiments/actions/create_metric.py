"""Declare a metric over events."""

from __future__ import annotations

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.refused import RefusedError
from experiments.bounds import BoundsError
from experiments.metrics.labels import check_labels
from experiments.metrics.spec import MetricError, MetricSpec
from experiments.models import Metric, Survey

# A window stands in for the policy's here: it decides only whether the fields agree.
DAY_SECONDS = 86_400.0
SURVEY_EVENT = "feedback.survey"


class CannotCreateError(RefusedError):
    """A metric that breaks a rule; `field` names where."""


class TakenError(CannotCreateError):
    """The project has a metric of this key."""


def create_metric(*, metric: Metric, by: str) -> Metric:
    """Save a metric that was filled in; what a running experiment counts never changes by it.

    Raises:
        CannotCreateError: its fields contradict each other, or its key is taken.
    """
    check_scores(metric, check_metric(metric))
    if Metric.objects.filter(project=metric.project_id, key=metric.key).exists():
        raise TakenError(f"metric == '{metric.key}', exists already in this project.", field="key")
    with transaction.atomic():
        metric.save()
        record_audit(metric.project_id, actor=by, action="declare metric", subject=metric.key)
    return metric


def check_metric(metric: Metric) -> MetricSpec:
    """Return what a metric counts; refuse fields that contradict each other, and labels beyond a rule.

    Raises:
        CannotCreateError: they do; `field` names where.
    """
    try:
        check_labels(description=metric.description, owner=metric.owner, tags=metric.tags)
    except BoundsError as error:
        raise CannotCreateError(str(error), field=error.field) from error
    if metric.kind == Metric.Kind.RATIO and not metric.denominator:
        raise CannotCreateError("denominator == '', must name an event.", field="denominator")
    try:
        return MetricSpec.of(metric, default_window_seconds=DAY_SECONDS)
    except MetricError as error:
        raise CannotCreateError(str(error), field=error.field) from error


def check_scores(metric: Metric, spec: MetricSpec) -> None:
    """Refuse a metric of the scores of a survey that users answer in their own words.

    Counting who answered is no score, and a filter that leaves a survey out names none.

    Raises:
        CannotCreateError: the survey has none.
    """
    scores = spec.kind in {"mean", "ratio", "quantile"} and spec.value in {"sum", "max"}
    if spec.event != SURVEY_EVENT or not (scores or any(one.field == "value" for one in spec.filters)):
        return
    named = [
        one.value for one in spec.filters if one.field == "properties.text" and one.op in {"eq", "in"}
    ]
    keys = [key for value in named for key in (value if isinstance(value, list) else [value])]
    surveys = Survey.objects.filter(project=metric.project_id, kind=Survey.Kind.TEXT)
    survey = surveys.filter(key__in=[str(key) for key in keys]).first()
    if survey is not None:
        raise CannotCreateError(
            f"survey == '{survey.key}' of kind 'text', must have a scale: its answers have no scores.",
            field="filters",
        )
