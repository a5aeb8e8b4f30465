"""A person says what a piece of feedback is worth."""

from __future__ import annotations

from django.db import connection, transaction
from django.utils import timezone

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.refused import RefusedError
from experiments.models import Feedback, Review


class CannotReviewError(RefusedError):
    """The state needs a reason, or there is no such state."""


def review_feedback(*, feedback: Feedback, state: str, reason: str, by: str) -> Feedback:
    """Move feedback to a state; what is hidden or spam counts nowhere any more.

    Raises:
        CannotReviewError: an unknown state, or one that hides without saying why.
    """
    if state not in Feedback.State.values:
        raise CannotReviewError(
            f"state == '{state}', must be one of {Feedback.State.values}.", field="state"
        )
    reason = reason.strip()[:200]
    if state in {Feedback.State.HIDDEN, Feedback.State.SPAM} and not reason:
        raise CannotReviewError(f"reason == '', must say why it is {state}.", field="reason")
    with transaction.atomic():
        # Two reviewers follow each other: `from` in the trail is what the one before left.
        feedback = Feedback.objects.select_for_update().get(pk=feedback.pk)
        before = feedback.state
        feedback.state, feedback.state_reason = state, reason
        feedback.reviewed_by, feedback.reviewed_at = by, timezone.now()
        feedback.save(update_fields=["state", "state_reason", "reviewed_by", "reviewed_at"])
        with connection.cursor() as cursor:  # the roll-up sees it as new and counts its unit again
            cursor.execute(
                "UPDATE experiments_feedback SET xid = pg_current_xact_id() WHERE id = %s",
                [feedback.pk],
            )
        # One review per reviewer: agreement compares people, not changes of mind.
        Review.objects.update_or_create(
            feedback=feedback, reviewer=by, defaults={"state": state, "reason": reason}
        )
        record_audit(
            feedback.project_id,
            actor=by,
            action="review",
            subject=f"feedback {feedback.feedback_id}",
            detail={"from": before, "to": state, "reason": reason},
        )
    return feedback
