"""The scripts of pages, and a page that uses them as a product would."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotFound,
)
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from bakeoff.compressed_answers import compress_file
from bakeoff.dashboard.access import projects_of
from bakeoff.dashboard.demo_chat import ClosedChatError, chat_fields
from bakeoff.dashboard.sdk_files import EMBED, FILES, integrity_of, script_path, versions
from inference.models import Surface

HOUR, YEAR = 3600, 365 * 86400


@require_safe
def show_sdk(request: HttpRequest, file: str = EMBED) -> HttpResponseBase:
    """Answer the newest script; every page of every product may load it."""
    return _script(request, versions()[0], file, max_age=HOUR)


@require_safe
def show_sdk_version(request: HttpRequest, version: str, file: str) -> HttpResponseBase:
    """Answer a script of one version: its bytes never change, so a copy never becomes old."""
    return _script(request, version, file, max_age=YEAR, immutable=True)


def _script(request: HttpRequest, version: str, file: str, **cached: int) -> HttpResponseBase:
    path = script_path(version, file)
    if path is None:
        known = f"Versions: {', '.join(versions())}. Files: {', '.join(FILES)}."
        message = f"{version}/{file}: not found. {known}"
        return HttpResponseNotFound(message, content_type="text/plain; charset=utf-8")
    answer = FileResponse(path.open("rb"), content_type="text/javascript; charset=utf-8")
    patch_cache_control(answer, public=True, **cached)
    answer["Access-Control-Allow-Origin"] = "*"
    return compress_file(request, answer, str(path))


def _embed_code(request: HttpRequest, surface: str, key: str) -> str:
    """Return what a page needs: the script of this version by its hash, and a first call."""
    version = versions()[0]
    source = request.build_absolute_uri(reverse("sdk-version", args=[version, EMBED]))
    attributes = (
        f'integrity="{integrity_of(version, EMBED)}" crossorigin="anonymous" data-key="{key or "pk_…"}" '
        'data-surveys="on"'
    )
    call = f'bakeoff.recommend("{surface}", {{ k: 8 }}).then((slate) => console.log(slate.items));'
    return f'<script src="{source}"\n  {attributes}></script>\n<script>\n  {call}\n</script>'


@require_safe
@login_required
def show_demo(request: HttpRequest) -> HttpResponse:
    """Show a little film site or a support chat: choose a surface, paste a public key, try it."""
    kinds = (Surface.Kind.RECOMMEND, Surface.Kind.GENERATE)
    surfaces = (
        Surface.objects.unarchived()
        .filter(project__in=projects_of(request.user), kind__in=kinds)
        .select_related("project")
        .order_by("project__slug", "key")
    )
    wanted = request.GET.get("surface", "")
    chosen = next((s for s in surfaces if f"{s.project.slug}/{s.key}" == wanted), None)
    if chosen is None:
        # Films first, as ever: a chat is tried by its name.
        chosen = next((s for s in surfaces if s.kind == Surface.Kind.RECOMMEND), surfaces.first())
    running: Any = chosen.experiments.running().tests().first() if chosen is not None else None
    key = request.GET.get("key", "")
    context = {
        "surfaces": surfaces,
        "chosen": chosen,
        "running": running,
        "key": key,
        "unit": request.GET.get("unit", ""),
        "has_chat": any(s.kind == Surface.Kind.GENERATE for s in surfaces),
        "local_model": bool(settings.BAKEOFF.local_models.port),
    }
    if chosen is not None and chosen.kind == Surface.Kind.RECOMMEND:
        context["code"] = _embed_code(request, chosen.key, key)
    if chosen is not None and chosen.kind == Surface.Kind.GENERATE:
        try:
            context["chat_fields"] = chat_fields(chosen)
        except ClosedChatError as error:
            context["closed"] = str(error)
    return render(request, "dashboard/demo.html", context)
