"""Tenants and access."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self
from zoneinfo import available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from bakeoff.accounts.keys import (
    PUBLIC,
    PUBLIC_SCOPES,
    SECRET,
    digest_of,
    make_key,
    prefix_of,
    scopes_of,
)
from bakeoff.accounts.readable_times import times_are_readable
from bakeoff.accounts.saved_view_models import SavedView
from bakeoff.accounts.session_models import SignedInSession
from bakeoff.accounts.usage_models import MonthlyUsage, Quota, UsageEntry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

# Their tables are of this app, too.
__all__ = ["MonthlyUsage", "Quota", "SavedView", "SignedInSession", "UsageEntry"]


def require_timezone(name: str) -> None:
    """Refuse a name that is not in the time zone database.

    Raises:
        ValidationError: it is not.
    """
    if name not in available_timezones():
        raise ValidationError(f"timezone == '{name}', must be a name such as Europe/Berlin.")


def _is_list_of_origins(column: str) -> models.Func:
    """Return whether JSON is a list of origins: scheme and host, as browsers send them."""
    return models.Func(
        F(column),
        template="""(jsonb_typeof(%(expressions)s) = 'array' AND NOT jsonb_path_exists(%(expressions)s,
            '$[*] ? (@.type() != "string" || !(@ like_regex "^https?://[^/?#@[:space:]]+$"))'))""",
        output_field=models.BooleanField(),
    )


class Project(models.Model):
    """The tenant: owns keys, items, surfaces, experiments and events."""

    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    timezone = models.CharField(
        max_length=64, default="UTC", validators=[require_timezone], help_text="Of days and weeks."
    )
    retention_days = models.PositiveIntegerField(
        default=396, help_text="Slates, events and feedback are kept this long; 13 months unless said."
    )
    max_events_per_minute = models.PositiveIntegerField(
        default=300,
        help_text="A unit with more events per minute is left out of analysis. Only events that a "
        "secret key sent count: with a public key anybody could have anybody left out.",
    )
    is_sample = models.BooleanField(
        default=False,
        db_default=False,
        editable=False,
        help_text="Whether it is the sample shop, whose visitors are simulated; it may be removed.",
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [times_are_readable("project_times_are_readable", "created_at")]

    def __str__(self) -> str:
        return self.slug


class Membership(models.Model):
    """A person's role in a project."""

    class Role(models.TextChoices):
        """Each may what those before it may."""

        VIEWER = "viewer", "viewer: reads everything"
        ANALYST = (
            "analyst",
            "analyst: defines metrics and experiments, shares reports, reviews feedback",
        )
        OPERATOR = "operator", "operator: starts, stops and ships; trains, promotes and rolls back"
        ADMIN = "admin", "admin: keys, members, and what is kept"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)
    from_groups = models.BooleanField(
        default=False,
        db_default=False,
        editable=False,
        help_text="Whether the identity provider's groups gave it; it goes with them.",
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "project"], name="one_role_per_member")]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.project}"


# Each role reaches as far as those of a lower rank.
RANKS = {str(role): rank for rank, role in enumerate(Membership.Role.values)}


class ExternalIdentity(models.Model):
    """Who a person is to an identity provider; never changed."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="external_identities"
    )
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255, help_text="The provider's id of the person.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="one_account_per_subject"),
            times_are_readable("identity_times_are_readable", "created_at"),
        ]
        verbose_name_plural = "external identities"

    def __str__(self) -> str:
        return f"{self.user} is {self.subject} at {self.issuer}"


class InvitationQuerySet(models.QuerySet["Invitation"]):
    """Sets of invitations."""

    def usable(self) -> Self:
        """Those that somebody may still accept."""
        return self.filter(accepted_at=None, revoked_at=None, expires_at__gt=Now())


class Invitation(models.Model):
    """A role in a project for the one who has the link, once; its token is never stored."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=16, choices=Membership.Role.choices)
    email = models.EmailField(blank=True, help_text="Whom it is for; the account gets it.")
    digest = models.CharField(max_length=64, unique=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.CharField(max_length=150, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    mailed_at = models.DateTimeField(
        null=True, blank=True, help_text="When the SMTP server took an e-mail with its present link."
    )

    objects = InvitationQuerySet.as_manager()

    class Meta:
        constraints = [
            times_are_readable(
                "invitation_times_are_readable",
                "created_at", "expires_at", "accepted_at", "revoked_at",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.email or 'anybody'}: {self.role}"


class PasswordResetQuerySet(models.QuerySet["PasswordReset"]):
    """Sets of links for a new password."""

    def usable(self) -> Self:
        """Those that nobody used and that are not too old."""
        return self.filter(used_at=None, expires_at__gt=Now())


class PasswordReset(models.Model):
    """A link by which one person sets a new password, once; its token is never stored."""

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="password_resets"
    )
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="+", help_text="Whose trail records it."
    )
    maker = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        related_name="+",
        help_text="Who must still be allowed to when it is used; empty: a command, or an e-mail.",
    )
    created_by = models.CharField(max_length=150)
    digest = models.CharField(max_length=64, unique=True)
    password_digest = models.CharField(
        max_length=64, help_text="Of the stored password then: another one ends the link."
    )
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    objects = PasswordResetQuerySet.as_manager()

    class Meta:
        constraints = [
            times_are_readable("reset_times_are_readable", "created_at", "expires_at", "used_at"),
        ]

    def __str__(self) -> str:
        return f"new password of {self.person}"


class SecondFactor(models.Model):
    """The secret of a person's app of codes; in force from its first code on."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="second_factor"
    )
    secret = models.CharField(max_length=64)
    confirmed_at = models.DateTimeField(null=True)
    last_counter = models.BigIntegerField(
        default=-1, help_text="The step of time of the last code: none of it or before is taken again."
    )
    failures = models.PositiveSmallIntegerField(default=0)
    failing_since = models.DateTimeField(null=True)

    class Meta:
        constraints = [times_are_readable("factor_times_are_readable", "confirmed_at", "failing_since")]

    def __str__(self) -> str:
        return f"second factor of {self.user}"


class RecoveryCode(models.Model):
    """A code in place of the app's, good once; never stored itself."""

    factor = models.ForeignKey(SecondFactor, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [times_are_readable("recovery_times_are_readable", "used_at")]

    def __str__(self) -> str:
        return f"recovery code of {self.factor.user}"


class Passkey(models.Model):
    """A key pair of a person, of which only the public half is here (WebAuthn)."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="passkeys"
    )
    name = models.CharField(max_length=60, help_text="The person's own, such as the device.")
    credential_id = models.CharField(max_length=1400, unique=True, help_text="As base64url.")
    credential = models.BinaryField(help_text="Attested credential data: id and public key, CBOR.")
    user_handle = models.CharField(
        max_length=64, help_text="Whom the key names itself for: random, one for each person."
    )
    sign_count = models.BigIntegerField(
        default=0, help_text="The key's own count of its answers; 0 for one that does not count."
    )
    last_challenge = models.CharField(
        max_length=64, blank=True, help_text="Digest of the last one it answered: none counts twice."
    )
    created_at = models.DateTimeField(db_default=Now())
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [times_are_readable("passkey_times_are_readable", "created_at", "last_used_at")]

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Sets of keys."""

    def usable(self) -> Self:
        """Keys that were not revoked and have not expired."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), revoked_at__isnull=True)


class ApiKey(models.Model):
    """A key of a project; its text is shown once and never stored."""

    class Kind(models.TextChoices):
        PUBLIC_KEY = PUBLIC, "public"
        SECRET_KEY = SECRET, "secret"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    owner = models.CharField(
        max_length=150,
        blank=True,
        help_text="Whose word its approvals are: who made it, or who made the key that made it.",
    )
    kind = models.CharField(max_length=2, choices=Kind.choices)
    prefix = models.CharField(max_length=12)
    digest = models.CharField(max_length=64, unique=True)
    scopes: models.JSONField[list[str]] = models.JSONField(
        default=list,
        blank=True,
        help_text="What it may do: serve, ingest, read, manage, export, admin.",
    )
    allowed_origins: models.JSONField[list[str]] = models.JSONField(
        default=list, blank=True, help_text="Origins of pages that may use it; empty: every page."
    )
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="From then on it is refused; empty: never."
    )
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(kind=PUBLIC) | Q(scopes__contained_by=list(PUBLIC_SCOPES)),
                name="a_public_key_serves_and_ingests",
            ),
            models.CheckConstraint(
                condition=_is_list_of_origins("allowed_origins"), name="allowed_origins_are_origins"
            ),
            times_are_readable(
                "key_times_are_readable", "created_at", "expires_at", "revoked_at", "last_used_at"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @classmethod
    def make(
        cls,
        project: Project,
        kind: str,
        *,
        name: str,
        scopes: Sequence[str] | None = None,
        origins: Sequence[str] = (),
        owner: str = "",
        expires_at: datetime | None = None,
    ) -> tuple[ApiKey, str]:
        """Create a key; return it with its text, which is known only now.

        Without scopes it may do all that its kind may.
        """
        text = make_key(kind, settings.BAKEOFF.key_group)
        key = cls.objects.create(
            project=project,
            name=name,
            owner=owner,
            kind=kind,
            prefix=prefix_of(text),
            digest=digest_of(text),
            scopes=scopes_of(kind) if scopes is None else list(scopes),
            allowed_origins=list(origins),
            expires_at=expires_at,
        )
        return key, text

    @property
    def is_expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= timezone.now()

    def revoke(self, at: datetime | None = None) -> None:
        """Make the key useless from now on."""
        self.revoked_at = at or timezone.now()
        self.save(update_fields=["revoked_at"])


class AuditEntry(models.Model):
    """One act of a person or of the platform; never changed."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="audit_entries")
    at = models.DateTimeField(db_default=Now())
    actor = models.CharField(max_length=150)
    action = models.CharField(max_length=64)
    subject = models.CharField(max_length=200)
    detail: models.JSONField[dict[str, Any]] = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["-at", "-id"]
        verbose_name_plural = "audit entries"
        indexes = [
            # A surface's history of settings, on each view of its page.
            models.Index(fields=["project", "subject", "-at", "-id"], name="audit_by_subject")
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.subject}"
