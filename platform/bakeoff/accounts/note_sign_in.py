"""List each session as somebody signs in, by a password, a passkey or the identity provider alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.signals import user_logged_in, user_logged_out

from bakeoff.accounts.sessions import forget_session, note_session

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.http import HttpRequest


def note_sign_ins() -> None:
    """Let this process list sessions that begin and end in it."""
    user_logged_in.connect(_begin, dispatch_uid="bakeoff.accounts")
    user_logged_out.connect(_end, dispatch_uid="bakeoff.accounts")


def note_session_of(request: HttpRequest, person: User) -> None:
    """List the session of a request."""
    note_session(
        person,
        request.session,
        address=request.META.get("REMOTE_ADDR", ""),
        browser=request.META.get("HTTP_USER_AGENT", ""),
    )


def _begin(request: HttpRequest, user: User, **_: object) -> None:
    note_session_of(request, user)


def _end(request: HttpRequest, **_: object) -> None:
    forget_session(request.session.session_key)
