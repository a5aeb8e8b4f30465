"""A delivery on its way, and what came of it: plain data, so that threads that send touch no table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from bakeoff.alerts.models import Delivery


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery that this worker alone sends, until its lease ends.

    Attributes:
        pk: of the delivery.
        attempt: its number, from 1: the fencing token of what is written afterwards.
        first_tried_at: when its day of retries began.
        alert_id: the same in every attempt: receivers know a repeated alert by it.
        kind: of the target, one of `Subscription.Kind`.
        target: a URL, or an e-mail address.
        secrets: that sign a webhook: the present one, and while it is rotated the one before.
        project: its slug.
        event, subject, summary, detail, created_at: of the alert.
        url: of the page about it; None where no public address is set.
    """

    pk: int
    attempt: int
    first_tried_at: datetime
    alert_id: str
    kind: str
    target: str
    secrets: tuple[str, ...]
    project: str
    event: str
    subject: str
    summary: str
    detail: Mapping[str, Any]
    created_at: datetime
    url: str | None

    @classmethod
    def of(cls, delivery: Delivery, now: datetime) -> ClaimedDelivery:
        """Read a row whose alert, project and subscription are loaded."""
        alert, subscription = delivery.alert, delivery.subscription
        rotating = (
            subscription.previous_secret_until is not None and now < subscription.previous_secret_until
        )
        previous = (subscription.previous_secret,) if rotating else ()
        return cls(
            pk=delivery.pk,
            attempt=delivery.attempts,
            first_tried_at=delivery.first_tried_at or now,
            alert_id=str(alert.pk),
            kind=subscription.kind,
            target=subscription.target,
            secrets=(subscription.secret, *previous),
            project=alert.project.slug,
            event=alert.event,
            subject=alert.subject,
            summary=alert.summary,
            detail=alert.detail,
            created_at=alert.created_at,
            url=page_url(alert.path),
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt.

    Attributes:
        delivered: whether the receiver took it.
        status: of the HTTP answer, if there was one.
        error: why it was not delivered.
        is_final: whether no further attempt makes sense.
    """

    delivered: bool
    status: int | None = None
    error: str = ""
    is_final: bool = False


def page_url(path: str) -> str | None:
    """Return the address of a page for people elsewhere; None where no public address is set."""
    public = settings.BAKEOFF.public
    return f"{public}{path}" if public is not None and path else None
