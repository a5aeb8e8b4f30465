"""One attempt to deliver one alert, by the kind of its target.

Guarantees: it ends within `SEND_SECONDS`, or for e-mail within that much silence of the SMTP server; it
never raises; no redirect is followed; of an answer at most `MAX_ANSWER_BYTES` are read and nothing but
its status is kept, so that nobody can read an inner page through a webhook.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import orjson
from django.conf import settings
from django.core.mail import EmailMessage

from bakeoff import __version__
from bakeoff.alerts.models import Subscription
from bakeoff.delivery.claimed import Outcome
from bakeoff.delivery.email import try_to_send
from bakeoff.delivery.signature import headers_of
from bakeoff.delivery.wording import email_body, email_subject, slack_message, webhook_message
from inference.outgoing import AllowError, OutgoingError
from inference.outgoing_wait import post_and_wait

if TYPE_CHECKING:
    from bakeoff.delivery.claimed import ClaimedDelivery

logger = logging.getLogger(__name__)
SEND_SECONDS = 10.0
MAX_ANSWER_BYTES = 64 * 1024
GONE = 410  # HTTP's own word for: do not ask again
JSON = {"content-type": "application/json", "user-agent": f"Bakeoff/{__version__}"}


def send(claimed: ClaimedDelivery) -> Outcome:
    """Make one attempt."""
    try:
        if claimed.kind == Subscription.Kind.EMAIL:
            return _send_email(claimed)
        return _send_over_http(claimed)
    except Exception as error:  # whatever it is, the next attempt and other deliveries go on
        logger.exception("delivery %s failed", claimed.pk)
        return Outcome(delivered=False, error=f"{type(error).__name__}: {error}"[:300])


def _send_over_http(claimed: ClaimedDelivery) -> Outcome:
    if claimed.kind == Subscription.Kind.SLACK:
        body, headers = orjson.dumps(slack_message(claimed)), JSON
    else:
        body = orjson.dumps(webhook_message(claimed))
        # The time is the attempt's: a receiver refuses old ones, and retries go on for a day.
        signed = headers_of(
            claimed.secrets, message_id=claimed.alert_id, timestamp=int(time.time()), body=body
        )
        headers = {**JSON, **signed}
    try:
        answer = post_and_wait(
            claimed.target,
            content=body,
            headers=headers,
            seconds=SEND_SECONDS,
            max_bytes=MAX_ANSWER_BYTES,
        )
    except (OutgoingError, AllowError) as error:
        return Outcome(delivered=False, error=str(error))
    if 200 <= answer.status < 300:
        return Outcome(delivered=True, status=answer.status)
    why = f"status == {answer.status}, must be 2xx"
    if 300 <= answer.status < 400:
        why += "; redirects are not followed"
    return Outcome(
        delivered=False, status=answer.status, error=f"{why}.", is_final=answer.status == GONE
    )


def _send_email(claimed: ClaimedDelivery) -> Outcome:
    if settings.BAKEOFF.smtp is None:
        return Outcome(delivered=False, error="BAKEOFF_SMTP_HOST is not set, must name an SMTP server.")
    message = EmailMessage(
        subject=email_subject(claimed),
        body=email_body(claimed),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[claimed.target],
        # The same in every attempt, so that mailboxes know a repeated message.
        headers={
            "Message-ID": f"<{claimed.alert_id}.{claimed.pk}@bakeoff>",
            "Auto-Submitted": "auto-generated",
        },
    )
    error = try_to_send(message)
    return Outcome(delivered=not error, error=error)
