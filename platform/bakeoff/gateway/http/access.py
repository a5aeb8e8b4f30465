"""Who asks: the key of a request, and whether it may."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bakeoff.accounts.keys import SECRET, digest_of, expired_sentence
from bakeoff.gateway.http.errors import ApiError

if TYPE_CHECKING:
    from bakeoff.gateway.config.serving_config import KeyConfig, ServingConfig
    from bakeoff.gateway.http.request import Request


def key_text(request: Request) -> str:
    """Return the key that a request carries, in any of the five ways."""
    authorization = request.header(b"authorization")
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    # The second is that of clients of Azure Personalizer.
    if token := request.header(b"x-api-key") or request.header(b"ocp-apim-subscription-key"):
        return token
    public = request.query("key") if request.scope.get("query_string") else ""
    # A secret key has no place in an address, which ends in logs.
    return public if public.startswith("pk_") else ""


def path_key(request: Request) -> str:
    """Return the public key that the path ends with, as GrowthBook's SDKs send it."""
    token = request.path.rpartition("/")[2]
    # As above: a secret key there is refused like one that is missing.
    return token if token.startswith("pk_") else ""


def authenticate(token: str, request: Request, config: ServingConfig, scope: str) -> KeyConfig:
    """Return the key of this text.

    Raises:
        ApiError: 401 without a known key or after its time, 403 without the scope or from an origin
            that it does not allow.
    """
    key = config.keys.get(digest_of(token)) if token else None
    if key is None:
        if not config.loaded:
            raise ApiError(503, "starting", "No configuration has been read yet.", retry_after=2)
        message = "The key is not known." if token else "A key is missing."
        raise ApiError(401, "no_valid_key", f"{message} Send Authorization: Bearer KEY.")
    if key.is_expired:
        at = datetime.fromtimestamp(key.expires_at, UTC)
        raise ApiError(401, "key_expired", expired_sentence(at))
    origin = request.header(b"origin")
    if origin and key.origins and origin not in key.origins:
        raise ApiError(
            403, "origin_not_allowed", f"origin == '{origin}', must be one of the key's origins."
        )
    if scope not in key.scopes:
        raise ApiError(
            403, "scope_needed", f"scopes == {sorted(key.scopes)}, must hold '{scope}' for this."
        )
    return key


def require_secret(key: KeyConfig, what: str) -> None:
    """Refuse a public key.

    Raises:
        ApiError: 403.
    """
    if key.kind != SECRET:
        raise ApiError(403, "secret_key_needed", f"{what} needs a secret key (sk_…).")
