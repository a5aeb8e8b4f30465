"""Invite people by a link: who has it gets one role in one project, once and for some days."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, validate_email
from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.add_user import add_user
from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.keys import digest_of
from bakeoff.accounts.link_tokens import make_token
from bakeoff.accounts.models import RANKS, Invitation, Membership, Project
from bakeoff.accounts.refused import RefusedError

DAYS = 7
MAX_EMAIL = 254  # as Django's column is wide
NOT_USABLE = "invitation, must be one that is not used, revoked or expired."


class InvitationError(RefusedError):
    """An invitation breaks a rule, or is good no longer; `field` names where."""


def invite(*, project: Project, role: str, by: str, email: str = "") -> tuple[Invitation, str]:
    """Make an invitation; return it with the token of its link, which is known only now.

    Args:
        project: where.
        role: one of `Membership.Role`.
        by: who invites.
        email: whom it is for; may be empty. The account gets it.

    Raises:
        InvitationError: role or address break a rule.
    """
    if role not in RANKS:
        raise InvitationError(f"role == '{role}', must be one of {list(RANKS)}.", field="role")
    try:
        if email:
            MaxLengthValidator(MAX_EMAIL)(email)
            validate_email(email)
    except ValidationError as error:
        raise InvitationError(
            f"email == '{email[:80]}', must be an e-mail address.", field="email"
        ) from error
    token, digest = make_token()
    with transaction.atomic():
        invitation = Invitation.objects.create(
            project=project,
            role=role,
            email=email,
            digest=digest,
            created_by=by,
            expires_at=timezone.now() + timedelta(days=DAYS),
        )
        detail = {"days": DAYS}
        record_audit(project.pk, actor=by, action="invite", subject=str(invitation), detail=detail)
    return invitation, token


def renew_invitation(*, invitation: Invitation, by: str) -> tuple[Invitation, str]:
    """Give an invitation a new link, good for as long as a first one; return it with the link's token.

    The previous link stops working: its token is stored nowhere, so it cannot be shown again.

    Raises:
        InvitationError: it is good no longer.
    """
    token, digest = make_token()
    with transaction.atomic():
        rows = Invitation.objects.usable().select_for_update(no_key=True)
        locked = rows.filter(pk=invitation.pk).first()
        if locked is None:
            raise InvitationError(NOT_USABLE)
        # Who hands it out answers for it: it ends when that person is no administrator any more.
        locked.digest, locked.created_by, locked.mailed_at = digest, by, None
        locked.expires_at = timezone.now() + timedelta(days=DAYS)
        locked.save(update_fields=["digest", "created_by", "mailed_at", "expires_at"])
        detail = {"days": DAYS}
        record_audit(
            locked.project_id,
            actor=by,
            action="renew invitation",
            subject=str(locked),
            detail=detail,
        )
    return locked, token


def note_mailed(*, invitation: Invitation, by: str) -> None:
    """Note that the SMTP server took an e-mail with the link, unless a later one has replaced it."""
    with transaction.atomic():
        same_link = Invitation.objects.filter(pk=invitation.pk, digest=invitation.digest)
        if same_link.update(mailed_at=timezone.now()):
            record_audit(
                invitation.project_id, actor=by, action="mail invitation", subject=str(invitation)
            )


def revoke_invitation(*, invitation: Invitation, by: str) -> None:
    """Make an invitation useless; once is enough."""
    with transaction.atomic():
        # Somebody may accept it at this moment: one of both waits for the other.
        locked = Invitation.objects.select_for_update(no_key=True).get(pk=invitation.pk)
        if locked.revoked_at is None and locked.accepted_at is None:
            locked.revoked_at = timezone.now()
            locked.save(update_fields=["revoked_at"])
            record_audit(locked.project_id, actor=by, action="revoke invitation", subject=str(locked))


def revoke_invitations_by(*, project: Project, person: User, by: str) -> None:
    """Make the open invitations of a person useless, who is no administrator any more.

    Args:
        project: where; the caller's transaction has locked it.
        person: whose invitations.
        by: who took the role.
    """
    for invitation in project.invitations.usable().filter(created_by=person.get_username()):
        revoke_invitation(invitation=invitation, by=by)


def find_invitation(token: str) -> Invitation | None:
    """Return the invitation of a link, as long as it is good."""
    rows = Invitation.objects.usable().select_related("project")
    return rows.filter(digest=digest_of(token)).first()


def accept_as_new(*, token: str, username: str, password: str) -> str:
    """Make an account by an invitation, with the role that it gives; return its name as it is stored.

    Raises:
        InvitationError: the invitation is good no longer.
        UserRuleError: the name is taken, reserved or no name, or the password is too weak; the
            invitation is still good.
    """
    username = User.normalize_username(username)
    with transaction.atomic():
        invitation = _take(token)
        add_user(
            username=username,
            project=invitation.project,
            role=invitation.role,
            by=f"invitation by {invitation.created_by}"[:150],
            email=invitation.email,
            password=password,
        )
        _use_up(invitation, username)
    return username


def accept_as(*, token: str, person: User) -> Invitation:
    """Give a person who has an account the role of an invitation; a higher one stays.

    Raises:
        InvitationError: the invitation is good no longer.
    """
    with transaction.atomic():
        invitation = _take(token)
        held = Membership.objects.filter(user=person, project=invitation.project).first()
        if held is None or _is_more(invitation.role, held):
            Membership.objects.update_or_create(
                user=person,
                project=invitation.project,
                defaults={"role": invitation.role, "from_groups": False},
            )
        record_audit(
            invitation.project_id,
            actor=person.get_username(),
            action="accept invitation",
            subject=f"{person}: {invitation.role}",
        )
        _use_up(invitation, person.get_username())
    return invitation


def _is_more(role: str, held: Membership) -> bool:
    """Whether a role is worth more than the held one: the same is, if groups could take that."""
    return RANKS[role] > RANKS[held.role] or (role == held.role and held.from_groups)


def _take(token: str) -> Invitation:
    """Lock a good invitation: of two who accept at once, one gets in.

    Its project comes first, as for every change of roles: they wait for each other in one order.
    """
    if (known := find_invitation(token)) is not None:
        Project.objects.select_for_update(no_key=True).get(pk=known.project_id)
    rows = Invitation.objects.usable().select_for_update(no_key=True, of=("self",))
    invitation = rows.select_related("project").filter(digest=digest_of(token)).first()
    if invitation is None:
        raise InvitationError(NOT_USABLE)
    return invitation


def _use_up(invitation: Invitation, username: str) -> None:
    invitation.accepted_at, invitation.accepted_by = timezone.now(), username
    invitation.save(update_fields=["accepted_at", "accepted_by"])
