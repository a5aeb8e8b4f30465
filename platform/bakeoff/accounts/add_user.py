"""Add a person who may sign in, with a role in a project."""

from __future__ import annotations

import secrets

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from bakeoff.accounts.actors import is_reserved
from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.models import Membership, Project
from bakeoff.accounts.refused import RefusedError

PASSWORD_BYTES = 12  # 96 random bits: nobody guesses them, and a person can type them


class UserRuleError(RefusedError):
    """A name, an address or a password breaks its rule; the message says which, never a password.

    Attributes:
        field: which of them.
        why: the message for a form, which shows the field itself.
    """

    def __init__(self, message: str, *, field: str, why: str = "") -> None:
        """Name the rule, and the field that breaks it."""
        super().__init__(message, field=field)
        self.why = why or message


def add_user(
    *,
    username: str,
    project: Project,
    role: str,
    by: str,
    email: str = "",
    password: str = "",
    is_superuser: bool = False,
) -> str:
    """Add a person; return the password, which is known only now.

    Args:
        username: to sign in with; stored in Unicode's form NFKC, as sign-in reads it.
        project: where the person has a role; its audit trail records the person.
        role: one of `Membership.Role`.
        by: who adds.
        email: for alerts and resets; may be empty.
        password: of the person's choice; empty: a random one.
        is_superuser: whether the person may do everything in every project.

    Raises:
        UserRuleError: the name is taken, reserved or no name, or the password is too weak.
    """
    username = User.normalize_username(username)
    if is_reserved(username):
        raise UserRuleError(
            f"username == '{username}', must be no name of the platform.", field="username"
        )
    person = User(username=username, email=email, is_superuser=is_superuser, is_staff=is_superuser)
    text = password or secrets.token_urlsafe(PASSWORD_BYTES)
    _check(person, text)
    person.set_password(text)
    try:
        with transaction.atomic():
            person.save()
            Membership.objects.create(user=person, project=project, role=role)
            record_audit(project.pk, actor=by, action="add user", subject=f"{username}: {role}")
    except IntegrityError as error:
        raise UserRuleError(f"username == '{username}', is taken.", field="username") from error
    return text


def reset_password(*, username: str, project: Project, by: str, password: str = "") -> str:
    """Give a person a new password, and end the sessions of the old one; return it.

    Args:
        username: whose.
        project: whose audit trail records it: a person has none.
        by: who resets it.
        password: the new one; empty: a random one.

    Raises:
        UserRuleError: there is no such person, or the password is too weak.
    """
    text = password or secrets.token_urlsafe(PASSWORD_BYTES)
    with transaction.atomic():
        username = User.normalize_username(username)
        person = User.objects.select_for_update().filter(username=username).first()
        if person is None:
            raise UserRuleError(f"username == '{username}', nobody has this name.", field="username")
        set_password(person, text)
        record_audit(project.pk, actor=by, action="reset password", subject=username)
    return text


def set_password(person: User, password: str) -> None:
    """Set a person's password, in the caller's transaction, which has locked the row.

    Sessions hold a hash of the password: they end with it.

    Raises:
        UserRuleError: it is too weak.
    """
    _check(person, password)
    person.set_password(password)
    person.save(update_fields=["password"])


def _check(person: User, password: str) -> None:
    try:
        person.clean_fields(exclude=["password", "last_login"])
        validate_password(password, person)
    except ValidationError as error:
        raise _rule_error(error) from error


def _rule_error(error: ValidationError) -> UserRuleError:
    """Return Django's sentences, each with its field."""
    broken = error.message_dict if hasattr(error, "error_dict") else {"password": error.messages}
    sentences = {field: " ".join(messages) for field, messages in broken.items()}
    field, why = next(iter(sentences.items()))
    message = " ".join(f"{name}: {sentence}" for name, sentence in sentences.items())
    return UserRuleError(message, field=field, why=why)
