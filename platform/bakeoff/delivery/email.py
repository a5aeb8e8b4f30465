"""Hand one e-mail to the SMTP server, and say in a sentence why it did not take it."""

from __future__ import annotations

import logging
import smtplib
from email.errors import MessageError
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.core.mail import EmailMessage

logger = logging.getLogger(__name__)


def try_to_send(message: EmailMessage) -> str:
    """Return why the server does not take an e-mail; empty where it does. Waits for `EMAIL_TIMEOUT`."""
    try:
        message.send()
    except smtplib.SMTPResponseException as error:
        return f"SMTP status == {error.smtp_code}, must be 2xx."
    except smtplib.SMTPRecipientsRefused:
        return "the SMTP server refuses the recipient."
    except (smtplib.SMTPException, MessageError, OSError, ValueError) as error:
        logger.warning("the SMTP server does not take an e-mail: %s", error)
        return f"the SMTP server does not take it: {type(error).__name__}."
    return ""
