"""Send the link of an invitation to whom it is for.

Guarantees: a link that goes out has the platform's own address, which no request chose; whoever invites
is told whether it was sent, and has the link in any case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.translation import gettext as _

from bakeoff.accounts.invite import DAYS, note_mailed
from bakeoff.delivery.email import try_to_send
from experiments.reports.code_names import name_of
from experiments.reports.stored_text import end_sentence, show_stored

if TYPE_CHECKING:
    from bakeoff.accounts.models import Invitation


# Whoever invites waits meanwhile; the link is there in any case.
MAX_SILENCE_SECONDS = 5.0


def why_no_mail() -> str:
    """Return why no invitation can be sent here; empty where one can."""
    if settings.BAKEOFF.smtp is None:
        return _("BAKEOFF_SMTP_HOST names no SMTP server.")
    if settings.PUBLIC is None:
        return _("BAKEOFF_PUBLIC_URL is not set.")
    return ""


def mail_invitation(invitation: Invitation, *, path: str, by: str) -> str:
    """Send an invitation, in the present language; return why not, empty where it was sent.

    Args:
        invitation: with an address.
        path: of the page that its link opens.
        by: who invites.
    """
    public = settings.PUBLIC
    if (why := why_no_mail()) or public is None:
        return why
    message = _message(invitation, f"{public.origin}{path}", by)
    if why := try_to_send(message, seconds=MAX_SILENCE_SECONDS):
        return end_sentence(show_stored(why))
    note_mailed(invitation=invitation, by=by)
    return ""


def _message(invitation: Invitation, link: str, by: str) -> EmailMessage:
    project = " ".join(str(invitation.project.name).split())  # a header is one line
    subject = _("Bakeoff: %(by)s invites you to %(project)s")
    body = _(
        "%(by)s invites you to the project %(project)s. Your role: %(role)s. This link lets one person "
        "in, within %(days)s days:\n\n%(link)s\n\nIf you did not expect it, do nothing."
    )
    names = {"by": by, "project": project}
    role = name_of(f"role {invitation.role}")
    return EmailMessage(
        subject=subject % names,
        body=body % {**names, "role": role, "days": DAYS, "link": link},
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[invitation.email],
        headers={"Auto-Submitted": "auto-generated"},
    )
