"""What `bakeoff config check` asks of servers that others run: identity provider, e-mail, traces.

Each as the platform asks it later, but nothing is sent: no person is signed in, no e-mail, no span.
"""

from __future__ import annotations

import http.client
import smtplib
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bakeoff.environment import Environment
    from bakeoff.oidc_settings import OidcSettings
    from bakeoff.smtp import Smtp

SECONDS = 5


def faults_outside(environment: Environment) -> Iterator[str]:
    """Yield a sentence per server that does not answer as its settings say."""
    if environment.oidc is not None:
        yield from _faults_of_provider(environment.oidc)
    if environment.smtp is not None:
        yield from _faults_of_smtp(environment.smtp)
    if environment.traces.endpoint:
        yield from _faults_of_receiver(environment.traces.endpoint)


def _faults_of_provider(settings: OidcSettings) -> Iterator[str]:
    """Read what the provider says of itself, by the library that sign-in uses."""
    import requests

    name, url = "BAKEOFF_OIDC_ISSUER", f"{settings.issuer}/.well-known/openid-configuration"
    try:
        answer = requests.get(url, timeout=SECONDS)
        about: Any = answer.json() if answer.ok else None
    except requests.RequestException as error:
        yield f"{name}: {url} gives no answer that can be read: {line_of(error)}."
        return
    if not answer.ok:
        yield f"{name}: {url} answers with status {answer.status_code}, must be 200."
        return
    issuer = str(about.get("issuer", "")) if isinstance(about, dict) else ""
    if issuer.rstrip("/") != settings.issuer:
        yield f"{name} == '{settings.issuer}', must be what the provider calls itself: '{issuer}'."


def _faults_of_smtp(smtp: Smtp) -> Iterator[str]:
    """Greet the server, by TLS where it is set, and sign in where a user is."""
    context = ssl.create_default_context()
    try:
        if smtp.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                smtp.host, smtp.port, timeout=SECONDS, context=context
            )
        else:
            server = smtplib.SMTP(smtp.host, smtp.port, timeout=SECONDS)
        with server:
            server.ehlo_or_helo_if_needed()
            if smtp.security == "starttls":
                server.starttls(context=context)
            if smtp.user and smtp.password:
                server.login(smtp.user, smtp.password)
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        yield f"BAKEOFF_SMTP_HOST: the server answers {error.smtp_code}: {' '.join(text.split())}."
    except (smtplib.SMTPException, OSError, ValueError) as error:
        yield f"BAKEOFF_SMTP_HOST: {smtp.host}:{smtp.port}: {line_of(error)}."


def _faults_of_receiver(endpoint: str) -> Iterator[str]:
    """Connect to the receiver of traces, by TLS where its URL says so."""
    parts = urlsplit(endpoint)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=SECONDS)
    try:
        connection.connect()
    except OSError as error:
        yield f"BAKEOFF_OTLP_ENDPOINT: {parts.hostname} does not answer: {line_of(error)}."
    finally:
        connection.close()


def line_of(error: BaseException) -> str:
    """Return what a driver says in one line, without the period that may end it."""
    text = " ".join(str(error).split())
    return (text or type(error).__name__).rstrip(".")
