"""Table of who is signed in where."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from bakeoff.accounts.readable_times import times_are_readable

MAX_BROWSER = 200


class SignedInSession(models.Model):
    """What a person recognises a session of theirs by; whether it goes on is the session's own row."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="signed_in_sessions"
    )
    session_key = models.CharField(max_length=40, unique=True, help_text="Of Django's session.")
    password_digest = models.CharField(
        max_length=64, help_text="Hash of the stored password then: a new one ends the session."
    )
    address = models.GenericIPAddressField(null=True)
    browser = models.CharField(max_length=MAX_BROWSER, blank=True, help_text="As its header names it.")
    signed_in_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-signed_in_at", "-id"]
        constraints = [times_are_readable("signed_in_times_are_readable", "signed_in_at")]

    def __str__(self) -> str:
        return f"session of {self.user}"
