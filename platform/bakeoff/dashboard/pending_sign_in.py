"""A sign-in whose password was right and whose code is still to come: nobody is signed in before."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.contrib.auth.models import User
from django.utils.crypto import constant_time_compare

if TYPE_CHECKING:
    from django.http import HttpRequest

PENDING = "pending_sign_in"
SECONDS = 600  # for finding the phone; then the password is asked for again


def wait_for_code(request: HttpRequest, person: User, target: str) -> None:
    """Note in the session who gave the right password, and where they want to go.

    The key of the session changes, so one that somebody planted is worth nothing.
    """
    request.session.cycle_key()
    # A password that changes meanwhile ends it, as it ends sessions.
    request.session[PENDING] = [person.pk, person.get_session_auth_hash(), target, int(time.time())]


def pending_person(request: HttpRequest) -> tuple[User, str] | None:
    """Return who still owes a code and where they want to go, as long as the password is theirs."""
    waiting = request.session.get(PENDING)
    if waiting is None:
        return None
    pk, proof, target, since = waiting
    person = User.objects.filter(pk=pk, is_active=True).first()
    if person is None or time.time() - since > SECONDS:
        return None
    return (person, target) if constant_time_compare(proof, person.get_session_auth_hash()) else None
