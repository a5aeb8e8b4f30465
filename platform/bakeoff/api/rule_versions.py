"""Versions of a surface's rules."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema, Status

from bakeoff.api.access import actor_of, project_of
from bakeoff.api.errors import Problem
from bakeoff.api.field_types import Properties
from bakeoff.api.lookup import get_or_404
from bakeoff.api.paging import ROWS, Limit, Offset, page_of
from bakeoff.api.request_schema import RequestSchema
from experiments.actions.save_rules import MAX_RULES_NAME, CannotSaveRulesError, save_rules
from experiments.actions.serve_rules import serve_rules
from experiments.models import RuleVersion
from inference.models import Surface

router = Router(tags=["surfaces"])


class RulesIn(RequestSchema):
    """Rules to save."""

    rules: Properties
    name: str = Field("", max_length=MAX_RULES_NAME)


class RuleVersionOut(Schema):
    """Rules as they were saved; `is_served` says whether they are the surface's now."""

    number: int
    name: str
    rules: dict[str, Any]
    is_served: bool
    created_by: str
    created_at: datetime


def _surface(request: HttpRequest, key: str) -> Surface:
    return get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)


@router.get("/surfaces/{key}/rules", response={200: list[RuleVersionOut]})
def list_rules(request: HttpRequest, key: str, limit: Limit = ROWS, offset: Offset = 0) -> Any:
    """List the versions of a surface's rules, newest first."""
    rows = _surface(request, key).rule_versions.select_related("surface")
    return page_of(request, rows, RuleVersionOut, limit=limit, offset=offset)


@router.post("/surfaces/{key}/rules", response={201: RuleVersionOut})
def add_rules(request: HttpRequest, key: str, payload: RulesIn) -> Any:
    """Save rules as the next version: a variant of an experiment may serve it, or the surface later."""
    try:
        version = save_rules(
            surface=_surface(request, key),
            rules=payload.rules,
            name=payload.name,
            by=actor_of(request),
        )
    except CannotSaveRulesError as error:
        raise Problem(422, "invalid_rule", str(error), error.field) from error
    return Status(201, version)


@router.post("/surfaces/{key}/rules/{number}/serve", response={200: RuleVersionOut})
def serve_saved_rules(request: HttpRequest, key: str, number: int) -> Any:
    """Serve a version to everybody on the surface; variants with rules of their own keep them."""
    rows = RuleVersion.objects.filter(surface=_surface(request, key)).select_related("surface")
    version = get_or_404(rows, "rules", number=number)
    serve_rules(version=version, by=actor_of(request))
    return version
