"""Where e-mail goes out: an SMTP server of the operator's. Pure: the fast lane reads settings too."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SECURITIES = ("starttls", "tls", "none")
PORTS = {"starttls": 587, "tls": 465, "none": 25}


class SmtpError(ValueError):
    """A setting that cannot be understood; the message names value and rule, never the password."""


@dataclass(frozen=True, slots=True)
class Smtp:
    """An SMTP server.

    Attributes:
        host: its name or address.
        port: 587, 465 or 25 by the security, unless it is set.
        user: empty: no sign-in.
        password: of the user.
        security: `starttls`, `tls` from the first byte, or `none`.
        sender: whom e-mails are from.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    security: str
    sender: str

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Smtp | None:
        """Read the variables; None without a host.

        Raises:
            SmtpError: a variable breaks its rule.
        """
        host = env.get("BAKEOFF_SMTP_HOST") or ""
        if not host:
            return None
        security = env.get("BAKEOFF_SMTP_SECURITY") or "starttls"
        if security not in SECURITIES:
            raise SmtpError(f"BAKEOFF_SMTP_SECURITY == '{security}', must be one of {SECURITIES}.")
        port = env.get("BAKEOFF_SMTP_PORT") or str(PORTS[security])
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise SmtpError(f"BAKEOFF_SMTP_PORT == '{port}', must be 1 to 65535.")
        return cls(
            host=host,
            port=int(port),
            user=env.get("BAKEOFF_SMTP_USER") or "",
            password=env.get("BAKEOFF_SMTP_PASSWORD") or "",
            security=security,
            sender=env.get("BAKEOFF_SMTP_FROM") or f"bakeoff@{host}",
        )
