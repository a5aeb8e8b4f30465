"""Hand one e-mail to the SMTP server, and say in a sentence why it did not take it."""

from __future__ import annotations

import logging
import smtplib
from email.errors import MessageError
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from django.core.mail import EmailMessage

logger = logging.getLogger(__name__)


def try_to_send(message: EmailMessage) -> str:
    """Return why the server does not take an e-mail; empty where it does. Waits for `EMAIL_TIMEOUT`."""
    try:
        message.send()
    except smtplib.SMTPResponseException as error:
        return _("SMTP status == %(status)s, must be 2xx.") % {"status": error.smtp_code}
    except smtplib.SMTPRecipientsRefused:
        return _("the SMTP server refuses the recipient.")
    except (smtplib.SMTPException, MessageError, OSError, ValueError) as error:
        logger.warning("the SMTP server does not take an e-mail: %s", error)
        sentence = _("the SMTP server does not take it: %(error)s.")
        return sentence % {"error": type(error).__name__}
    return ""
