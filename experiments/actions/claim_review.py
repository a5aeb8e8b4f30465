"""Claim feedback for one reviewer at a time.

A claim is an entry of the cache that expires, so a reviewer who leaves the page holds nothing up. It
spares two people the same work; a review is safe without it, because `review_feedback` locks the row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from experiments.actions.review_feedback import review_feedback
from experiments.models import Feedback
from inference.cache import cache_client

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from bakeoff.accounts.models import Project

CLAIM_SECONDS = 300  # a reviewer reads one text in less
MAX_TRIED = 50  # more people than this do not review one project at a time


class ClaimedByAnotherError(Exception):
    """Another reviewer has the feedback in front of them now."""


def feedback_to_review(project: Project) -> QuerySet[Feedback]:
    """Return what waits for a review, flagged feedback first."""
    return Feedback.objects.filter(project=project).to_review().order_by("-flags", "id")


def claim_next_review(*, project: Project, reviewer: str) -> Feedback | None:
    """Claim the first feedback that waits and that nobody else has claimed; None if there is none.

    Feedback that this reviewer has already reviewed is left to others.
    """
    waiting = feedback_to_review(project).exclude(reviews__reviewer=reviewer)
    return next((one for one in waiting[:MAX_TRIED] if _claim(one, reviewer)), None)


def review_claimed(*, feedback: Feedback, state: str, reason: str, by: str) -> Feedback:
    """Review feedback and release the claim.

    Raises:
        ClaimedByAnotherError: another reviewer has claimed it.
        CannotReviewError: as of `review_feedback`; the claim stays.
    """
    if _claimant(feedback) not in {None, by}:
        raise ClaimedByAnotherError(f"feedback '{feedback.feedback_id}' is reviewed by somebody else")
    reviewed = review_feedback(feedback=feedback, state=state, reason=reason, by=by)
    cache_client().delete(_claim_key(feedback))
    return reviewed


def _claim_key(feedback: Feedback) -> str:
    return f"review:{feedback.pk}"


def _claim(feedback: Feedback, reviewer: str) -> bool:
    # NX: of two who claim at once one succeeds. A reviewer who reloads the page keeps the claim.
    claimed = cache_client().set(_claim_key(feedback), reviewer.encode(), nx=True, ex=CLAIM_SECONDS)
    return bool(claimed) or _claimant(feedback) == reviewer


def _claimant(feedback: Feedback) -> str | None:
    value = cast("bytes | None", cache_client().get(_claim_key(feedback)))
    return value.decode() if value is not None else None
