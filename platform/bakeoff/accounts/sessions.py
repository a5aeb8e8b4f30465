"""Sessions of people: list them, end one or all of them.

Guarantees: the next request of a session that is ended is nobody's. Ending all of an account's
sessions ends those, too, that are not listed: from before there was a list. A new password ends them
by itself, since each holds a hash of it; they leave the list at once.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from bakeoff.accounts.audit import record_audit, record_of_person
from bakeoff.accounts.keys import digest_of
from bakeoff.accounts.models import SignedInSession
from bakeoff.accounts.refused import RefusedError
from bakeoff.accounts.reset_by_link import find_person
from bakeoff.accounts.session_models import MAX_BROWSER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django.contrib.auth.models import User
    from django.contrib.sessions.backends.base import SessionBase
    from django.db.models import QuerySet

    from bakeoff.accounts.models import Project

READ_AT_ONCE = 500


class SessionError(RefusedError):
    """A session is not ended."""


def note_session(person: User, session: SessionBase, *, address: str, browser: str) -> None:
    """List a session, if it is not listed yet.

    Args:
        person: who is signed in by it.
        session: of Django; one that has no key gets one.
        address: whence it was begun; empty: not known.
        browser: what its header says; cut at 200 characters.
    """
    if session.session_key is None:
        session.create()
    SignedInSession.objects.get_or_create(
        session_key=session.session_key,
        defaults={
            "user": person,
            "password_digest": digest_of(person.password),
            "address": _address_of(address),
            # PostgreSQL takes no U+0000, and no header of a browser holds one.
            "browser": browser.replace("\0", "")[:MAX_BROWSER],
        },
    )


def forget_session(session_key: str | None) -> None:
    """Take a session off the list: its person signs out."""
    if session_key:
        SignedInSession.objects.filter(session_key=session_key).delete()


def open_sessions(person: User) -> QuerySet[SignedInSession]:
    """Return a person's listed sessions that go on, newest first."""
    going_on = Session.objects.filter(pk=OuterRef("session_key"), expire_date__gt=timezone.now())
    return person.signed_in_sessions.filter(
        Exists(going_on), password_digest=digest_of(person.password)
    )


def end_session(person: User, pk: int, *, current: str | None) -> None:
    """End one of a person's own sessions.

    Args:
        person: whose.
        pk: of the list's row.
        current: key of the session that asks.

    Raises:
        SessionError: it is none of theirs that goes on, or the one that asks.
    """
    listed = open_sessions(person).filter(pk=pk).first()
    if listed is None:
        raise SessionError(f"session == {pk}, must be an open one of your own.")
    if listed.session_key == current:
        raise SessionError(f"session == {pk}, must be another than this one: sign out instead.")
    with transaction.atomic():
        _delete([listed.session_key])
        detail = {"address": listed.address, "signed_in_at": listed.signed_in_at.isoformat()}
        record_of_person(person, action="end session", detail=detail)


def end_other_sessions(person: User, *, current: str | None) -> int:
    """End all of a person's sessions but the one that asks; return how many went on.

    Raises:
        SessionError: there is no other.
    """
    keys = [key for key in _keys_of(person) if key != current]
    if not keys:
        raise SessionError("sessions == 1, must be more: there is no other one.")
    with transaction.atomic():
        _delete(keys)
        record_of_person(person, action="end other sessions", detail={"sessions": len(keys)})
    return len(keys)


def end_sessions_of(*, username: str, project: Project, maker: User) -> int:
    """End all sessions of somebody whom an administrator may reset; return how many went on.

    Args:
        username: whose.
        project: whose audit trail records it.
        maker: who ends them.

    Raises:
        ResetError: whom the maker may not reset: the rule of links for a new password.
        SessionError: it is the maker, or there is none.
    """
    person = find_person(username=username, project=project, maker=maker)
    if person == maker:
        raise SessionError("username, must be another's: your own are on the account page.")
    keys = _keys_of(person)
    if not keys:
        raise SessionError(f"username == '{person.username}', has no open session.")
    with transaction.atomic():
        _delete(keys)
        record_audit(
            project.pk,
            actor=maker.get_username(),
            action="end sessions",
            subject=person.username,
            detail={"sessions": len(keys)},
        )
    return len(keys)


def _keys_of(person: User) -> list[str]:
    """Return the keys of all sessions of a person that go on, listed or not.

    It reads every session there is, which takes milliseconds per hundred: Django's table does not say
    whose they are, and one that is missed would go on for two weeks.
    """
    sessions = Session.objects.filter(expire_date__gt=timezone.now()).order_by("pk")
    return [
        session.session_key
        for session in sessions.iterator(chunk_size=READ_AT_ONCE)
        if _is_of(person, session.get_decoded())
    ]


def _is_of(person: User, stored: Mapping[str, Any]) -> bool:
    """Whether what a session holds signs a person in, with the password that they have now."""
    if stored.get(SESSION_KEY) != str(person.pk):
        return False
    proof = stored.get(HASH_SESSION_KEY, "")
    # A secret key that was replaced signs for a while.
    proofs = (person.get_session_auth_hash(), *person.get_session_auth_fallback_hash())
    return any(constant_time_compare(proof, one) for one in proofs)


def _address_of(text: str) -> str | None:
    """Return an address as PostgreSQL takes it; None behind a socket file."""
    try:
        return str(ip_address(text.partition("%")[0]))
    except ValueError:
        return None


def _delete(keys: Iterable[str]) -> None:
    keys = list(keys)
    Session.objects.filter(pk__in=keys).delete()
    SignedInSession.objects.filter(session_key__in=keys).delete()
