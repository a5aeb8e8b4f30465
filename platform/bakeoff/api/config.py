"""A project's configuration as a file states it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router

from bakeoff.api.access import project_of
from bakeoff.config_file.export import export_config

router = Router(tags=["configuration"])


@router.get("/config", response={200: dict[str, Any]})
def show_config(request: HttpRequest) -> Any:
    """Show every setting of the project, as `bakeoff config export` does; secrets are never in it."""
    return export_config(project_of(request))
