"""The salts by which units are assigned."""

from __future__ import annotations

from secrets import token_hex


def new_salt() -> str:
    """Return a random salt: 32 hexadecimal digits."""
    return token_hex(16)
