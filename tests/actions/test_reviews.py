"""Reviews of feedback: one reviewer at a time, and how far reviewers agree."""

from __future__ import annotations

import pytest
from uuid_utils import uuid7

from bakeoff.accounts.models import AuditEntry
from experiments.actions.claim_review import ClaimedByAnotherError, claim_next_review, review_claimed
from experiments.actions.review_feedback import CannotReviewError, review_feedback
from experiments.models import Feedback
from experiments.reports.reviewers_agreement import reviewers_agreement
from tests.support import builders


@pytest.fixture
def texts(shop):
    """Two texts that wait for a review, the second of them flagged."""
    for flags in ([], ["burst"]):
        slate = builders.make_slate(shop, f"u-{uuid7()}")
        builders.write(
            builders.Rows(feedback=[builders.feedback(shop, slate, kind="text", text="good")])
        )
        newest = Feedback.objects.filter(project=shop.project).order_by("-pk").first()
        Feedback.objects.filter(pk=newest.pk).update(flags=flags)
    return list(Feedback.objects.filter(project=shop.project).order_by("pk"))


def test_two_reviewers_get_two_texts_and_flagged_ones_come_first(shop, texts):
    claimed = [claim_next_review(project=shop.project, reviewer=name) for name in ("ann", "ben", "cyd")]
    assert claimed == [texts[1], texts[0], None]
    assert (
        claim_next_review(project=shop.project, reviewer="ann") == texts[1]
    )  # a page that is reloaded


def test_what_another_has_claimed_cannot_be_reviewed(shop, texts):
    claimed = claim_next_review(project=shop.project, reviewer="ann")
    with pytest.raises(ClaimedByAnotherError):
        review_claimed(feedback=claimed, state="ok", reason="", by="ben")
    assert not AuditEntry.objects.filter(project=shop.project).exists()
    with pytest.raises(CannotReviewError):
        review_claimed(feedback=claimed, state="spam", reason="", by="ann")
    assert claim_next_review(project=shop.project, reviewer="ben") == texts[0]  # ann's claim stays
    review_claimed(feedback=claimed, state="ok", reason="", by="ann")
    assert review_claimed(feedback=claimed, state="ok", reason="", by="ben").reviewed_by == "ben"


def test_agreement_compares_the_first_two_reviews(shop, texts):
    assert reviewers_agreement(shop.project.pk).pairs == 0
    for text, states in zip(texts, (("ok", "ok", "ok"), ("spam", "ok", "spam")), strict=True):
        for reviewer, state in zip(("ann", "ben", "cyd"), states, strict=True):
            review_feedback(feedback=text, state=state, reason="why", by=reviewer)
    agreement = reviewers_agreement(shop.project.pk)
    assert (agreement.pairs, agreement.same, agreement.kappa) == (2, 0.5, 0.0)
