"""The challenge that a session has for a passkey: for one purpose, for some minutes, once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.http import HttpRequest

ADD, SIGN_IN = "add", "sign-in"
CHALLENGE = "passkey_challenge"
SECONDS = 300  # for finding the key and touching it


def set_challenge(request: HttpRequest, purpose: str, challenge: str, handle: str = "") -> None:
    """Note what was given out; what was before is good no longer."""
    request.session[CHALLENGE] = [purpose, challenge, handle, int(time.time())]


def take_challenge(request: HttpRequest, purpose: str) -> tuple[str, str]:
    """Return the challenge and the handle given out for a purpose, and forget them.

    Without one, a challenge that nothing answers: a late or repeated answer is refused as a wrong one.
    """
    waiting = request.session.pop(CHALLENGE, None)
    if waiting is None:
        return "", ""
    kind, challenge, handle, since = waiting
    if kind != purpose or time.time() - since > SECONDS:
        return "", ""
    return challenge, handle
