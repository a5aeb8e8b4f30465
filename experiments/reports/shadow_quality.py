"""Answers of versions in shadow to an experiment's requests, beside those that were served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connection
from django.db.models import Avg, Count, Q, Sum

from inference.models import ModelVersion, ShadowAnswer, Surface

if TYPE_CHECKING:
    from experiments.models import Experiment, JudgePlan

# Of the same requests: what was served and what the shadow would have answered.
_SCORES = """
    SELECT own.shadow_id, count(*), avg(own.score), avg(served.score)
    FROM experiments_judgement AS own
    JOIN experiments_judgement AS served ON served.generation_id = own.generation_id
        AND served.judge_id = own.judge_id AND served.shadow_id IS NULL AND served.score IS NOT NULL
    WHERE own.experiment_id = %s AND own.judge_id = %s AND own.shadow_id IS NOT NULL
        AND own.score IS NOT NULL
    GROUP BY own.shadow_id"""


@dataclass(frozen=True, slots=True)
class ShadowQuality:
    """A version in shadow.

    Attributes:
        version: its label.
        answers: requests that it answered, or failed to.
        errors: requests that it failed to answer.
        latency_ms: mean, until an answer was whole.
        cost: of all its answers.
        judged: requests of which the judge scored both answers.
        score: the judge's mean of its answers, in [0, 1]; None without any.
        served_score: the judge's mean of the answers that were served to the same requests; likewise.
    """

    version: str
    answers: int
    errors: int
    latency_ms: float | None
    cost: float
    judged: int = 0
    score: float | None = None
    served_score: float | None = None


def shadow_quality_of(experiment: Experiment, plan: JudgePlan) -> list[ShadowQuality]:
    """Return the versions in shadow that answered requests of an experiment, by label."""
    if experiment.surface.kind != Surface.Kind.GENERATE:
        return []
    totals = ShadowAnswer.objects.filter(experiment_id=experiment.pk).values_list("version")
    rows = totals.annotate(
        count=Count("pk"),
        errors=Count("pk", filter=~Q(error="")),
        latency=Avg("latency_ms", filter=Q(error="")),
        paid=Sum("cost"),
    ).order_by()
    figures = {version: values for version, *values in rows}
    if not figures:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_SCORES, [experiment.pk, plan.judge_id])
        scores = {version: values for version, *values in cursor.fetchall()}
    versions = ModelVersion.objects.in_bulk(figures)
    return sorted(
        (
            ShadowQuality(versions[pk].label, *values, *scores.get(pk, ()))
            for pk, values in figures.items()
        ),
        key=lambda one: one.version,
    )
