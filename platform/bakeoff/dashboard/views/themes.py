"""What users write about: the themes of a surface's feedback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from bakeoff.dashboard.access import ANALYST, may, project_for
from experiments.reports.theme_report import DRAWN, draw_themes, report_themes
from inference.models import Surface

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from bakeoff.accounts.models import Project


@require_safe
@login_required
def show_themes(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what users of one surface write about, over time and in their words."""
    project = project_for(request, slug)
    surfaces = Surface.objects.filter(project=project).order_by("key")
    key = request.GET.get("surface")
    surface = get_object_or_404(surfaces, key=key) if key else _default_surface(project)
    context: dict[str, Any] = {"project": project, "surfaces": surfaces, "surface": surface}
    if surface is not None:
        report = report_themes(surface)
        context |= {
            "report": report,
            "chart": draw_themes(report, label=_("Share of the users who wrote, %")),
            "weeks": report.shares_by_week(),
            "drawn": report.rows[:DRAWN],
            "classifying": surfaces.unarchived().filter(kind=Surface.Kind.CLASSIFY),
            "classifier": report.classifier,
            "reviews": may(request.user, project, ANALYST),
        }
    return render(request, "dashboard/themes.html", context)


def _default_surface(project: Project) -> Surface | None:
    """Return the surface with the most texts in themes; any other where there is none."""
    surfaces = Surface.objects.filter(project=project)
    read = surfaces.filter(theme_reading__isnull=False).order_by("-theme_reading__themed", "key")
    return read.first() or surfaces.order_by("key").first()
