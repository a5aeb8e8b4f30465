"""Passkeys (WebAuthn): keys of a person's devices that sign in alone, or after the password.

Guarantees: an answer counts for one challenge, of this address, once, also of two requests at once; the
device has checked that it is its person (by a PIN, a finger or a face), so a passkey is both factors; a
key whose count goes back is refused, since it may be a copy. Nothing secret is stored.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from bakeoff.accounts.audit import record_of_person
from bakeoff.accounts.keys import digest_of
from bakeoff.accounts.models import Passkey, RecoveryCode
from bakeoff.accounts.refused import RefusedError
from bakeoff.accounts.reset_by_link import has_password

if TYPE_CHECKING:
    from bakeoff.accounts.webauthn import RelyingPartyServer
    from bakeoff.public_address import PublicUrl

MAX_PASSKEYS = 20
MAX_NAME = 60
HANDLE_BYTES = 32
UNKNOWN = "passkey, must be one that is registered here."
UNVERIFIED = "passkey, must answer the challenge of this page at this address."


class PasskeyError(RefusedError):
    """A passkey is not taken, or not added."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """For whom passkeys are made: `id` is a host, and `origin` that of the pages that may ask."""

    id: str
    origin: str

    @classmethod
    def of(cls, public: PublicUrl | None) -> RelyingParty | None:
        """Return the platform's; None where browsers have no passkeys: not TLS, or an address of IP."""
        if public is None:
            return None
        name = public.hostname
        if name.startswith("[") or name.replace(".", "").isdigit():
            return None
        local = name == "localhost" or name.endswith(".localhost")
        return cls(name, public.origin) if public.scheme == "https" or local else None


def begin_adding(person: User, party: RelyingParty) -> tuple[dict[str, Any], str, str]:
    """Return what the browser makes a key from, the challenge, and the handle that names the person.

    Raises:
        PasskeyError: the account may have no more.
    """
    _check_room(person)
    rows = list(person.passkeys.all())
    handle = rows[0].user_handle if rows else secrets.token_hex(HANDLE_BYTES)
    options, challenge = _server(party).creation_options(
        person.get_username(), bytes.fromhex(handle), [bytes(row.credential) for row in rows]
    )
    return options, challenge, handle


def add_passkey(
    person: User, party: RelyingParty, *, name: str, challenge: str, handle: str, answer: str
) -> Passkey:
    """Store the public half of a new key.

    Args:
        person: whose.
        party: the platform.
        name: what the person calls it; 1 to 60 characters.
        challenge: that was given out for this, once.
        handle: that was given out with it.
        answer: the browser's, as JSON.

    Raises:
        PasskeyError: the name is none, or the key does not verify, or it is here already.
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise PasskeyError(f"name of a passkey, must have 1 to {MAX_NAME} characters.", field="name")
    try:
        key = _server(party).check_new_key(challenge, answer)
    except ValueError as error:
        raise PasskeyError(UNVERIFIED) from error
    try:
        with transaction.atomic():
            # Of two that are added at once, the second counts the first.
            User.objects.select_for_update(no_key=True).get(pk=person.pk)
            _check_room(person)
            row = Passkey.objects.create(
                user=person,
                name=name,
                credential_id=key.credential_id,
                credential=key.credential,
                user_handle=handle,
                sign_count=key.count,
            )
            record_of_person(person, action="add passkey", detail={"name": name})
    except IntegrityError as error:
        raise PasskeyError("passkey, is registered already.") from error
    return row


def remove_passkey(person: User, pk: int) -> None:
    """Take one of a person's own passkeys away; once is enough."""
    with transaction.atomic():
        row = Passkey.objects.select_for_update().filter(user=person, pk=pk).first()
        if row is not None:
            row.delete()
            record_of_person(person, action="remove passkey", detail={"name": row.name})
            if not person.passkeys.exists():
                # Without an app they would stand in for nothing.
                theirs = RecoveryCode.objects.filter(factor__user=person, factor__confirmed_at=None)
                theirs.delete()


def begin_sign_in(party: RelyingParty, person: User | None = None) -> tuple[dict[str, Any], str]:
    """Return what the browser asks a key for, and the challenge.

    Args:
        party: the platform.
        person: whose keys alone will do; None: whoever has one of this platform.
    """
    rows = person.passkeys.all() if person is not None else ()
    return _server(party).request_options([bytes(row.credential) for row in rows])


def check_passkey(
    party: RelyingParty,
    *,
    credential_id: str,
    challenge: str,
    answer: str,
    person: User | None = None,
) -> User:
    """Return whose key has answered a challenge.

    Args:
        party: the platform.
        credential_id: of the key that the answer claims to be of.
        challenge: that was given out for this, once.
        answer: the browser's, as JSON.
        person: whose password was right before; None: the passkey alone signs in.

    Raises:
        PasskeyError: the key is unknown, was removed, is another's, does not verify, or may be a copy.
    """
    # After the transaction: what a refusal writes into the trail stays.
    outcome = _try_passkey(party, credential_id, challenge, answer, person)
    if isinstance(outcome, PasskeyError):
        raise outcome
    return outcome


def id_of_passkey(answer: str) -> str:
    """Return the id of the key that an answer claims to be of; empty if it cannot be read."""
    from bakeoff.accounts.webauthn import id_of_answer  # noqa: PLC0415  see _server

    return id_of_answer(answer)


@transaction.atomic
def _try_passkey(
    party: RelyingParty, credential_id: str, challenge: str, answer: str, person: User | None
) -> User | PasskeyError:
    # Of two answers at once, the second sees what the first has used.
    rows = Passkey.objects.select_for_update(of=("self",)).select_related("user")
    row = rows.filter(credential_id=credential_id).first()
    if row is None or not row.user.is_active or not has_password(row.user):
        return PasskeyError(UNKNOWN)  # who comes by a provider alone is let in by that alone
    if person is not None and row.user_id != person.pk:
        return PasskeyError(UNKNOWN)
    digest = digest_of(challenge)
    if constant_time_compare(digest, row.last_challenge):
        return PasskeyError(UNVERIFIED)
    try:
        count = _server(party).check_answer(
            challenge, answer, credential=bytes(row.credential), handle=row.user_handle
        )
    except ValueError:
        return PasskeyError(UNVERIFIED)
    if (count or row.sign_count) and count <= row.sign_count:
        detail = {"name": row.name, "count": count, "last_count": row.sign_count}
        record_of_person(row.user, action="refuse passkey", detail=detail)
        return PasskeyError("passkey, has a count that is not above its last: it may be a copy.")
    row.sign_count, row.last_challenge, row.last_used_at = count, digest, timezone.now()
    row.save(update_fields=["sign_count", "last_challenge", "last_used_at"])
    return row.user


def _check_room(person: User) -> None:
    if not has_password(person):
        name = person.get_username()
        raise PasskeyError(f"username == '{name}', signs in by the provider only, and has no password.")
    if person.passkeys.count() >= MAX_PASSKEYS:
        raise PasskeyError(f"passkeys == {MAX_PASSKEYS}, must be fewer to add one.")


def _server(party: RelyingParty) -> RelyingPartyServer:
    # Late: cryptography costs a tenth of a second that no other page or command needs.
    from bakeoff.accounts.webauthn import RelyingPartyServer  # noqa: PLC0415

    return RelyingPartyServer(party.id, party.origin)
