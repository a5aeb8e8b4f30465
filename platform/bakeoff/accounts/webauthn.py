"""The protocol of passkeys, by fido2: what browsers are asked, and whether their answers hold.

Pure: no rows. Every answer must be to the challenge, of the origin, for the host, by a key that has
checked its person. Answers come from strangers: whatever is wrong with them is an `AnswerError`.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.crypto import constant_time_compare
from fido2.cose import CoseKey
from fido2.server import Fido2Server
from fido2.utils import websafe_encode
from fido2.webauthn import (
    AttestationConveyancePreference,
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ID = re.compile(r"[A-Za-z0-9_-]{1,1400}")  # 1,023 bytes as base64url
MAX_ANSWER = 20_000  # characters; attestations with certificates have some thousands


class AnswerError(ValueError):
    """An answer cannot be read, or is not a right one to what was asked."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """The public half of a new key: `credential` is id and key, `count` its answers so far."""

    credential_id: str
    credential: bytes
    count: int


class RelyingPartyServer:
    """Asks and checks for one host and one origin of pages."""

    def __init__(self, host: str, origin: str) -> None:
        """Name them."""
        self._server = Fido2Server(
            PublicKeyCredentialRpEntity(id=host, name="Bakeoff"),
            # Which device it is, nobody needs to know.
            attestation=AttestationConveyancePreference.NONE,
            verify_origin=lambda one: bool(one == origin),
        )

    def creation_options(
        self, name: str, handle: bytes, credentials: Sequence[bytes]
    ) -> tuple[dict[str, Any], str]:
        """Return what a browser makes a key from, as JSON, and the challenge in it.

        Args:
            name: of the account, which the device shows.
            handle: of the person, at most 64 bytes that tell nothing.
            credentials: the person's keys: a device that holds one makes no second.
        """
        options, state = self._server.register_begin(
            PublicKeyCredentialUserEntity(name=name, display_name=name, id=handle),
            credentials=[AttestedCredentialData(one) for one in credentials],
            resident_key_requirement=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return dict(options)["publicKey"], state["challenge"]

    def check_new_key(self, challenge: str, answer: str) -> NewKey:
        """Return the key that a browser made.

        Raises:
            AnswerError: it does not hold, or its algorithm is none that can be verified.
        """
        with _strangers_bytes():
            data = self._server.register_complete(_state(challenge), _parse(answer))
            credential = data.credential_data
            if credential is None or credential.public_key[3] not in CoseKey.supported_algorithms():
                raise AnswerError("the key's algorithm is unknown")
            name = websafe_encode(credential.credential_id)
            return NewKey(name, bytes(credential), data.counter)

    def request_options(self, credentials: Sequence[bytes]) -> tuple[dict[str, Any], str]:
        """Return what a browser asks a key for, as JSON, and the challenge in it.

        Args:
            credentials: keys that will do; none: every key that the device has for this host.
        """
        options, state = self._server.authenticate_begin(
            [AttestedCredentialData(one) for one in credentials] or None,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return dict(options)["publicKey"], state["challenge"]

    def check_answer(self, challenge: str, answer: str, *, credential: bytes, handle: str) -> int:
        """Return the count of answers that a key states in a right one.

        Args:
            challenge: that was given out.
            answer: the browser's, as JSON.
            credential: of the key: id and public half.
            handle: of its person, in hexadecimal digits.

        Raises:
            AnswerError: it does not hold, or names another person.
        """
        with _strangers_bytes():
            read = AuthenticationResponse.from_dict(_parse(answer))
            key = AttestedCredentialData(credential)
            self._server.authenticate_complete(_state(challenge), [key], read)
            named = read.response.user_handle
            if named is not None and not constant_time_compare(named.hex(), handle):
                raise AnswerError("the handle is another person's")
            return read.response.authenticator_data.counter


def id_of_answer(answer: str) -> str:
    """Return the id of the key that an answer claims to be of; empty if it cannot be read."""
    try:
        with _strangers_bytes():
            name = str(_parse(answer)["id"])
    except AnswerError:
        return ""
    return name if _ID.fullmatch(name) else ""


def _parse(answer: str) -> dict[str, Any]:
    if len(answer) > MAX_ANSWER:
        raise AnswerError("the answer is too long")
    data: dict[str, Any] = json.loads(answer)
    return data


def _state(challenge: str) -> dict[str, Any]:
    """Return what fido2 compares with; not what a session stores, which could ask for less."""
    return {"challenge": challenge, "user_verification": UserVerificationRequirement.REQUIRED}


@contextmanager
def _strangers_bytes() -> Iterator[None]:
    """Turn whatever the parsers make of a stranger's bytes into an error of ours."""
    try:
        yield
    except Exception as error:
        raise AnswerError(str(error)) from error
