"""Tables of saved views: filters of a list under a name."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from bakeoff.accounts.readable_times import times_are_readable


class SavedView(models.Model):
    """The filters of a list in the pages, under a name: one person's, or shown to the project."""

    project = models.ForeignKey(
        "accounts.Project", on_delete=models.CASCADE, related_name="saved_views"
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views"
    )
    list_name = models.CharField(max_length=32, help_text="The list's name, such as experiments.")
    key = models.CharField(
        max_length=64, blank=True, help_text="Of the surface whose list it is; empty: the project's."
    )
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=2000, help_text="The filters, as they stand in an address.")
    shared = models.BooleanField(default=False, help_text="Whether all members see it.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "list_name", "key", "owner", "name"], name="one_view_of_a_name"
            ),
            times_are_readable("saved_view_times_are_readable", "created_at"),
        ]

    def __str__(self) -> str:
        return f"{self.list_name}: {self.name}"
