"""API keys as text: how one is made and how it is recognised.

A key is random, so an unsalted SHA-256 is enough to store it: there is no dictionary to try. Pure:
the gateway uses it without Django.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

PUBLIC, SECRET = "pk", "sk"
# Enough to recognise a key by, too little to guess the rest of 192 bits.
PREFIX = 8
MAX_PREFIX = 12  # with a group's name, as the column is wide; at least three characters are random
SERVE, INGEST, READ = "serve", "ingest", "read"
MANAGE, EXPORT, ADMIN = "manage", "export", "admin"
# What a key may do: ask for answers and flags; record events and feedback; read what the management API
# shows; change it, which includes reading; hand a person's data out; erase, change the project and its
# keys.
SCOPES = (SERVE, INGEST, READ, MANAGE, EXPORT, ADMIN)
# Everybody can read a public key.
PUBLIC_SCOPES = (SERVE, INGEST)


def make_key(kind: str, group: str = "") -> str:
    """Return a new key, `pk_…` or `sk_…`, with 192 random bits.

    Args:
        kind: public or secret.
        group: of databases, which a load balancer routes by: `pk_GROUP.…`; empty where there is one.
    """
    # No random part has a dot, so a group is no other key's beginning.
    named = f"{group}." if group else ""
    return f"{kind}_{named}{secrets.token_urlsafe(24)}"


def prefix_of(key: str) -> str:
    """Return what a key is recognised by on pages and in logs: kind, group and some characters."""
    head, dot, _ = key.rpartition(".")
    if not dot:
        return key[:PREFIX]
    return key[: min(len(head) + 1 + PREFIX - len("pk_"), MAX_PREFIX)]


def scopes_of(kind: str) -> list[str]:
    """Return the most that a kind of key may do."""
    return list(PUBLIC_SCOPES if kind == PUBLIC else SCOPES)


def may(scopes: Collection[str], needed: str) -> bool:
    """Whether a key with these scopes may do what needs one: who may change it may read it."""
    return needed in scopes or (needed == READ and MANAGE in scopes)


def expired_sentence(at: datetime) -> str:
    """Return what is said of a key after its time."""
    return f"The key expired at {at:%Y-%m-%d %H:%M} UTC: use another."


def digest_of(key: str) -> str:
    """Return what is stored of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def end_of(day: date) -> datetime:
    """Return the last second of a day in UTC: a key whose end is a day may be used on that day."""
    return datetime.combine(day, time(23, 59, 59), UTC)
