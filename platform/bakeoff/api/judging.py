"""How a surface's answers are judged, and what judge and people say of an experiment's answers."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema

from bakeoff.api.access import actor_of, project_of
from bakeoff.api.errors import REFUSALS, Problem
from bakeoff.api.lookup import get_or_404
from bakeoff.api.request_schema import RequestSchema
from experiments.actions.plan_judging import CannotPlanJudgingError, judging_settings, plan_judging
from experiments.models import judge_plan_of
from inference.models import Surface

router = Router(tags=["judging"])


class JudgingOut(Schema):
    """How answers are judged."""

    judge: str | None = Field(description="The judge's version as surface/name@number, or null.")
    rubric: str = Field(description="What makes an answer good, for judge and people.")
    points: int = Field(description="Of the scale; 1 is the worst.")
    judge_share: float = Field(description="Share of answers that the judge scores, in [0, 1].")
    label_share: float = Field(description="Share of answers drawn for people to rate, in [0, 1].")
    daily_cost: float = Field(description="What the judge may cost a day, in money.")


class JudgingPatch(RequestSchema):
    """Settings to change; what is left out stays."""

    judge: str | None = None
    rubric: str = ""
    points: int = 5
    judge_share: float = 1.0
    label_share: float = 0.05
    daily_cost: float = 1.0


def _surface(request: HttpRequest, key: str) -> Surface:
    return get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)


@router.get("/surfaces/{key}/judging", response={200: JudgingOut, **REFUSALS})
def show_judging(request: HttpRequest, key: str) -> Any:
    """Show how the surface's answers are judged."""
    return judging_settings(judge_plan_of(_surface(request, key)))


@router.patch("/surfaces/{key}/judging", response={200: JudgingOut, **REFUSALS})
def change_judging(request: HttpRequest, key: str, payload: JudgingPatch) -> Any:
    """Change the named settings."""
    surface = _surface(request, key)
    try:
        plan = plan_judging(
            surface=surface, changes=payload.dict(exclude_unset=True), by=actor_of(request)
        )
    except CannotPlanJudgingError as error:
        raise Problem(422, "invalid_value", str(error), error.field) from error
    return judging_settings(plan)
