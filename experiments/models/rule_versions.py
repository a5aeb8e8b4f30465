"""Versions of a surface's rules: each state that was saved, and what variants of experiments serve."""

from __future__ import annotations

import json
from typing import Any

from django.db import models
from django.db.models.functions import Now

from bakeoff.accounts.readable_times import times_are_readable


class RuleVersion(models.Model):
    """Rules as they were saved; never changed afterwards."""

    surface = models.ForeignKey(
        "inference.Surface", on_delete=models.CASCADE, related_name="rule_versions"
    )
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=100, blank=True, help_text="What people call it.")
    rules: models.JSONField[dict[str, Any]] = models.JSONField(default=dict, blank=True)
    created_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["surface", "number"], name="rule_version_is_unique"),
            times_are_readable("rule_version_times_are_readable", "created_at"),
        ]

    def __str__(self) -> str:
        return f"#{self.number} {self.name}".rstrip()

    @property
    def is_served(self) -> bool:
        """Whether the surface has these rules now."""
        return bool(self.surface.rules == self.rules)

    @property
    def rules_text(self) -> str:
        """The rules as pages show them."""
        return json.dumps(self.rules, ensure_ascii=False)
