"""Units, events as they arrive, feedback and its review, the team, and the platform's health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import redis.exceptions
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db.models import Count
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bakeoff.accounts.keys import SCOPES
from bakeoff.accounts.models import Membership, Project
from bakeoff.accounts.set_role import LastAdminError, set_role
from bakeoff.dashboard.access import ADMIN, ANALYST, may, project_for, projects_of
from bakeoff.dashboard.health import health_issues, platform_health
from bakeoff.dashboard.paging import page_of
from bakeoff.gateway.event_inspector import seen_key, watch_key
from bakeoff.rules import assignments_of
from experiments.actions.review_feedback import CannotReviewError, review_feedback
from experiments.models import Event, ExcludedUnit, Exposure, Feedback, Review, Slate, Unit
from inference.cache import cache_client
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

LATEST = 30
WATCHED_SECONDS = 20
LOCK_SECONDS = 300
AGREE_OVER = 500  # pieces of feedback that two people judged


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
        if not cache.set(watch_key(found.pk), b"1", ex=WATCHED_SECONDS, get=True):
            announce_change(cache)  # processes look at once who is watched
        rows = [orjson.loads(row) for row in cache.lrange(seen_key(found.pk), 0, 99)]
    except redis.exceptions.RedisError as error:
        away = str(error)
    context = {"project": found, "rows": rows, "away": away}
    if request.headers.get("HX-Request"):
        return render(request, "dashboard/event_rows.html", context)
    return render(request, "dashboard/events.html", context)


def _lock_key(feedback: int) -> str:
    return f"review:{feedback}"


def _waiting(project: Project) -> QuerySet[Feedback]:
    """Return what waits for a review, flagged ones first."""
    return Feedback.objects.filter(project=project).to_review().order_by("-flags", "id")


def _next_to_review(project: Project, person: str) -> Feedback | None:
    """Return the first text that nobody else holds, and hold it."""
    cache = cache_client()
    found: Feedback
    for found in _waiting(project).exclude(reviews__reviewer=person)[:50]:
        name = _lock_key(found.pk)
        if (
            cache.set(name, person.encode(), nx=True, ex=LOCK_SECONDS)
            or cache.get(name) == person.encode()
        ):
            return found
    return None


def agreement_of(project: Project) -> dict[str, Any]:
    """Return how often two reviewers said the same of one piece of feedback, and Cohen's kappa."""
    twice = (
        Review.objects.filter(feedback__project=project)
        .values("feedback")
        .annotate(n=Count("id"))
        .filter(n__gte=2)
        .values_list("feedback", flat=True)[:AGREE_OVER]
    )
    pairs: dict[int, list[str]] = {}
    for feedback, state in (
        Review.objects.filter(feedback__in=list(twice))
        .order_by("id")
        .values_list("feedback_id", "state")
    ):
        pairs.setdefault(feedback, []).append(state)
    both = [tuple(states[:2]) for states in pairs.values()]
    if not both:
        return {"pairs": 0}
    same = sum(a == b for a, b in both) / len(both)
    chance = 0.0
    for state in {state for pair in both for state in pair}:
        first = sum(a == state for a, _b in both) / len(both)
        second = sum(b == state for _a, b in both) / len(both)
        chance += first * second
    kappa = (same - chance) / (1 - chance) if chance < 1 else None
    return {"pairs": len(both), "same": same, "kappa": kappa}


@require_http_methods(["GET", "POST"])
@login_required
def show_feedback(request: HttpRequest, project: str) -> HttpResponse:
    """Show what units say by kind and variant, and one text to review: its variant is hidden."""
    found = project_for(request, project, ANALYST if request.method == "POST" else "viewer")
    person = str(request.user)
    if request.method == "POST":
        feedback = get_object_or_404(Feedback, pk=request.POST.get("feedback") or 0, project=found)
        held: Any = cache_client().get(_lock_key(feedback.pk))
        if held is not None and held != person.encode():
            messages.error(request, _("Somebody else reviews this one now."))
            return redirect("feedback", project)
        try:
            review_feedback(
                feedback=feedback,
                state=request.POST.get("state", ""),
                reason=request.POST.get("reason", ""),
                by=person,
            )
        except CannotReviewError as error:
            messages.error(request, str(error))
        else:
            cache_client().delete(_lock_key(feedback.pk))
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
        "review": _next_to_review(found, person) if reviews else None,
        "waiting": _waiting(found).count(),
        "agreement": agreement_of(found),
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
            _("username == '%(name)s', must be a person who has an account.") % {"name": name[:60]},
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
    messages.success(request, _("Done: %(what)s.") % {"what": f"{name}: {role or _('no role')}"})
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
