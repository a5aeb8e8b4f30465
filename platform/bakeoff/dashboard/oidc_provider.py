"""The identity provider, asked by authlib: where to send a browser, and who came back.

ProviderError       the provider is away, or its answer proves nothing; the message is for the page
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from bakeoff.accounts.invite import MAX_EMAIL
from bakeoff.accounts.single_sign_on import ExternalPerson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest, HttpResponseRedirect

    from bakeoff.oidc_settings import OidcSettings

logger = logging.getLogger(__name__)
TIMEOUT_SECONDS = 10
# What the provider says of itself, its keys too, is read again so often: one that changes a key without
# giving it another id is believed within the hour.
REMEMBERED_SECONDS = 3600
MAX_SUBJECT = 255  # OpenID Connect Core 2, and as our column is wide
MAX_TEXT = 1000  # of a name, which is cut to what names here may be


class ProviderError(Exception):
    """Nobody can be signed in by this answer."""


def send_to_provider(request: HttpRequest, settings: OidcSettings, back: str) -> HttpResponseRedirect:
    """Return the redirect to the provider; state, nonce and the proof key stay in the session.

    Args:
        request: of the person.
        settings: of the provider.
        back: address of the callback, as the provider knows it.

    Raises:
        ProviderError: it gives no answer.
    """
    with readable_errors():
        client = _client(settings)
        _require_issuer(client, settings)
        redirect: HttpResponseRedirect = client.authorize_redirect(request, back)
        return redirect


def read_answer(request: HttpRequest, settings: OidcSettings) -> tuple[ExternalPerson, list[str]]:
    """Return who came back, and their groups.

    Checked are state, the proof key, signature, issuer, audience, expiry and nonce.

    Raises:
        ProviderError: one of them is not as it must be.
    """
    with readable_errors():
        client = _client(settings)
        # Before the provider's words are read: a link that somebody sends could put any on our page.
        if client.framework.get_state_data(request.session, request.GET.get("state")) is None:
            raise ProviderError(_("This sign-in is out of date. Start again."))
        token = client.authorize_access_token(request)
        _require_issuer(client, settings)
        claims = dict(token.get("userinfo") or {})
        if not claims.get("sub"):
            raise ProviderError(_("The identity provider did not say who you are."))
        if settings.groups_claim not in claims and client.server_metadata.get("userinfo_endpoint"):
            more = dict(client.userinfo(token=token))
            if more.get("sub") == claims["sub"]:  # OpenID Connect Core 5.3.2: else it is another's
                claims = more | claims
    return _person_of(claims, settings)


def _person_of(claims: dict[str, Any], settings: OidcSettings) -> tuple[ExternalPerson, list[str]]:
    """Return what claims say, if it has the form and the length that rows can hold."""
    groups = claims.get(settings.groups_claim) or []
    subject, name, email = (claims.get(one) or "" for one in ("sub", "preferred_username", "email"))
    texts = ((subject, MAX_SUBJECT), (name, MAX_TEXT), (email, MAX_EMAIL))
    readable = all(
        isinstance(text, str) and len(text) <= length and "\0" not in text for text, length in texts
    )
    if not (readable and isinstance(groups, str | list)):
        logger.warning("claims of %r have another form or are too long", str(subject)[:MAX_SUBJECT])
        raise ProviderError(_("The identity provider's answer cannot be read."))
    person = ExternalPerson(settings.issuer, subject, username=name, email=email)
    return person, [groups] if isinstance(groups, str) else [str(one) for one in groups]


def _client(settings: OidcSettings) -> Any:
    return _client_of(settings, int(time.time() // REMEMBERED_SECONDS))


@lru_cache(maxsize=2)
def _client_of(settings: OidcSettings, hour: int) -> Any:  # noqa: ARG001  a key of the cache
    from authlib.integrations.django_client import OAuth  # noqa: PLC0415  an extra

    return OAuth().register(
        "provider",
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        server_metadata_url=f"{settings.issuer}/.well-known/openid-configuration",
        client_kwargs={
            "scope": settings.scopes,
            "code_challenge_method": "S256",
            "default_timeout": TIMEOUT_SECONDS,
        },
    )


def _require_issuer(client: Any, settings: OidcSettings) -> None:
    """Refuse a document that names another issuer: its tokens would be another's."""
    issuer = str(client.load_server_metadata().get("issuer", "")).rstrip("/")
    if issuer != settings.issuer:
        logger.error("the provider at %s calls itself %r", settings.issuer, issuer)
        raise ProviderError(_("The identity provider is another than the one that is set up."))


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn what the libraries raise into a sentence for the page; the log has the rest."""
    try:
        yield
    except ProviderError:
        raise
    except Exception as error:
        logger.warning("sign-in by the identity provider failed: %r", error)
        raise ProviderError(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    from authlib.integrations.base_client import MismatchingStateError, OAuthError  # noqa: PLC0415
    from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415

    if isinstance(error, RequestException):
        return _("The identity provider does not answer. Try again in a moment.")
    if isinstance(error, MismatchingStateError):
        return _("This sign-in is out of date. Start again.")
    if isinstance(error, OAuthError):
        why = error.description or error.error
        return _("The identity provider refused the sign-in: %(why)s") % {"why": str(why)[:200]}
    if isinstance(error, BadSignatureError | InvalidKeyIdError):
        return _(
            "The identity provider's answer is signed with a key that it does not publish. Nobody was signed in."
        )
    if isinstance(error, JoseError):
        return _("The identity provider's answer is not valid here, or no longer. Start again.")
    return _("The identity provider's answer cannot be read.")
