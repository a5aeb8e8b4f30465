"""Let a person in whom the identity provider knows, with the roles of their groups.

An account belongs to issuer and subject, which a provider never gives twice; names and addresses are
others' tomorrow. So a name that is taken here is never taken over: an administrator links it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from bakeoff.accounts.actors import SINGLE_SIGN_ON, is_reserved
from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.invite import revoke_invitations_by
from bakeoff.accounts.models import ExternalIdentity, Membership, Project
from bakeoff.accounts.refused import RefusedError
from bakeoff.accounts.set_role import ADMIN, is_last_admin
from bakeoff.oidc_settings import EVERY_PROJECT, ROLE_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.oidc_settings import GroupRole

MAX_NAME = 150  # as Django's column is wide


class SignInRefusedError(RefusedError):
    """A person whom the provider knows may not sign in here; the message says why."""


@dataclass(frozen=True, slots=True)
class ExternalPerson:
    """A person as the provider vouches for them.

    Attributes:
        issuer: the provider.
        subject: its id of the person.
        username: a name that the person would like.
        email: may be empty.
    """

    issuer: str
    subject: str
    username: str
    email: str = ""


def sign_in_external(person: ExternalPerson, roles: Sequence[GroupRole]) -> User:
    """Return the account of a person, made on the first sign-in, and bring its roles up to date.

    Roles that came from groups follow the groups at each sign-in. A role that an administrator gave
    here stays as it is.

    Args:
        person: whom the provider vouches for.
        roles: what their groups may do.

    Raises:
        SignInRefusedError: no role and no account, a name that is taken or reserved, or an account that
            is turned off.
    """
    wanted = _by_project(roles)
    with transaction.atomic():
        user = _account_of(person, may_be_new=bool(wanted))
        if not user.is_active:
            raise SignInRefusedError(f"user == '{user}', is turned off.")
        if person.email and user.email != person.email:
            user.email = person.email
            user.save(update_fields=["email"])
        _follow_groups(user, wanted)
    return user


def link_identity(*, username: str, issuer: str, subject: str, project: Project, by: str) -> None:
    """Let a person of the provider use an account that is here already.

    Args:
        username: of the account.
        issuer: the provider.
        subject: its id of the person.
        project: whose audit trail records it: a person has none.
        by: who links it.

    Raises:
        RefusedError: nobody has this name, or the person has an account.
    """
    with transaction.atomic():
        user = User.objects.filter(username=username).first()
        if user is None:
            raise RefusedError(f"username == '{username}', nobody has this name.")
        linked, is_new = ExternalIdentity.objects.get_or_create(
            issuer=issuer, subject=subject, defaults={"user": user}
        )
        if linked.user_id != user.pk:
            raise RefusedError(f"subject == '{subject}', has the account '{linked.user}'.")
        if is_new:
            detail = {"issuer": issuer, "subject": subject}
            record_audit(project.pk, actor=by, action="link user", subject=username, detail=detail)


def _account_of(person: ExternalPerson, *, may_be_new: bool) -> User:
    known = ExternalIdentity.objects.filter(issuer=person.issuer, subject=person.subject)
    if (identity := known.select_related("user").first()) is not None:
        return identity.user
    name = _name_of(person)
    if is_reserved(name):
        raise SignInRefusedError(f"username == '{name}', must be no name of the platform.")
    if User.objects.filter(username=name).exists():
        raise SignInRefusedError(f"username == '{name}', is taken by an account that is not linked.")
    if not may_be_new:
        raise SignInRefusedError("roles == [], must have one by a group.")
    try:
        user = User.objects.create_user(name, email=person.email)  # without a password
        ExternalIdentity.objects.create(user=user, issuer=person.issuer, subject=person.subject)
    except IntegrityError as error:  # two first sign-ins at once
        raise SignInRefusedError(f"username == '{name}', has just been made: sign in again.") from error
    return user


def _name_of(person: ExternalPerson) -> str:
    """Return a name of the letters that names here may have."""
    wished = person.username or person.email or person.subject
    # Cut at the end: the form that is stored may have more letters.
    return re.sub(r"[^\w.@+-]", "-", User.normalize_username(wished))[:MAX_NAME]


def _by_project(roles: Sequence[GroupRole]) -> dict[Project, str]:
    """Return the highest role in each project that there is."""
    best: dict[Project, str] = {}
    for project in Project.objects.order_by("pk") if roles else ():
        here = [one.role for one in roles if one.project in {EVERY_PROJECT, project.slug}]
        if here:
            best[project] = max(here, key=ROLE_NAMES.index)
    return best


def _follow_groups(user: User, wanted: dict[Project, str]) -> None:
    """Bring the roles of groups up to date; the last administrator of a project stays."""
    places = {one.pk for one in wanted} | set(user.membership_set.values_list("project", flat=True))
    # As `set_role` does: roles are read when nobody else changes them.
    locked = Project.objects.select_for_update(no_key=True).order_by("pk")
    for project in locked.filter(pk__in=places):
        held = user.membership_set.filter(project=project).first()
        role = wanted.get(project, "")
        if (held.role if held is not None else "") == role or (held and not held.from_groups):
            continue
        if is_last_admin(project, user):
            detail = {"why": "the last administrator of the project"}
            _record(user, project, "admin", detail)
            continue
        if role:
            Membership.objects.update_or_create(
                user=user, project=project, defaults={"role": role, "from_groups": True}
            )
        elif held is not None:
            held.delete()
        _record(user, project, role or "none", {})
        if held is not None and held.role == ADMIN:
            revoke_invitations_by(project=project, person=user, by=SINGLE_SIGN_ON)


def _record(user: User, project: Project, role: str, detail: dict[str, str]) -> None:
    subject = f"{user}: {role}"
    record_audit(project.pk, actor=SINGLE_SIGN_ON, action="set role", subject=subject, detail=detail)
