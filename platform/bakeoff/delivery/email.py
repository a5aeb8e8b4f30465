"""Hand one e-mail to the SMTP server, and say in a sentence why it did not take it, and what to do.

Guarantees: no sentence and no line of the log has the password, even where the server repeats it.
"""

from __future__ import annotations

import logging
import smtplib
import socket
import ssl
from base64 import b64encode
from email.errors import MessageError
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.mail import get_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from django.core.mail import EmailMessage

logger = logging.getLogger(__name__)
MAX_ANSWER = 160  # letters of what a server answers
ADDRESS = "BAKEOFF_SMTP_HOST and BAKEOFF_SMTP_PORT"


def try_to_send(message: EmailMessage, *, seconds: float | None = None) -> str:
    """Return why the server does not take an e-mail; empty where it does.

    Args:
        message: with its recipient.
        seconds: at most that the server may say nothing; None: `EMAIL_TIMEOUT`.
    """
    wait = seconds if seconds is not None else settings.EMAIL_TIMEOUT
    message.connection = get_connection(timeout=wait)
    try:
        message.send()
    except (smtplib.SMTPException, MessageError, OSError, ValueError) as error:
        why = _why(error, wait)
        logger.warning("an e-mail was not sent: %s", why)
        return why
    return ""


def _why(error: Exception, wait: float) -> str:
    # smtplib says of a server that keeps silent that it hung up.
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return (
            f"the SMTP server at {_address()} said nothing for {wait:g} s: check {ADDRESS}, and "
            "firewalls between."
        )
    return next(
        (say(error) for kind, say in _SENTENCES.items() if isinstance(error, kind)), _plain(error)
    )


def _plain(error: Exception) -> str:
    return f"the SMTP server does not take it: {type(error).__name__}."


def _refused_recipient(error: Exception) -> str:
    refusals = getattr(error, "recipients", {})
    answer = _answer(*next(iter(refusals.values()), (0, b"")))
    return f"the SMTP server refuses the recipient ({answer}): check the address."


def _refused_sign_in(error: Exception) -> str:
    return (
        f"the SMTP server refuses the sign-in ({_answer_of(error)}): check BAKEOFF_SMTP_USER and "
        "BAKEOFF_SMTP_PASSWORD."
    )


def _refused_sender(error: Exception) -> str:
    return (
        f"the SMTP server refuses the sender ({_answer_of(error)}): set BAKEOFF_SMTP_FROM to an "
        "address that it sends for."
    )


def _refused(error: Exception) -> str:
    code = getattr(error, "smtp_code", 0)
    then = "try again later" if 400 <= code < 500 else "ask who runs it"
    return f"the SMTP server answers {_answer_of(error)}: {then}."


def _wrong_security(_error: Exception) -> str:
    return (
        f"the SMTP server at {_address()} does not speak as set: check BAKEOFF_SMTP_SECURITY and "
        "BAKEOFF_SMTP_PORT."
    )


def _no_tls(error: Exception) -> str:
    why = getattr(error, "verify_message", "") or getattr(error, "reason", "") or type(error).__name__
    return (
        f"TLS with the SMTP server at {_address()} fails ({_clean(why)}): check its certificate, "
        "BAKEOFF_SMTP_SECURITY and BAKEOFF_SMTP_PORT."
    )


def _no_address(_error: Exception) -> str:
    return f"the SMTP server '{settings.EMAIL_HOST}' has no address: check BAKEOFF_SMTP_HOST."


def _nobody_listens(_error: Exception) -> str:
    return f"no SMTP server listens at {_address()}: check {ADDRESS}."


# The first that fits: some are kinds of others below.
_SENTENCES: Mapping[type[Exception], Callable[[Exception], str]] = {
    smtplib.SMTPRecipientsRefused: _refused_recipient,
    smtplib.SMTPAuthenticationError: _refused_sign_in,
    smtplib.SMTPSenderRefused: _refused_sender,
    smtplib.SMTPResponseException: _refused,
    smtplib.SMTPNotSupportedError: _wrong_security,
    smtplib.SMTPServerDisconnected: _wrong_security,
    ssl.SSLError: _no_tls,
    socket.gaierror: _no_address,
    ConnectionRefusedError: _nobody_listens,
}


def _address() -> str:
    return f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"


def _answer_of(error: Exception) -> str:
    return _answer(getattr(error, "smtp_code", 0), getattr(error, "smtp_error", b""))


def _answer(code: int, text: bytes | str) -> str:
    """Return what a server answers on one line."""
    plain = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    return f"{code} {_clean(plain)}".strip()


def _clean(text: str) -> str:
    user, password = settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD
    forms = (password, _base64(password), _base64(f"\0{user}\0{password}")) if password else ()
    # Before blanks are made one, and after: the server may have done it to a password with blanks.
    line = _one_line(_mask(text, forms))
    return _mask(line, [_one_line(form) for form in forms])[:MAX_ANSWER].rstrip(" .:")


def _mask(text: str, secrets: Iterable[str]) -> str:
    for secret in filter(None, secrets):
        text = text.replace(secret, "…")
    return text


def _one_line(text: str) -> str:
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()
