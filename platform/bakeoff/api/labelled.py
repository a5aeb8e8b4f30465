"""Labelled examples of a surface that classifies: list them, delete one or some."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import AwareDatetime, Field

from bakeoff.api.access import actor_of, project_of
from bakeoff.api.errors import Problem
from bakeoff.api.field_types import Id
from bakeoff.api.lookup import get_or_404
from bakeoff.api.paging import ROWS, Limit, Offset, page_of
from bakeoff.api.request_schema import RequestSchema
from experiments.actions.delete_labelled_texts import ExampleSelection, delete_labelled_texts
from inference.models import Example, Surface

router = Router(tags=["surfaces"])
MAX_IDS = 1000  # an address has room for about as many


class ExampleOut(Schema):
    """A text with its true label."""

    example_id: str
    label: str
    text: str
    features: dict[str, Any]
    labelled_at: datetime


class ExampleQuery(RequestSchema):
    """Which examples are deleted: exactly one of these."""

    id: Annotated[list[Id], Field(max_length=MAX_IDS)] = Field(
        default_factory=list, description="Those of these ids; again for several."
    )
    since: AwareDatetime | None = Field(
        None, description="Those that a load at this time or later added or replaced."
    )
    without_text: bool = Field(default=False, description="Those whose text is empty.")
    every: bool = Field(default=False, description="All of them.")


class ExamplesDeleted(Schema):
    """How many were deleted."""

    deleted: int


def _surface(request: HttpRequest, key: str) -> Surface:
    return get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)


@router.get("/surfaces/{key}/examples", response={200: list[ExampleOut]})
def list_examples(request: HttpRequest, key: str, limit: Limit = ROWS, offset: Offset = 0) -> Any:
    """List the labelled texts of a surface, the newest first."""
    rows = _surface(request, key).examples.order_by("-labelled_at", "-pk")
    return page_of(request, rows, ExampleOut, limit=limit, offset=offset)


@router.delete("/surfaces/{key}/examples", response={200: ExamplesDeleted})
def delete_examples(request: HttpRequest, key: str, query: Query[ExampleQuery]) -> Any:
    """Delete labelled texts for good: by ids, by the time of their load, those without text, or all.

    Reviewers' tasks of these texts go with them. Versions that have learnt from them stay.
    """
    surface = _surface(request, key)
    # What a misspelt condition meant to keep must not go.
    if unknown := sorted(set(request.GET) - set(ExampleQuery.model_fields)):
        known = ", ".join(ExampleQuery.model_fields)
        message = f"{unknown[0][:80]}: unknown parameter, must be one of {known}."
        raise Problem(400, "invalid_value", message, unknown[0][:80])
    ways = (bool(query.id), query.since is not None, query.without_text, query.every)
    if sum(ways) != 1:
        message = "Exactly one of id, since, without_text and every must be set."
        raise Problem(400, "invalid_value", message)
    selection = ExampleSelection(
        ids=query.id or None, since=query.since, without_text=query.without_text
    )
    deleted = delete_labelled_texts(surface=surface, selection=selection, by=actor_of(request))
    return {"deleted": deleted}


@router.delete("/surfaces/{key}/examples/{example_id}", response={204: None})
def delete_example(request: HttpRequest, key: str, example_id: str) -> Any:
    """Delete one labelled text for good, with reviewers' tasks of it."""
    surface = _surface(request, key)
    example = get_or_404(
        Example.objects.filter(surface=surface), "labelled example", example_id=example_id
    )
    selection = ExampleSelection(ids=[example.example_id])
    delete_labelled_texts(surface=surface, selection=selection, by=actor_of(request))
    return Status(204, None)
