"""What the platform would do and a person decides, and what people did to the queue of challengers."""

from __future__ import annotations

from typing import Any, Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from bakeoff.accounts.readable_times import times_are_readable


class ProposalQuerySet(models.QuerySet["Proposal"]):
    """Sets of proposals."""

    def open_now(self) -> Self:
        """Those that wait for a decision."""
        return self.filter(state=Proposal.State.OPEN)


class Proposal(models.Model):
    """A change of the champion, of what guards it, or of who meets a test, that waits for approval."""

    class Kind(models.TextChoices):
        SHIP = "ship"
        RESTORE = "restore"
        SETTINGS = "settings"
        EXPOSE = "expose"

    class State(models.TextChoices):
        OPEN = "open"
        APPROVED = "approved"
        DECLINED = "declined"
        WITHDRAWN = "withdrawn"

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="proposals")
    surface = models.ForeignKey("inference.Surface", on_delete=models.CASCADE, related_name="proposals")
    experiment = models.ForeignKey(
        "experiments.Experiment", null=True, on_delete=models.CASCADE, related_name="proposals"
    )
    kind = models.CharField(max_length=16, choices=Kind.choices)
    variant = models.CharField(max_length=64, blank=True, help_text="Ship: which variant.")
    version = models.ForeignKey(
        "inference.ModelVersion",
        null=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="Which becomes champion; none where a flag's variant is shipped.",
    )
    reason = models.TextField()
    evidence: models.JSONField[dict[str, Any]] = models.JSONField(default=dict, blank=True)
    required_approvals = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(max_length=16, choices=State.choices, default=State.OPEN)
    refusal = models.TextField(
        blank=True, help_text="Why it could not be carried out when it was approved last."
    )
    outcome = models.TextField(blank=True, help_text="Why it was declined or withdrawn.")
    created_at = models.DateTimeField(db_default=Now())
    decided_at = models.DateTimeField(null=True, blank=True)

    objects = ProposalQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "kind"],
                condition=Q(state="open"),
                name="one_open_proposal_of_a_kind",
            ),
            models.CheckConstraint(
                condition=Q(required_approvals__gte=1) & Q(required_approvals__lte=2),
                name="one_or_two_people_approve",
            ),
            times_are_readable("proposal_times_are_readable", "created_at", "decided_at"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} on {self.surface}"

    @property
    def target(self) -> str:
        """What is shipped or changed: a version, a variant, an experiment, the names of settings."""
        if self.kind == self.Kind.EXPOSE and self.experiment is not None:
            return self.experiment.key
        if self.version is not None:
            return self.version.label
        return self.variant or ", ".join(self.evidence.get("changed", ()))


class Approval(models.Model):
    """One person's approval of a proposal."""

    proposal = models.ForeignKey(Proposal, on_delete=models.CASCADE, related_name="approvals")
    by = models.CharField(max_length=150)
    note = models.TextField(blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["proposal", "by"], name="a_person_approves_once")
        ]

    def __str__(self) -> str:
        return f"{self.by} approves {self.proposal}"


class Challenger(models.Model):
    """What people did to a version's place in the queue of its surface."""

    version = models.OneToOneField(
        "inference.ModelVersion", on_delete=models.CASCADE, related_name="challenger"
    )
    priority = models.IntegerField(
        null=True, blank=True, help_text="Higher goes first; none: by its off-policy value and gate."
    )
    held = models.BooleanField(default=False)
    dropped = models.BooleanField(default=False)
    reason = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.version} in the queue"
