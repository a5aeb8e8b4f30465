"""Surveys: a question after a slate, and what users answered."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema, Status

from bakeoff.api.access import actor_of, project_of
from bakeoff.api.errors import Problem
from bakeoff.api.field_types import KEY
from bakeoff.api.lookup import get_or_404
from bakeoff.api.request_schema import RequestSchema
from experiments.actions.create_survey import (
    CannotCreateSurveyError,
    CannotTargetSurveyError,
    create_survey,
)
from experiments.actions.switch_survey import switch_survey
from experiments.kinds import SurveyKind
from experiments.models import Experiment, Survey
from experiments.models.experiment import WrongStateError
from experiments.reports.survey_report import report_surveys
from experiments.reports.variant_surveys import compare_surveys
from experiments.survey_question import (
    MAX_CHOICE,
    MAX_CHOICES,
    MAX_PERIOD_DAYS,
    MAX_QUESTION,
    MAX_VARIANTS,
    SurveyError,
    SurveyQuestion,
)
from inference.models import Surface

router = Router(tags=["feedback"])


class TranslationIn(RequestSchema):
    """A question in another language."""

    question: str = Field(min_length=1, max_length=MAX_QUESTION)
    choices: list[str] = Field(
        default_factory=list,
        max_length=MAX_CHOICES,
        description="One per choice of the survey, in order.",
    )


class SurveyIn(RequestSchema):
    """A survey to be. It never changes, so that its answers stay answers to it."""

    key: str = Field(min_length=1, max_length=64, pattern=KEY)
    kind: SurveyKind = Field(description="A scale, choices, or text: users answer in their own words.")
    question: str = Field(min_length=1, max_length=MAX_QUESTION)
    choices: list[str] = Field(
        default_factory=list,
        max_length=MAX_CHOICES,
        description=f"Of the kinds choice and choices; each of at most {MAX_CHOICE} characters.",
    )
    share: float = Field(1.0, gt=0, le=1, description="Of the users; always the same ones.")
    period_days: int = Field(
        30, ge=1, le=MAX_PERIOD_DAYS, description="For which a browser is not asked again."
    )
    asks_comment: bool = Field(
        default=False, description="Whether users may add a text; not of the kind text."
    )
    condition: dict[str, Any] = Field(
        default_factory=dict,
        description="Of attributes of the request, as in an experiment's targeting.",
    )
    variants: list[str] = Field(
        default_factory=list,
        max_length=MAX_VARIANTS,
        description="EXPERIMENT/VARIANT, of which users must have one; empty: all users.",
    )
    translations: dict[str, TranslationIn] = Field(
        default_factory=dict, description="By language, such as `zh-Hans`; a page chooses."
    )


class SurveySwitch(RequestSchema):
    """Whether users are asked."""

    enabled: bool


class SurveyOut(Schema):
    """A survey."""

    key: str
    kind: str
    question: str
    choices: list[str]
    share: float
    period_days: int
    asks_comment: bool
    condition: dict[str, Any]
    variants: list[str]
    translations: dict[str, dict[str, Any]]
    enabled: bool


class AnswerOut(Schema):
    """One answer, and who gave it."""

    answer: str
    users: int
    share: float = Field(description="Of the users who answered.")


class SurveyResultOut(SurveyOut):
    """A survey and what users answered."""

    users: int
    score: float | None = Field(
        description="Mean of the users' answers on a scale; of nps from -100 to 100."
    )
    interval: tuple[float, float] | None = Field(description="Of the score, 95 %.")
    answers: list[AnswerOut]


class VariantAnswerOut(Schema):
    """A survey in a treatment against the control."""

    survey: str
    question: str
    choice: str = Field(description="Whose share is compared; empty where it is the score.")
    variant: str
    control_users: int
    treatment_users: int
    control: float | None
    treatment: float | None
    difference: float | None = Field(description="Treatment - control; null where too few answered.")
    interval: tuple[float | None, float | None] | None = Field(
        description="Of the difference, 95 %, of one fixed analysis."
    )
    adjusted_p_value: float | None = Field(description="Over all rows (Benjamini and Hochberg).")


class SurveyResponseOut(Schema):
    """How many slates of a variant were asked about, and answered."""

    survey: str
    variant: str
    shown: int
    answered: int
    rate: float | None
    differs: bool = Field(description="From the control's rate, p <= .01.")


class VariantSurveysOut(Schema):
    """The surveys of an experiment."""

    experiment: str
    answers: list[VariantAnswerOut]
    responses: list[SurveyResponseOut]


@router.get("/surfaces/{key}/surveys", response={200: list[SurveyResultOut]})
def list_surveys(request: HttpRequest, key: str) -> Any:
    """List a surface's surveys with what users answered, the newest first."""
    surface = get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)
    return [result.as_json() for result in report_surveys(surface)]


@router.post("/surfaces/{key}/surveys", response={201: SurveyOut})
def add_survey(request: HttpRequest, key: str, payload: SurveyIn) -> Any:
    """Ask users of a surface a question after a slate; one question at a time."""
    surface = get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)
    try:
        question = SurveyQuestion.parse(payload.dict())
        return Status(201, create_survey(surface=surface, question=question, by=actor_of(request)))
    except SurveyError as error:
        raise Problem(422, "cannot_ask", str(error), error.field) from error
    except CannotTargetSurveyError as error:
        raise Problem(422, "cannot_ask", str(error), error.field) from error
    except CannotCreateSurveyError as error:
        raise Problem(409, "conflict", str(error), error.field) from error
    except WrongStateError as error:
        raise Problem(409, "wrong_state", f"{error}.") from error


@router.patch("/surfaces/{key}/surveys/{survey}", response={200: SurveyOut})
def change_survey(request: HttpRequest, key: str, survey: str, payload: SurveySwitch) -> Any:
    """Turn a survey on or off; what was answered stays."""
    surface = get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)
    row = get_or_404(Survey.objects.filter(surface=surface), "survey", key=survey)
    try:
        return switch_survey(survey=row, enabled=payload.enabled, by=actor_of(request))
    except WrongStateError as error:
        raise Problem(409, "wrong_state", f"{error}.") from error


@router.get("/experiments/{key}/surveys", response={200: VariantSurveysOut})
def list_variant_surveys(request: HttpRequest, key: str) -> Any:
    """List what users of each treatment answered beside the control's, and the response rates."""
    rows = Experiment.objects.filter(project=project_of(request))
    experiment = get_or_404(rows, "experiment", key=key)
    return {"experiment": experiment.key, **compare_surveys(experiment).as_json()}
