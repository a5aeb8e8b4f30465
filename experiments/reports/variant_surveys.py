"""What users of each variant of an experiment answered to surveys, compared with the control.

Who answers chooses to: a comparison of answers is one of those who answered, and bends where a variant
moves whether users answer at all. So the response rates stand beside it, with a test. The intervals are
those of one fixed analysis; they decide nothing: a metric over `feedback.survey` may.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connection

from experiments.models import Survey
from experiments.reports.feedback_report import PROMPTS
from experiments.sql import counts_now, is_excluded
from experiments.stats.effects import compare, critical_value
from experiments.stats.multiplicity import benjamini_hochberg
from experiments.stats.totals import StatisticsError, Totals
from experiments.survey_question import score_sql

if TYPE_CHECKING:
    from experiments.kinds import MetricKind
    from experiments.models import Experiment, Variant

ALPHA = 0.05
DIFFERS = 0.01  # p-value from which response rates are said to differ: a warning must be rare
MIN_USERS = 10  # of each variant, who answered: fewer are not compared
# A user counts in the variant where it was exposed first, as in the totals of exposures.
_ANSWERED = f"""
    FROM experiments_feedback AS feedback
    JOIN experiments_survey AS survey
        ON survey.project_id = feedback.project_id AND survey.key = feedback.text
    CROSS JOIN LATERAL (SELECT variant_id FROM experiments_exposure AS own
        WHERE own.experiment_id = %(experiment)s AND own.unit_id = feedback.unit_id
        ORDER BY own.exposed_at, own.id LIMIT 1) AS first
    CROSS JOIN LATERAL unnest(CASE WHEN feedback.value IS NULL THEN feedback.tags
        ELSE ARRAY[''] END) AS choice
    WHERE feedback.project_id = %(project)s AND feedback.kind = 'survey'
        AND survey.surface_id = %(surface)s AND first.variant_id = feedback.variant_id
        AND {counts_now("feedback")} AND NOT {is_excluded("feedback")}"""
_SUMS = f"""
    WITH answer AS (
        SELECT survey.key, choice, feedback.variant_id, feedback.unit_id,
            avg({score_sql("feedback.value", "survey.kind")}) AS score {_ANSWERED}
        GROUP BY 1, 2, 3, 4)
    SELECT key, choice, variant_id, count(*), count(*) FILTER (WHERE score <> 0),
        coalesce(sum(score), 0), coalesce(sum(score * score), 0)
    FROM answer GROUP BY 1, 2, 3"""
_USERS = f"""SELECT survey.key, feedback.variant_id, count(DISTINCT feedback.unit_id) {_ANSWERED}
    GROUP BY 1, 2"""
_PROMPTED = """
    SELECT event.properties ->> 'survey', slate.variant_id, event.name,
        count(DISTINCT event.recommendation_id), count(DISTINCT slate.unit_id)
    FROM experiments_event AS event
    CROSS JOIN LATERAL (SELECT variant_id, unit_id FROM experiments_slate AS one
        WHERE one.recommendation_id = event.recommendation_id AND one.project_id = event.project_id
            AND one.experiment_id = %(experiment)s AND NOT one.forced LIMIT 1) AS slate
    WHERE event.project_id = %(project)s AND event.name = ANY(%(prompts)s)
        AND event.occurred_at >= %(since)s AND event.properties ->> 'survey' IS NOT NULL
    GROUP BY 1, 2, 3"""


class _Sums(NamedTuple):
    n: int = 0
    nonzero: int = 0
    total: float = 0.0
    squares: float = 0.0


@dataclass(frozen=True, slots=True)
class VariantAnswer:
    """A survey in one treatment, against the control.

    Attributes:
        survey: its key.
        question: that users read.
        choice: whose share is compared; empty where it is the score.
        variant: key of the treatment.
        control_users: who answered in the control.
        treatment_users: who answered in the treatment.
        control: mean score, or share of those who answered; None where nobody did.
        treatment: the treatment's.
        difference: treatment − control; None where too few answered to compare.
        interval: of the difference, 95 %, of one fixed analysis.
        adjusted_p_value: over all rows of the experiment (Benjamini and Hochberg).
    """

    survey: str
    question: str
    choice: str
    variant: str
    control_users: int
    treatment_users: int
    control: float | None
    treatment: float | None
    difference: float | None = None
    interval: tuple[float | None, float | None] | None = None
    adjusted_p_value: float | None = None


@dataclass(frozen=True, slots=True)
class SurveyResponse:
    """How many slates of a variant were asked about, and answered.

    Attributes:
        survey: its key.
        variant: key of the variant, the control's included.
        shown: slates with a question.
        answered: of them.
        rate: answered / shown; None where none was shown.
        differs: whether the rate is another than the control's, p ≤ .01.
        users: who saw the question; each may see it with several slates.
    """

    survey: str
    variant: str
    shown: int
    answered: int
    rate: float | None
    differs: bool = False
    users: int = 0


@dataclass(frozen=True, slots=True)
class SurveyComparison:
    """The surveys of an experiment.

    Attributes:
        answers: per treatment.
        responses: per variant.
    """

    answers: list[VariantAnswer]
    responses: list[SurveyResponse]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def compare_surveys(experiment: Experiment) -> SurveyComparison:
    """Return what users of the experiment answered; empty where nobody was asked."""
    variants = list(experiment.variants.all())
    control = next((one for one in variants if one.is_control), None)
    surveys = list(Survey.objects.filter(surface=experiment.surface_id).order_by("-id"))
    if control is None or not surveys:
        return SurveyComparison([], [])
    return SurveyComparison(
        _compare_answers(experiment, surveys, control, variants),
        _compare_responses(experiment, surveys, control, variants),
    )


def _compare_answers(
    experiment: Experiment, surveys: list[Survey], control: Variant, variants: list[Variant]
) -> list[VariantAnswer]:
    parameters = {
        "experiment": experiment.pk,
        "project": experiment.project_id,
        "surface": experiment.surface_id,
    }
    sums: dict[tuple[str, str, int], _Sums] = {}
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, parameters)
        for key, choice, variant, *figures in cursor.fetchall():
            sums[key, choice, variant] = _Sums(*figures)
        cursor.execute(_USERS, parameters)
        users = {(key, variant): count for key, variant, count in cursor.fetchall()}
    rows = [
        _row(survey, choice, (control, treatment), sums, users)
        for survey in surveys
        for choice in (survey.choices or [""])
        for treatment in variants
        if treatment != control
        and (users.get((survey.key, control.pk), 0) or users.get((survey.key, treatment.pk), 0))
    ]
    adjusted = benjamini_hochberg([row.adjusted_p_value for row in rows])
    return [replace(row, adjusted_p_value=p) for row, p in zip(rows, adjusted, strict=True)]


def _row(
    survey: Survey,
    choice: str,
    pair: tuple[Variant, Variant],
    sums: dict[tuple[str, str, int], _Sums],
    users: dict[tuple[str, int], int],
) -> VariantAnswer:
    """Return a comparison whose p-value is not adjusted yet."""
    kind: MetricKind = "proportion" if choice else "mean"
    counts = [users.get((survey.key, one.pk), 0) for one in pair]
    figures = [sums.get((survey.key, choice, one.pk), _Sums()) for one in pair]
    totals = [
        Totals.of_proportion(one.n, n)
        if choice
        else Totals.of_mean(n=n, nonzero=one.nonzero, total=one.total, squares=one.squares)
        for one, n in zip(figures, counts, strict=True)
    ]
    values = [
        (one.n if choice else one.total) / n if n else None
        for one, n in zip(figures, counts, strict=True)
    ]
    row = VariantAnswer(
        survey.key, survey.question, choice, pair[1].key, counts[0], counts[1], values[0], values[1]
    )
    if min(counts) < MIN_USERS:
        return row
    try:
        effect = compare(kind, totals[0], totals[1], adjust=False)
    except StatisticsError:  # all users gave one answer: there is no variance to compare by
        return row
    return replace(
        row,
        difference=effect.estimate,
        interval=effect.interval(critical_value(ALPHA, effect.df)),
        adjusted_p_value=effect.p_value,
    )


def _compare_responses(
    experiment: Experiment, surveys: list[Survey], control: Variant, variants: list[Variant]
) -> list[SurveyResponse]:
    counts: defaultdict[tuple[str, int], dict[str, int]] = defaultdict(dict)
    users: dict[tuple[str, int], int] = {}
    with connection.cursor() as cursor:
        # Nothing was asked before it existed; a day, since events bear their clients' times.
        since = experiment.created_at - timedelta(days=1)
        cursor.execute(
            _PROMPTED,
            {
                "experiment": experiment.pk,
                "project": experiment.project_id,
                "prompts": list(PROMPTS),
                "since": since,
            },
        )
        for key, variant, name, slates, units in cursor.fetchall():
            counts[key, variant][name] = slates
            if name == PROMPTS[0]:
                users[key, variant] = units
    return [
        replace(
            _response(survey.key, one, counts[survey.key, one.pk], counts[survey.key, control.pk]),
            users=users.get((survey.key, one.pk), 0),
        )
        for survey in surveys
        if any(counts[survey.key, one.pk] for one in variants)
        for one in variants
    ]


def _response(
    survey: str, variant: Variant, own: dict[str, int], control: dict[str, int]
) -> SurveyResponse:
    shown, answered = _prompt_counts(own)
    rate = answered / shown if shown else None
    row = SurveyResponse(survey, variant.key, shown, answered, rate)
    control_shown, control_answered = _prompt_counts(control)
    if variant.is_control or min(shown, control_shown) < MIN_USERS:
        return row
    try:
        effect = compare(
            "proportion",
            Totals.of_proportion(control_answered, control_shown),
            Totals.of_proportion(answered, shown),
            adjust=False,
        )
    except StatisticsError:  # all answered, or nobody did
        return row
    return replace(row, differs=effect.p_value <= DIFFERS)


def _prompt_counts(counts: dict[str, int]) -> tuple[int, int]:
    shown, _dismissed, answered = (counts.get(name, 0) for name in PROMPTS)
    return shown, min(answered, shown)
