"""What people do with reports: share them, and review what units said."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from bakeoff.accounts.readable_times import times_are_readable

if TYPE_CHECKING:
    from datetime import datetime

    from experiments.models.experiment import Experiment


def digest_of_token(token: str) -> str:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


class ReportShareQuerySet(models.QuerySet["ReportShare"]):
    """Sets of shared reports."""

    def open_now(self) -> Self:
        """Those that can still be read."""
        return self.filter(revoked_at__isnull=True, expires_at__gt=timezone.now())


class ReportShare(models.Model):
    """A frozen copy of a report behind a link; the link's text is shown once and never stored."""

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.CASCADE, related_name="shares"
    )
    digest = models.CharField(max_length=64, unique=True)
    page = models.TextField(help_text="The report's HTML as it was: no unit appears in it.")
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = ReportShareQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            times_are_readable("share_times_are_readable", "created_at", "expires_at", "revoked_at")
        ]

    def __str__(self) -> str:
        return f"{self.experiment} until {self.expires_at:%Y-%m-%d}"

    @property
    def is_open(self) -> bool:
        """Whether it can still be read."""
        return self.revoked_at is None and self.expires_at > timezone.now()

    @classmethod
    def make(
        cls, experiment: Experiment, *, page: str, by: str, until: datetime
    ) -> tuple[ReportShare, str]:
        """Store a copy; return it with its token, which is not stored."""
        token = secrets.token_urlsafe(24)
        share = cls.objects.create(
            experiment=experiment,
            digest=digest_of_token(token),
            page=page,
            created_by=by,
            expires_at=until,
        )
        return share, token


class Review(models.Model):
    """One reviewer's judgement of one piece of feedback."""

    feedback = models.ForeignKey(
        "experiments.Feedback", on_delete=models.CASCADE, related_name="reviews"
    )
    reviewer = models.CharField(max_length=150)
    state = models.CharField(max_length=16)
    reason = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["feedback", "reviewer"], name="a_reviewer_judges_once_the_last_word"
            )
        ]

    def __str__(self) -> str:
        return f"{self.reviewer}: {self.state}"
