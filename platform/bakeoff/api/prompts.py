"""Versions of surfaces that generate."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja import Field, Router, Status

from bakeoff.api.access import actor_of, project_of
from bakeoff.api.errors import REFUSALS, Problem
from bakeoff.api.lookup import get_or_404
from bakeoff.api.models import VersionOut
from bakeoff.api.request_schema import RequestSchema
from experiments.actions.add_prompt import CannotAddPromptError, add_prompt
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


@router.post("/surfaces/{key}/prompts", response={201: VersionOut, **REFUSALS})
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


@router.get("/surfaces/{key}/models/{name}/{number}/prompt", response={200: PromptOut, **REFUSALS})
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
