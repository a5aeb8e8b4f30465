"""What users of a surface answered to its surveys."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from django.db import connection

from experiments.models import ExcludedUnit, Feedback, Survey
from experiments.sql import counts_now, is_excluded
from experiments.stats.effects import critical_value
from experiments.survey_question import score_sql

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from inference.models import Surface

ALPHA = 0.05
# A user who answered on several slates is one, by the mean of the scores.
_SCORES = f"""
    WITH answer AS (
        SELECT survey.id AS survey, feedback.unit_id,
            avg({score_sql("feedback.value", "survey.kind")}) AS score
        FROM experiments_feedback AS feedback
        JOIN experiments_survey AS survey
            ON survey.project_id = feedback.project_id AND survey.key = feedback.text
        WHERE feedback.project_id = %(project)s AND feedback.kind = 'survey'
            AND survey.surface_id = %(surface)s
            AND {counts_now("feedback")} AND NOT {is_excluded("feedback")}
        GROUP BY 1, 2)
    SELECT survey, count(*), avg(score), stddev_samp(score) FROM answer GROUP BY 1"""
_COUNTS = f"""
    SELECT survey.id, choice, count(DISTINCT feedback.unit_id)
    FROM experiments_feedback AS feedback
    JOIN experiments_survey AS survey
        ON survey.project_id = feedback.project_id AND survey.key = feedback.text
    CROSS JOIN LATERAL unnest(CASE WHEN feedback.value IS NULL THEN feedback.tags
        ELSE ARRAY[feedback.value::int::varchar(64)] END) AS choice
    WHERE feedback.project_id = %(project)s AND feedback.kind = 'survey'
        AND survey.surface_id = %(surface)s
        AND {counts_now("feedback")} AND NOT {is_excluded("feedback")}
    GROUP BY 1, 2"""


@dataclass(frozen=True, slots=True)
class AnswerCount:
    """One answer of a question.

    Attributes:
        answer: a number of the scale, or a choice.
        users: who gave it.
        share: of the users who answered.
    """

    answer: str
    users: int
    share: float


@dataclass(frozen=True, slots=True)
class SurveyResult:
    """A survey and what came of it.

    Attributes:
        survey: the row.
        users: who answered.
        score: mean of the users' scores, of a scale; of the Net Promoter Score in [-100, 100].
        interval: of the score, 95 %; None below two users.
        counts: every answer there is, in the question's order.
    """

    survey: Survey
    users: int
    score: float | None
    interval: tuple[float, float] | None
    counts: list[AnswerCount]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        survey = self.survey
        return {
            "key": survey.key,
            "kind": survey.kind,
            "question": survey.question,
            "choices": survey.choices,
            "share": survey.share,
            "period_days": survey.period_days,
            "asks_comment": survey.asks_comment,
            "condition": survey.condition,
            "variants": survey.variants,
            "translations": survey.translations,
            "enabled": survey.enabled,
            "users": self.users,
            "score": self.score,
            "interval": self.interval,
            "answers": [asdict(one) for one in self.counts],
        }


def report_surveys(surface: Surface) -> list[SurveyResult]:
    """Return a surface's surveys, the newest first."""
    surveys = Survey.objects.filter(surface=surface).order_by("-id")
    parameters = {"project": surface.project_id, "surface": surface.pk}
    counts: dict[tuple[int, str], int] = {}
    with connection.cursor() as cursor:
        cursor.execute(_SCORES, parameters)
        scores = {survey: figures for survey, *figures in cursor.fetchall()}
        cursor.execute(_COUNTS, parameters)
        for survey, answer, users in cursor.fetchall():
            counts[survey, answer] = users
    return [_result(survey, scores.get(survey.pk, (0, None, None)), counts) for survey in surveys]


def written_answers(survey: Survey) -> QuerySet[Feedback]:
    """Return what counts of answers in users' own words, redacted, the newest first."""
    excluded = ExcludedUnit.objects.filter(project=survey.project_id).values("unit_id")
    answers = Feedback.objects.counted().filter(
        project=survey.project_id, kind=Feedback.Kind.SURVEY, text=survey.key
    )
    answers = answers.exclude(answer="").exclude(unit_id__in=excluded)
    return answers.select_related("variant__experiment").order_by("-pk")


def _result(survey: Survey, figures: Any, counts: dict[tuple[int, str], int]) -> SurveyResult:
    users, mean, deviation = figures
    scale = survey.parsed.scale
    answers = survey.choices if scale is None else [str(n) for n in range(scale[0], scale[1] + 1)]
    interval = None
    if mean is not None and deviation is not None:
        half = critical_value(ALPHA, users - 1) * deviation / users**0.5
        interval = (mean - half, mean + half)
    rows = [
        AnswerCount(
            one, counts.get((survey.pk, one), 0), counts.get((survey.pk, one), 0) / (users or 1)
        )
        for one in answers
    ]
    return SurveyResult(survey, users, mean, interval, rows)
