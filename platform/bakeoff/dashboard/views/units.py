"""One unit: what it is in and why, what it was shown and did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_required
from django.shortcuts import render
from django.views.decorators.http import require_safe

from bakeoff.dashboard.access import project_for
from experiments.actions.explain_assignment import assignments_of
from experiments.models import Event, ExcludedUnit, Exposure, Feedback, Slate, Unit

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


# Of each kind of row: what the unit did in a visit or two.
LATEST = 30


@require_safe
@login_required
def show_unit(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one unit: what it is in and why, what it was shown, did and said."""
    project = project_for(request, slug)
    unit = request.GET.get("unit", "").strip()[:200]
    context: dict[str, Any] = {"project": project, "unit": unit}
    if unit:
        mine = {"project": project, "unit_id": unit}
        context |= {
            "stored": Unit.objects.filter(**mine).first(),
            "excluded": ExcludedUnit.objects.filter(**mine).first(),
            "assignments": assignments_of(project.pk, unit),
            "exposures": Exposure.objects.filter(**mine).select_related("experiment", "variant")[
                :LATEST
            ],
            "slates": Slate.objects.filter(**mine)
            .select_related("surface", "model_version", "experiment", "variant")
            .order_by("-served_at")[:LATEST],
            "events": Event.objects.filter(**mine).order_by("-occurred_at")[:LATEST],
            "feedback": Feedback.objects.filter(**mine).order_by("-id")[:LATEST],
        }
    return render(request, "dashboard/units.html", context)
