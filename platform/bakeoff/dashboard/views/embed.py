"""The embed's script, and a page that uses it as a product would."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from bakeoff.dashboard.access import projects_of
from inference.models import Surface

# A wheel has it beside the package, a working copy where it is built.
IN_WHEEL = settings.BASE_DIR / "bakeoff.js"
SDK = IN_WHEEL if IN_WHEEL.exists() else settings.BASE_DIR.parents[1] / "clients" / "js" / "bakeoff.js"


@require_safe
@cache_control(public=True, max_age=3600)
def show_sdk(request: HttpRequest) -> FileResponse:  # noqa: ARG001
    """Give the embed's script; every page of every product may load it."""
    answer = FileResponse(SDK.open("rb"), content_type="text/javascript; charset=utf-8")
    answer["Access-Control-Allow-Origin"] = "*"
    return answer


@require_safe
@login_required
def show_demo(request: HttpRequest) -> HttpResponse:
    """Show the little film site: choose a surface, paste a public key, click."""
    surfaces = (
        Surface.objects.filter(project__in=projects_of(request.user), kind="recommend")
        .select_related("project")
        .order_by("project__slug", "key")
    )
    wanted = request.GET.get("surface", "")
    chosen = next((s for s in surfaces if f"{s.project.slug}/{s.key}" == wanted), surfaces.first())
    running: Any = chosen.experiments.running().tests().first() if chosen is not None else None
    context = {
        "surfaces": surfaces,
        "chosen": chosen,
        "running": running,
        "key": request.GET.get("key", ""),
        "unit": request.GET.get("unit", ""),
    }
    return render(request, "dashboard/demo.html", context)
