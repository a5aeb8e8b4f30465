"""A real SMTP server that keeps what it takes, as the platform's settings name it."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_bytes, policy

from aiosmtpd.controller import Controller
from django.conf import settings as django_settings

from bakeoff.smtp import Smtp


class Mailbox:
    """Keeps what an SMTP server takes; refuses the addresses in `refused`."""

    def __init__(self) -> None:
        self.messages: list = []
        self.refused: set[str] = set()
        self.sender_answer = "250 OK"
        self.data_answer = "250 OK"

    async def handle_MAIL(self, _server, _session, envelope, address, _options):  # noqa: N802
        envelope.mail_from = address
        return self.sender_answer

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802
        if address in self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802
        if self.data_answer.startswith("250"):
            self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        return self.data_answer


@contextmanager
def smtp_sink(settings, **options):
    """Run one for a block; `settings` is pytest-django's, `options` are the server's own."""
    mailbox = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(mailbox, hostname="127.0.0.1", port=port, **options)
    controller.start()
    smtp = Smtp("127.0.0.1", port, "", "", "none", "bakeoff@shop.example")
    settings.BAKEOFF = replace(django_settings.BAKEOFF, smtp=smtp)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = smtp.host, smtp.port
    settings.DEFAULT_FROM_EMAIL = smtp.sender
    try:
        yield mailbox
    finally:
        controller.stop()
