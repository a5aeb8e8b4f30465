"""Links by which people see a variant: signed, for one experiment, until a day.

It knows neither Django nor a database: the fast lane reads them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from dataclasses import dataclass

import orjson

SIGNATURE_BYTES = 16


class LinkError(ValueError):
    """A link that does not hold; the message says why."""


@dataclass(frozen=True, slots=True)
class QaLink:
    """What a link allows: a variant of an experiment of a project, until a time in seconds."""

    project_id: int
    experiment: str
    variant: str
    until: int


def _sign(secret: str, payload: bytes) -> bytes:
    key = hashlib.sha256(b"qa link\0" + secret.encode()).digest()
    return hmac.digest(key, payload, "sha256")[:SIGNATURE_BYTES]


def write_link(secret: str, link: QaLink) -> str:
    """Return the token of a link, safe in an address."""
    payload = orjson.dumps([link.project_id, link.experiment, link.variant, link.until])
    return base64.urlsafe_b64encode(_sign(secret, payload) + payload).rstrip(b"=").decode()


def read_link(secret: str, token: str, project_id: int | None) -> QaLink:
    """Return what a token allows, in a project or in the one that it names.

    Raises:
        LinkError: it was not signed here, belongs to another project, or has expired.
    """
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError) as error:
        raise LinkError("the link is damaged") from error
    signature, payload = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
    # In constant time: how long a comparison takes must not tell how much of a guess is right.
    if not hmac.compare_digest(signature, _sign(secret, payload)):
        raise LinkError("the link was not made here")
    link = QaLink(*orjson.loads(payload))
    if project_id is not None and link.project_id != project_id:
        raise LinkError("the link belongs to another project")
    if link.until < time.time():
        raise LinkError("the link has expired")
    return link
