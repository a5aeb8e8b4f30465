"""Versions of surfaces that generate."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja import Field, Router, Status

from bakeoff.accounts.refused import RefusedError
from bakeoff.api.access import actor_of, project_of
from bakeoff.api.errors import Problem
from bakeoff.api.lookup import get_or_404
from bakeoff.api.models import RunOut, VersionOut
from bakeoff.api.request_schema import RequestSchema
from experiments.actions.add_prompt import CannotAddPromptError, add_prompt
from experiments.actions.optimise_prompt import optimise_prompt
from inference.actions.queue_training import CannotTrainError
from inference.actions.read_prompt import NoPromptError, read_prompt
from inference.models import ModelVersion, Surface
from inference.serving.prompts import PROMPT

router = Router(tags=["models"])


class PromptIn(RequestSchema):
    """A version that generates: its fields are those of `prompt`, and its name."""

    name: str = Field(PROMPT, max_length=64, description="The version's name before its number.")
    prompt: dict[str, Any] = Field(
        description="provider, model, messages, variables, parameters, tools, response_format, checks, "
        "fallbacks, static_text, first_token_seconds, total_seconds."
    )


class PromptOut(VersionOut):
    """A version and what it asks."""

    prompt: dict[str, Any]


class PromptSearchIn(RequestSchema):
    """A search for a better prompt."""

    provider: str = Field(max_length=64, description="Of the model that proposes, of the operator's.")
    model: str = Field(max_length=200, description="Its name at the provider.")
    data_set: str = Field(
        "",
        max_length=64,
        description="Compares proposals. Empty: the gate's, or the only one.",
    )
    proposals: int = Field(5, description="How many are asked for at most.")
    rows: int = Field(50, description="Of the data set that each is tried on.")
    budget_tokens: int = Field(1_000_000, description="Tokens of the whole search.")
    budget_money: float = Field(5.0, description="Money of the whole search.")


@router.post("/surfaces/{key}/prompts", response={201: VersionOut})
def add_surface_prompt(request: HttpRequest, key: str, payload: PromptIn) -> Any:
    """Add a version that generates: the champion where there is none, else a candidate to be tested."""
    surface = get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)
    try:
        version = add_prompt(
            surface=surface, data=payload.prompt, algorithm=payload.name, by=actor_of(request)
        )
    except CannotAddPromptError as error:
        raise Problem(422, error.code, str(error), error.field) from error
    return Status(201, version)


@router.get("/surfaces/{key}/models/{name}/{number}/prompt", response={200: PromptOut})
def show_prompt(request: HttpRequest, key: str, name: str, number: int) -> Any:
    """Show what a version asks."""
    surface = get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)
    version = get_or_404(
        ModelVersion.objects.filter(surface=surface), "model version", algorithm=name, number=number
    )
    try:
        prompt = read_prompt(settings.BAKEOFF.artifacts, version)
    except NoPromptError as error:
        raise Problem(409, "no_prompt", str(error)) from error
    return {**VersionOut.from_orm(version).dict(), "prompt": prompt.as_json()}


@router.post("/surfaces/{key}/prompt-searches", response={202: RunOut})
def search_prompt(request: HttpRequest, key: str, payload: PromptSearchIn) -> Any:
    """Let a strong model propose better prompts; the run is one of the surface's training runs.

    `message` and `stage` of `GET /v1/surfaces/{key}/training-runs` say how far it is, `notes` what it
    cost. It is cancelled as every training run. The best proposal becomes a candidate.
    """
    surface = get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)
    try:
        run = optimise_prompt(surface=surface, params=payload.dict(), by=actor_of(request))
    except RefusedError as error:
        raise Problem(422, "cannot_optimise", str(error), error.field) from error
    except CannotTrainError as error:
        raise Problem(422, "cannot_optimise", str(error)) from error
    return Status(202, run)
