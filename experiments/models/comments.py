"""What members of a project say about an experiment, at the end of its report."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from bakeoff.accounts.readable_times import times_are_readable


class Comment(models.Model):
    """Plain text of a member, or of a program by its key."""

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.CASCADE, related_name="comments"
    )
    # A comment stays when its author's account goes, and says no longer whose it was.
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    key_name = models.CharField(
        max_length=150, blank=True, help_text="Of what a program wrote: its key, as `key sk_abc…`."
    )
    text = models.TextField()
    mentioned = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    edited_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=~Q(text=""), name="a_comment_says_something"),
            times_are_readable("comment_times_are_readable", "created_at", "edited_at"),
        ]

    def __str__(self) -> str:
        return f"comment {self.pk} on {self.experiment}"

    @property
    def author_name(self) -> str:
        """The author's username, or the key's name; empty of somebody whose account is gone."""
        return self.author.get_username() if self.author is not None else self.key_name
