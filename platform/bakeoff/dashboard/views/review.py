"""Feedback and its review."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from bakeoff.dashboard.access import ANALYST, may, project_for
from bakeoff.dashboard.refusals import show_refusal
from experiments.actions.claim_review import (
    ClaimedByAnotherError,
    claim_next_review,
    feedback_to_review,
    review_claimed,
)
from experiments.actions.review_feedback import CannotReviewError
from experiments.models import Feedback
from experiments.reports.reviewers_agreement import reviewers_agreement

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@require_http_methods(["GET", "POST"])
@login_required
def show_feedback(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what units say by kind and variant, and one text to review: its variant is hidden."""
    project = project_for(request, slug, ANALYST if request.method == "POST" else "viewer")
    person = str(request.user)
    if request.method == "POST":
        feedback = get_object_or_404(Feedback, pk=request.POST.get("feedback") or 0, project=project)
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
            show_refusal(request, error)
        return redirect("feedback", slug)
    counts = (
        Feedback.objects.counted()
        .filter(project=project)
        .values("kind", "variant__experiment__key", "variant__key")
        .annotate(count=Count("id"))
        .order_by("kind", "variant__experiment__key", "variant__key")[:100]
    )
    reviews = may(request.user, project, ANALYST)
    context = {
        "project": project,
        "counts": counts,
        "review": claim_next_review(project=project, reviewer=person) if reviews else None,
        "waiting": feedback_to_review(project).count(),
        "agreement": reviewers_agreement(project.pk),
        "reviews": reviews,
    }
    return render(request, "dashboard/feedback.html", context)
