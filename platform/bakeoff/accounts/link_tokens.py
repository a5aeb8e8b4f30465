"""Tokens of links that let somebody in once: an invitation, a new password."""

from __future__ import annotations

import secrets

from bakeoff.accounts.keys import digest_of

TOKEN_BYTES = 24  # 192 random bits: nobody guesses them


def make_token() -> tuple[str, str]:
    """Return a token, which is shown once, and its digest, which is stored."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    return token, digest_of(token)
