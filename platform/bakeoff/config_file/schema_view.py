"""The file's JSON Schema at an address, so that editors complete and check files."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from bakeoff.config_file.document import json_schema


@require_safe
@cache_control(public=True, max_age=3600)
def show_schema(request: HttpRequest) -> JsonResponse:  # noqa: ARG001  the same for everybody
    """Answer the schema; it tells nothing of a project, so no key is needed."""
    return JsonResponse(json_schema())
