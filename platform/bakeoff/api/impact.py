"""What promotions brought."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.translation import override
from ninja import Router

from bakeoff.api.access import project_of
from experiments.reports.impact import impact_of

router = Router(tags=["experiments"])


@router.get("/impact", response={200: dict[str, Any]})
def show_impact(request: HttpRequest) -> Any:
    """Show what all promotions brought, per surface and month, beside the standing holdout."""
    with override("en"):
        return impact_of(project_of(request)).as_json()
