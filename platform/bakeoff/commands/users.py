"""`bakeoff users`: add and invite people, reset their passwords, link them to a provider, list them."""

from __future__ import annotations

from typing import TextIO

import click

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.lists import json_option, show_rows
from bakeoff.commands.project import find_project, project_option, set_up_django
from bakeoff.commands.terminal import echo

ROLES = ("viewer", "analyst", "operator", "admin")
password_option = click.option(
    "--password-file", type=click.File(), help="File of the password; - for standard input."
)


@click.group()
def users() -> None:
    """Add and invite people, reset their passwords, and list them."""


@users.command()
@click.argument("username")
@click.option("--email", default="", help="Address for alerts.")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True)
@click.option("--superuser", is_flag=True, help="The person may do everything in every project.")
@password_option
@project_option
def add(
    username: str,
    email: str,
    role: str,
    *,
    superuser: bool,
    password_file: TextIO | None,
    slug: str | None,
) -> None:
    """Add USERNAME with a role in a project; a random password is shown once."""
    project = find_project(slug)
    from bakeoff.accounts.add_user import UserRuleError, add_user

    try:
        password = add_user(
            username=username, project=project, role=role, by=OPERATOR, email=email,
            password=_read(password_file), is_superuser=superuser,
        )  # fmt: skip
    except UserRuleError as error:
        raise click.UsageError(str(error)) from error
    echo(f"{username} was added as {role} of project {project}.")
    if password_file is None:
        echo(f"  password  {password}")


@users.command(name="reset-password")
@click.argument("username")
@password_option
@project_option
def reset(username: str, *, password_file: TextIO | None, slug: str | None) -> None:
    """Give USERNAME a new password; a random one is shown once. Open sessions end."""
    project = find_project(slug)
    from bakeoff.accounts.add_user import UserRuleError, reset_password

    try:
        password = reset_password(
            username=username, project=project, by=OPERATOR, password=_read(password_file)
        )
    except UserRuleError as error:
        raise click.UsageError(str(error)) from error
    echo(f"The password of {username} was reset.")
    if password_file is None:
        echo(f"  password  {password}")


@users.command(name="reset-link")
@click.argument("username")
@project_option
def reset_link(username: str, slug: str | None) -> None:
    """Print a link by which USERNAME sets a new password, once and within 24 hours."""
    project = find_project(slug)
    from django.urls import reverse

    from bakeoff.accounts.reset_by_link import HOURS, ResetError, make_reset_link

    try:
        token = make_reset_link(username=username, project=project, maker=None)
    except ResetError as error:
        raise click.UsageError(str(error)) from error
    _show_link(reverse("reset-password", args=[token]), f"Good for one use within {HOURS} hours.")


@users.command(name="invite")
@click.argument("email", default="")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True)
@project_option
def invite_person(email: str, role: str, slug: str | None) -> None:
    """Print a link by which one person joins a project; it is sent to EMAIL where e-mail is set up."""
    project = find_project(slug)
    from django.urls import reverse

    from bakeoff.accounts.invite import DAYS, InvitationError, invite
    from bakeoff.delivery.invitation_mail import mail_invitation

    try:
        invitation, token = invite(project=project, role=role, email=email.strip(), by=OPERATOR)
    except InvitationError as error:
        raise click.UsageError(str(error)) from error
    sentence = f"Invitation {invitation.pk}, {role} of {project}: for one person within {DAYS} days."
    _show_link(path := reverse("invited", args=[token]), sentence)
    if invitation.email:
        why = mail_invitation(invitation, path=path, by=OPERATOR)
        echo(f"No e-mail was sent: {why}" if why else f"It was sent to {invitation.email}.")


@users.command(name="invitations")
@json_option
@project_option
def list_invitations(*, as_json: bool, slug: str | None) -> None:
    """List the invitations of a project that somebody may still accept."""
    project = find_project(slug)
    rows = [
        {
            "id": one.pk,
            "email": one.email,
            "role": one.role,
            "created_by": one.created_by,
            "expires_at": one.expires_at,
            "mailed_at": one.mailed_at,
        }
        for one in project.invitations.usable().order_by("pk")
    ]
    show_rows(rows, as_json=as_json, empty="None: `bakeoff users invite` makes one.")


@users.command(name="revoke-invitation")
@click.argument("invitation_id", type=int)
@project_option
def revoke_invitation_by_id(invitation_id: int, slug: str | None) -> None:
    """Make the link of an open invitation useless, by its id of `invitations`."""
    project = find_project(slug)
    from bakeoff.accounts.invite import revoke_invitation

    invitation = project.invitations.usable().filter(pk=invitation_id).first()
    if invitation is None:
        raise click.UsageError(f"invitation == {invitation_id}, not found among the open ones.")
    revoke_invitation(invitation=invitation, by=OPERATOR)
    echo(f"Invitation {invitation_id} is revoked.")


@users.command(name="remove-second-factor")
@click.argument("username")
@project_option
def remove_factor(username: str, slug: str | None) -> None:
    """Take away the second factor that USERNAME lost: the password alone signs in."""
    project = find_project(slug)
    from bakeoff.accounts.refused import RefusedError
    from bakeoff.accounts.second_factor import remove_second_factor

    try:
        remove_second_factor(username=username, project=project, maker=None)
    except RefusedError as error:
        raise click.UsageError(str(error)) from error
    echo(f"The second factor of {username} was removed.")


@users.command()
@click.argument("username")
@click.argument("subject")
@project_option
def link(username: str, subject: str, slug: str | None) -> None:
    """Let SUBJECT, the identity provider's id of a person, sign in as USERNAME."""
    project = find_project(slug)
    from django.conf import settings

    from bakeoff.accounts.refused import RefusedError
    from bakeoff.accounts.single_sign_on import link_identity

    if settings.OIDC is None:
        raise click.UsageError("BAKEOFF_OIDC_ISSUER names no identity provider.")
    issuer = settings.OIDC.issuer
    try:
        link_identity(username=username, issuer=issuer, subject=subject, project=project, by=OPERATOR)
    except RefusedError as error:
        raise click.UsageError(str(error)) from error
    echo(f"{subject} of {issuer} signs in as {username}.")


@users.command(name="list")
@json_option
def list_users(*, as_json: bool) -> None:
    """List everybody who may sign in, with their roles."""
    set_up_django()
    from django.contrib.auth.models import User

    rows = [
        {
            "username": person.username,
            "email": person.email,
            "superuser": person.is_superuser,
            "active": person.is_active,
            "roles": sorted(f"{one.project.slug}: {one.role}" for one in person.membership_set.all()),
            "last_sign_in": person.last_login,
        }
        for person in User.objects.prefetch_related("membership_set__project").order_by("username")
    ]
    show_rows(rows, as_json=as_json, empty="Nobody yet: `bakeoff users add` adds somebody.")


def _show_link(path: str, sentence: str) -> None:
    """Print a link below the public address, and what it is good for."""
    from django.conf import settings

    host = settings.PUBLIC.origin if settings.PUBLIC is not None else ""
    echo(f"{host}{path}")
    where = "" if host else "It goes behind the platform's address: BAKEOFF_PUBLIC_URL is not set. "
    echo(f"{where}{sentence}")


def _read(file: TextIO | None) -> str:
    """Return a password; an empty file is no wish for a random one.

    Raises:
        click.UsageError: the file is empty.
    """
    if file is None:
        return ""
    if not (text := file.read().strip()):
        raise click.UsageError("--password-file is empty, must hold the password.")
    return text
