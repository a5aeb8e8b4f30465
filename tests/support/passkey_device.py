"""An authenticator of software for tests of passkeys: it answers as it is wanted to, also wrongly."""

from __future__ import annotations

import json

from fido2.cose import ES256
from fido2.utils import sha256, websafe_decode, websafe_encode
from fido2.webauthn import Aaguid, AttestationObject, AttestedCredentialData, AuthenticatorData
from uuid_utils import uuid7

ORIGIN = "https://bakeoff.example"
FLAGS = AuthenticatorData.FLAG


class Device:
    """An authenticator of software: it answers as it is wanted to, also wrongly."""

    def __init__(self, *, origin: str = ORIGIN, count: int = 0) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self.origin, self.count = origin, count
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id, self.handle = str(uuid7()).encode(), b""
        self.flags = FLAGS.UP | FLAGS.UV

    @property
    def name(self) -> str:
        return websafe_encode(self.id)

    def _client_data(self, kind: str, challenge: str, **more) -> bytes:
        return json.dumps(
            {"type": f"webauthn.{kind}", "challenge": challenge, "origin": self.origin} | more
        ).encode()

    def _answer(self, **response: bytes) -> str:
        texts = {name: websafe_encode(value) for name, value in response.items()}
        return json.dumps(
            {"id": self.name, "rawId": self.name, "type": "public-key", "response": texts}
        )

    def create(self, options) -> str:
        self.handle = websafe_decode(options["user"]["id"])
        credential = AttestedCredentialData.create(
            Aaguid(bytes(16)), self.id, ES256.from_cryptography_key(self.key.public_key())
        )
        data = AuthenticatorData.create(
            sha256(options["rp"]["id"].encode()), self.flags | FLAGS.AT, self.count, credential
        )
        return self._answer(
            clientDataJSON=self._client_data("create", options["challenge"]),
            attestationObject=bytes(AttestationObject.create("none", data, {})),
        )

    def get(self, options, *, host: str = "bakeoff.example", challenge: str | None = None) -> str:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        client_data = self._client_data("get", challenge or options["challenge"])
        data = AuthenticatorData.create(sha256(host.encode()), self.flags, self.count)
        signature = self.key.sign(bytes(data) + sha256(client_data), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            clientDataJSON=client_data, authenticatorData=bytes(data), signature=signature,
            userHandle=self.handle,
        )  # fmt: skip
