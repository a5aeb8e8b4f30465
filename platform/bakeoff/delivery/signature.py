"""Signatures of webhooks as https://www.standardwebhooks.com has them: HMAC-SHA256 over id, time, body.

The key of the HMAC is the secret's random part, decoded; a receiver compares `webhook-signature` with
its own, refuses old times, and drops ids that it has seen.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = "whsec_"
SECRET_BYTES = 24  # the standard wants 24 to 64


def make_secret() -> str:
    """Return a new secret, `whsec_…`, with 192 random bits."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sign(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a message, `v1,…`."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def headers_of(keys: Sequence[str], *, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of a signed message; one signature per secret, by blanks.

    Args:
        keys: secrets that are valid now.
        message_id: the same in every attempt.
        timestamp: of this attempt, in seconds of the epoch.
        body: as it is sent.
    """
    signatures = [sign(key, message_id=message_id, timestamp=timestamp, body=body) for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }
