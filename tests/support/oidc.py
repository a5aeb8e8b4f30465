"""A provider of OpenID Connect that runs here, and a person who signs in at it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
from django.http import HttpResponse
from django.test import Client

from bakeoff.oidc_settings import GroupRole, OidcSettings

START = "/sign-in/organization/"


@dataclass(frozen=True)
class Provider:
    """A running provider."""

    issuer: str

    def settings(self, *roles: str, **fields: str) -> OidcSettings:
        """What the platform is told of it; roles as `GROUP=PROJECT:ROLE`."""
        parsed = tuple(GroupRole.parse(one) for one in roles)
        named = {"issuer": self.issuer, "client_id": "bakeoff", "client_secret": "a secret"}
        return OidcSettings(**(named | fields), roles=parsed)

    def describe(self, subject: str, **claims: object) -> None:
        """Say what the provider knows of a person."""
        httpx2.put(f"{self.issuer}/users/{subject}", json=claims).raise_for_status()

    def vouch(self, address: str, subject: str) -> str:
        """Sign in there as a browser does; return where it sends the browser: path and query."""
        answer = httpx2.post(address, data={"sub": subject})
        assert answer.status_code == 302, answer.text
        back = urlsplit(answer.headers["location"])
        return f"{back.path}?{back.query}"

    def deny(self, address: str) -> str:
        """Refuse there; return where it sends the browser, with the state that this one forgets."""
        back = urlsplit(httpx2.post(address, data={"action": "deny"}).headers["location"])
        (state,) = parse_qs(urlsplit(address).query)["state"]
        assert "state=" not in back.query
        return f"{back.path}?{back.query}&{urlencode({'state': state})}"


@contextmanager
def running_provider() -> Iterator[Provider]:
    """Run a provider for the length of a block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it uses what its own library calls old
        from oidc_provider_mock import run_server_in_thread

    with run_server_in_thread() as server:
        yield Provider(f"http://localhost:{server.server_port}")


def sign_in_at(provider: Provider, subject: str, client: Client, then: str = "") -> HttpResponse:
    """Sign in from the platform's page, at the provider, and come back."""
    there = client.get(START, {"next": then} if then else {})
    assert there.status_code == 302, there.content
    return client.get(provider.vouch(there.headers["location"], subject))
