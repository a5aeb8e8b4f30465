"""How often a sign-in may fail: by name at an address, by address, and by name; and what else is counted.

Guarantees: attempts that come at once are counted before a password is looked at; an address that tries
many names is slowed down like one that tries many passwords; nobody can lock a name out everywhere: what
one address does is counted against that address, and where a name is attacked from many addresses, those
from which it has signed in before still get in. Without a cache, passwords alone protect.
"""

from __future__ import annotations

import hashlib
from ipaddress import IPv6Address, ip_address

import redis
import redis.exceptions
from django.utils.translation import gettext as _

# A quarter of an hour: long for a guesser, short for a person who mistyped.
WITHIN_SECONDS = 900
MAX_FAILURES = 10  # of a name at an address
MAX_FAILURES_OF_ADDRESS = 30  # an office behind one address mistypes too
MAX_FAILURES_OF_NAME = 100  # ten addresses that are each at their limit
MAX_ENDINGS = 30  # of sessions, by one account: each reads all sessions that there are
MAX_MAILS = 3  # to an address of e-mail: nobody fills a mailbox through us
MAX_MAILS_OF_ADDRESS = 10  # asked for from one visitor's address
MAX_INVITATIONS = 30  # e-mails that one account sends
# Longer than a holiday: a name under attack signs in from where it always does.
REMEMBERED_SECONDS = 90 * 86_400


class SignInThrottle:
    """One attempt: asked before the password is looked at, told when it was right."""

    def __init__(self, cache: redis.Redis, *, address: str, name: str) -> None:
        """Name the counters; neither name nor address is kept in the clear."""
        where, who = _network(address), name.strip().casefold()
        self._cache = cache
        self._pair = _key("pair", where, who)
        self._address = _key("address", where)
        self._name = _key("name", who)
        self._known = _key("known", where, who)

    def admits(self) -> bool:
        """Count the attempt as a failure until it has succeeded, and return whether it may go on."""
        try:
            if self._count(self._pair) > MAX_FAILURES:
                return False
            if self._count(self._address) > MAX_FAILURES_OF_ADDRESS:
                return False
            # Only what the address itself may still do counts against the name, so that one address
            # alone never reaches its limit.
            return self._count(self._name) <= MAX_FAILURES_OF_NAME or bool(
                self._cache.exists(self._known)
            )
        except redis.exceptions.RedisError:
            return True

    def succeeded(self) -> None:
        """Take the attempt back, and remember that the name signs in from here."""
        try:
            pipe = self._cache.pipeline()
            pipe.delete(self._pair)
            # Not deleted: with one account of their own a guesser would begin anew.
            pipe.decr(self._address)
            pipe.decr(self._name)
            pipe.set(self._known, 1, ex=REMEMBERED_SECONDS)
            pipe.execute()
        except redis.exceptions.RedisError:
            return

    def _count(self, key: str) -> int:
        return _count(self._cache, key)


class MailThrottle:
    """One wish for a link by e-mail; what is typed counts, so its answer tells of no account."""

    def __init__(self, cache: redis.Redis, *, address: str, email: str) -> None:
        """Name the counters; neither address is kept in the clear."""
        self._cache = cache
        self._address = _key("mail-from", _network(address))
        self._email = _key("mail-to", email.casefold())

    def admits(self) -> bool:
        """Count the wish, and return whether it may go on; without a cache none may."""
        try:
            if _count(self._cache, self._address) > MAX_MAILS_OF_ADDRESS:
                return False
            return _count(self._cache, self._email) <= MAX_MAILS
        except redis.exceptions.RedisError:
            return False


class InvitationThrottle:
    """One invitation by e-mail, of an administrator who is signed in."""

    def __init__(self, cache: redis.Redis, *, person_id: int, email: str) -> None:
        """Name the counters; a password's link is counted by others: it must not wait for invitations."""
        self._cache, self._person = cache, _key("invitations", str(person_id))
        self._email = _key("invitation-to", email.casefold())

    def count(self) -> str:
        """Count the e-mail, and return why it may not go out; empty where it may. Without a cache none may."""
        try:
            if (
                _count(self._cache, self._person) <= MAX_INVITATIONS
                and _count(self._cache, self._email) <= MAX_MAILS
            ):
                return ""
        except redis.exceptions.RedisError:
            return _("the cache that counts e-mails does not answer. Try again later.")
        sentence = _("Too many requests. Wait %(minutes)s minutes, then try again.")
        return sentence % {"minutes": WITHIN_SECONDS // 60}


class EndingThrottle:
    """One wish to end sessions, of an account that is signed in."""

    def __init__(self, cache: redis.Redis, *, person_id: int) -> None:
        """Name the counter."""
        self._cache, self._person = cache, _key("endings", str(person_id))

    def admits(self) -> bool:
        """Count the wish, and return whether it may go on; without a cache all may: it protects people."""
        try:
            return _count(self._cache, self._person) <= MAX_ENDINGS
        except redis.exceptions.RedisError:
            return True


def _count(cache: redis.Redis, key: str) -> int:
    pipe = cache.pipeline()
    pipe.incr(key)
    pipe.expire(key, WITHIN_SECONDS, nx=True)  # the window begins with the first
    return int(pipe.execute()[0])


def _key(kind: str, *parts: str) -> str:
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    return f"signin:{kind}:{digest[:24]}"


def _network(address: str) -> str:
    """Return what one visitor has: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, IPv6Address):
        return str(ip.ipv4_mapped or (int(ip) >> 64))
    return str(ip)
