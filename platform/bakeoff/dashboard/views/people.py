"""Units, events as they arrive, feedback and its review, the team, and the platform's health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis.exceptions
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db.models import Count
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bakeoff.accounts.keys import SCOPES
from bakeoff.accounts.models import Membership
from bakeoff.accounts.set_role import LastAdminError, set_role
from bakeoff.dashboard.access import ADMIN, ANALYST, may, project_for, projects_of
from bakeoff.dashboard.health import health_issues, platform_health
from bakeoff.dashboard.paging import page_of
from bakeoff.gateway.event_inspector import read_seen, watch
from experiments.actions.claim_review import (
    ClaimedByAnotherError,
    claim_next_review,
    feedback_to_review,
    review_claimed,
)
from experiments.actions.explain_assignment import assignments_of
from experiments.actions.review_feedback import CannotReviewError
from experiments.models import Event, ExcludedUnit, Exposure, Feedback, Slate, Unit
from experiments.reports.reviewers_agreement import reviewers_agreement
from inference.cache import cache_client
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

LATEST = 30


@require_safe
@login_required
def show_unit(request: HttpRequest, project: str) -> HttpResponse:
    """Show one unit: what it is in and why, what it was shown, did and said."""
    found = project_for(request, project)
    unit = request.GET.get("unit", "").strip()[:200]
    context: dict[str, Any] = {"project": found, "unit": unit}
    if unit:
        mine = {"project": found, "unit_id": unit}
        context |= {
            "stored": Unit.objects.filter(**mine).first(),
            "excluded": ExcludedUnit.objects.filter(**mine).first(),
            "assignments": assignments_of(found.pk, unit),
            "exposures": Exposure.objects.filter(**mine).select_related("experiment", "variant")[
                :LATEST
            ],
            "slates": Slate.objects.filter(**mine)
            .select_related("surface", "model_version", "experiment", "variant")
            .order_by("-served_at")[:LATEST],
            "events": Event.objects.filter(**mine).order_by("-occurred_at")[:LATEST],
            "said": Feedback.objects.filter(**mine).order_by("-id")[:LATEST],
        }
    return render(request, "dashboard/units.html", context)


@require_safe
@login_required
def show_events(request: HttpRequest, project: str) -> HttpResponse:
    """Show what arrives now, what is refused and why; asking keeps the project watched."""
    found = project_for(request, project)
    rows: list[Any] = []
    away = ""
    try:
        cache = cache_client()
        if watch(cache, found.pk):
            announce_change(cache)  # processes look at once who is watched
        rows = read_seen(cache, found.pk)
    except redis.exceptions.RedisError as error:
        away = str(error)
    context = {"project": found, "rows": rows, "away": away}
    if request.headers.get("HX-Request"):
        return render(request, "dashboard/event_rows.html", context)
    return render(request, "dashboard/events.html", context)


@require_http_methods(["GET", "POST"])
@login_required
def show_feedback(request: HttpRequest, project: str) -> HttpResponse:
    """Show what units say by kind and variant, and one text to review: its variant is hidden."""
    found = project_for(request, project, ANALYST if request.method == "POST" else "viewer")
    person = str(request.user)
    if request.method == "POST":
        feedback = get_object_or_404(Feedback, pk=request.POST.get("feedback") or 0, project=found)
        try:
            review_claimed(
                feedback=feedback,
                state=request.POST.get("state", ""),
                reason=request.POST.get("reason", ""),
                by=person,
            )
        except ClaimedByAnotherError:
            messages.error(request, _("Someone else is reviewing this entry."))
        except CannotReviewError as error:
            messages.error(request, str(error))
        return redirect("feedback", project)
    counts = (
        Feedback.objects.counted()
        .filter(project=found)
        .values("kind", "variant__experiment__key", "variant__key")
        .annotate(count=Count("id"))
        .order_by("kind", "variant__experiment__key", "variant__key")[:100]
    )
    reviews = may(request.user, found, ANALYST)
    context = {
        "project": found,
        "counts": counts,
        "review": claim_next_review(project=found, reviewer=person) if reviews else None,
        "waiting": feedback_to_review(found).count(),
        "agreement": reviewers_agreement(found.pk),
        "reviews": reviews,
    }
    return render(request, "dashboard/feedback.html", context)


@require_safe
@login_required
def show_team(request: HttpRequest, project: str) -> HttpResponse:
    """Show keys, members and the audit trail."""
    found = project_for(request, project)
    context = {
        "project": found,
        "keys": found.api_keys.order_by("-id"),
        "members": found.memberships.select_related("user").order_by("user__username"),
        "roles": Membership.Role.choices,
        "scopes": SCOPES,
        "page": page_of(request, found.audit_entries.all()),
    }
    return render(request, "dashboard/team.html", context)


@require_POST
@login_required
def set_member(request: HttpRequest, project: str) -> HttpResponse:
    """Give a person a role, or take it away; a project keeps one admin at least."""
    found = project_for(request, project, ADMIN)
    name, role = request.POST.get("username", "").strip(), request.POST.get("role", "")
    person = User.objects.filter(username=name).first()
    if person is None:
        messages.error(
            request,
            _("There is no account with the name '%(name)s'.") % {"name": name[:60]},
        )
        return redirect("team", project)
    try:
        set_role(project=found, person=person, role=role, by=str(request.user))
    except LastAdminError:
        messages.error(request, _("%(name)s is the last admin of this project.") % {"name": name})
        return redirect("team", project)
    except ValueError as error:
        messages.error(request, str(error))
        return redirect("team", project)
    messages.success(request, _("Saved."))
    return redirect("team", project)


@require_safe
@login_required
def show_health(request: HttpRequest) -> HttpResponse:
    """Show the platform's queues, processes and storage, and each project's troubles."""
    projects = projects_of(request.user)
    health = platform_health(projects)
    context = {
        "health": health,
        "health_issues": [
            *health["health_issues"],
            *(issue for project in projects[:50] for issue in health_issues(project)),
        ],
    }
    if request.headers.get("HX-Request"):
        return render(request, "dashboard/health_parts.html", context)
    return render(request, "dashboard/health.html", context)
