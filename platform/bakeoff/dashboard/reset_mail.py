"""Send links for a new password by e-mail, beside the request that asks for them.

The page answers at once and the same, whether or not the address has an account: neither its words nor
its time tell. What waits when a process ends is lost; the person asks again.
"""

from __future__ import annotations

import logging
import smtplib
from concurrent.futures import ThreadPoolExecutor
from email.errors import MessageError

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import DatabaseError, connection
from django.utils import translation
from django.utils.translation import gettext as _

from bakeoff.accounts.reset_by_link import MAIL_HOURS, make_mailed_links

logger = logging.getLogger(__name__)
PLACE = "TOKEN"  # where the link has it
_threads = ThreadPoolExecutor(1, "reset-mail")


def mails_links() -> bool:
    """Whether links go by e-mail: there is a server, and an address of ours that no request chose.

    A link whose host is what a request says would carry its token to whoever sent that request.
    """
    return settings.BAKEOFF.smtp is not None and settings.PUBLIC is not None


def mail_links_later(email: str, link: str) -> None:
    """Make and send a link for each account of an address, soon.

    Args:
        email: as it was typed.
        link: the address of the page, with `PLACE` in it.
    """
    _threads.submit(_mail_links, email, link, translation.get_language() or "en")


def _mail_links(email: str, link: str, language: str) -> None:
    try:
        with translation.override(language):
            for person, token in make_mailed_links(email):
                text = _(
                    "Somebody asked for a new password of your account %(name)s. This link sets one, "
                    "once, within %(hours)s hour:\n\n%(link)s\n\n"
                    "If it was not you, do nothing: your password stays as it is."
                )
                body = text % {
                    "name": person.get_username(),
                    "hours": MAIL_HOURS,
                    "link": link.replace(PLACE, token),
                }
                EmailMessage(
                    subject=_("Bakeoff: a new password"),
                    body=body,
                    from_email=settings.DEFAULT_FROM_EMAIL,
                    to=[person.email],
                    headers={"Auto-Submitted": "auto-generated"},
                ).send()
    except (smtplib.SMTPException, MessageError, OSError, ValueError, DatabaseError) as error:
        logger.warning("a link for a new password was not sent: %s", type(error).__name__)
    finally:
        connection.close()
