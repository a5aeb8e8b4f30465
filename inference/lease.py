"""Exclusive work on something in the cache: one process at a time, and none for ever.

Guarantees: at most one holder while the lease lasts; a holder that dies loses it by time. Does not
keep a holder that was frozen for longer from waking up: such work must be harmless when repeated.
"""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

# In one script each, compared with the token: a lease that ran out may be another's by now.
_RELEASE = """if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end"""
_RENEW = """if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
    return 0"""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that this process holds."""

    client: redis.Redis
    key: str
    token: str
    seconds: float

    def renew(self) -> bool:
        """Start its time anew; return False when it was lost."""
        milliseconds = int(self.seconds * 1000)
        return bool(self.client.eval(_RENEW, 1, self.key, self.token, str(milliseconds)))


@contextlib.contextmanager
def lease(client: redis.Redis, name: str, *, seconds: float) -> Iterator[Lease | None]:
    """Take a lease for the length of a block; None when another process holds it.

    Args:
        client: the cache.
        name: what is worked on.
        seconds: after which it is free again, unless renewed.
    """
    held = Lease(client, f"lease:{name}", secrets.token_hex(8), seconds)
    # NX and PX in one command: a lease without an end would outlive a holder that dies between two.
    if not client.set(held.key, held.token, nx=True, px=int(seconds * 1000)):
        yield None
        return
    try:
        yield held
    finally:
        client.eval(_RELEASE, 1, held.key, held.token)
