"""Rows of the outbox: made for subscriptions, claimed by one worker, settled by what came of it.

Guarantees: every alert that is committed gets one delivery per subscription that wants it; a delivery
is sent by one worker at a time while its lease lasts; one whose worker was killed is sent again, with
the same id, after the lease; a subscription takes one slot and a project `MAX_PER_PROJECT`, so that
receivers that hang hold up none but their own. A clock that was fast and is set back delays none.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import connection, transaction

from bakeoff.alerts.models import Alert, Delivery, Subscription
from bakeoff.delivery.claimed import ClaimedDelivery
from bakeoff.delivery.mentions import is_meant, read_addresses
from bakeoff.delivery.send import SEND_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bakeoff.delivery.claimed import Outcome

MAX_FAN_OUT = 500  # alerts of a turn; the next turn takes more
MAX_PER_PROJECT = 4
# Longer than any attempt: a worker that is slow must not be taken for one that was killed.
LEASE = timedelta(seconds=6 * SEND_SECONDS)
JITTER = 0.25  # so that what failed together does not come back together
# First attempts go before retries: a receiver that is back after hours gets the news first.
_CLAIM = """
    WITH held AS (
        SELECT delivery.subscription_id, subscription.project_id
        FROM alerts_delivery AS delivery
        JOIN alerts_subscription AS subscription ON subscription.id = delivery.subscription_id
        -- No lease is longer: one that ends later was taken by a clock that has been set back.
        WHERE delivery.state = 'waiting'
            AND delivery.leased_until > %(now)s AND delivery.leased_until <= %(until)s
    ), due AS (
        SELECT delivery.id, subscription.project_id, delivery.attempts > 0 AS again, delivery.next_at,
            row_number() OVER (
                PARTITION BY delivery.subscription_id
                ORDER BY delivery.attempts > 0, delivery.next_at, delivery.id
            ) AS of_subscription
        FROM alerts_delivery AS delivery
        JOIN alerts_subscription AS subscription ON subscription.id = delivery.subscription_id
        WHERE delivery.state = 'waiting' AND subscription.enabled
            AND (delivery.tried_at IS NULL OR delivery.tried_at > %(now)s
                OR delivery.next_at <= %(now)s)
            AND delivery.subscription_id NOT IN (SELECT subscription_id FROM held)
    ), fair AS (
        SELECT id, again, next_at,
            row_number() OVER (PARTITION BY project_id ORDER BY again, next_at, id)
            + (SELECT count(*) FROM held WHERE held.project_id = due.project_id) AS of_project
        FROM due WHERE of_subscription = 1
    ), chosen AS (
        SELECT id FROM alerts_delivery
        WHERE id IN (
            SELECT id FROM fair WHERE of_project <= %(per_project)s ORDER BY again, next_at, id
            LIMIT %(slots)s
        )
        -- Again: another worker may have claimed it since the rows above were read.
        AND state = 'waiting'
        AND (leased_until IS NULL OR leased_until <= %(now)s OR leased_until > %(until)s)
        FOR UPDATE SKIP LOCKED
    )
    UPDATE alerts_delivery AS delivery
    SET leased_until = %(until)s, tried_at = %(now)s, attempts = delivery.attempts + 1,
        first_tried_at = coalesce(delivery.first_tried_at, %(now)s)
    FROM chosen WHERE delivery.id = chosen.id RETURNING delivery.id"""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a delivery is tried again.

    Attributes:
        first: pause after the first attempt; each later one is three times as long.
        max_pause: between two attempts.
        give_up_after: the first attempt; then the delivery is dead.
    """

    first: timedelta = timedelta(seconds=5)
    max_pause: timedelta = timedelta(hours=2)
    give_up_after: timedelta = timedelta(days=1)

    def pause_after(self, attempt: int) -> timedelta:
        """Return how long to wait after an attempt, its number from 1, with jitter."""
        factor = 3.0 ** min(attempt - 1, 20)
        pause = min(self.first * factor, self.max_pause)
        return pause * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  no secret


RETRIES = Retries()


def database_now() -> datetime:
    """Return the time of the database: leases of several machines are compared by one clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        row = cursor.fetchone()
    assert row is not None  # noqa: S101  the statement always returns one row
    now: datetime = row[0]
    return now


def fan_out(now: datetime) -> int:
    """Make the deliveries of new alerts; return how many there are."""
    with transaction.atomic():
        # Locked, so that of two workers each takes others; what is locked is the other's to do.
        alerts = list(
            Alert.objects.select_for_update(skip_locked=True)
            .filter(fanned_out_at__isnull=True)
            .order_by("created_at")[:MAX_FAN_OUT]
        )
        if not alerts:
            return 0
        subscriptions: dict[int, list[Subscription]] = defaultdict(list)
        projects = {alert.project_id for alert in alerts}
        for one in Subscription.objects.filter(enabled=True, project__in=projects):
            subscriptions[one.project_id].append(one)
        addresses = read_addresses(alerts)
        deliveries = [
            Delivery(alert=alert, subscription=one)
            for alert in alerts
            for one in subscriptions[alert.project_id]
            if one.wants(alert.event) and is_meant(one, alert, addresses)
        ]
        Delivery.objects.bulk_create(deliveries, ignore_conflicts=True)
        Alert.objects.filter(pk__in=[alert.pk for alert in alerts]).update(fanned_out_at=now)
    return len(deliveries)


def claim(now: datetime, *, slots: int) -> list[ClaimedDelivery]:
    """Take deliveries that are due, so that nobody else sends them until their lease ends."""
    parameters: dict[str, datetime | int] = {
        "now": now,
        "until": now + LEASE,
        "per_project": MAX_PER_PROJECT,
        "slots": slots,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, parameters)
        ids = [pk for (pk,) in cursor.fetchall()]
    if not ids:
        return []
    rows = Delivery.objects.filter(pk__in=ids).select_related("alert__project", "subscription")
    return [ClaimedDelivery.of(row, now) for row in rows]


def settle(
    claimed: ClaimedDelivery, outcome: Outcome, *, now: datetime, retries: Retries = RETRIES
) -> bool:
    """Write what came of an attempt; return False when another attempt has begun since."""
    # Conditional on the attempt: a worker that was frozen beyond its lease writes nothing.
    mine = Delivery.objects.filter(
        pk=claimed.pk, attempts=claimed.attempt, state=Delivery.State.WAITING
    )
    fields: dict[str, object] = {
        "leased_until": None,
        "response_status": outcome.status,
        "last_error": outcome.error[:500],
    }
    end = claimed.first_tried_at + retries.give_up_after
    if outcome.delivered:
        fields |= {"state": Delivery.State.DELIVERED, "delivered_at": now}
    elif outcome.is_final or now >= end:
        fields |= {"state": Delivery.State.DEAD}
    else:
        # The last attempt is at the end of the day, and not two hours before.
        fields |= {"next_at": min(now + retries.pause_after(claimed.attempt), end)}
    return bool(mine.update(**fields))


def release(claimed: Sequence[ClaimedDelivery]) -> None:
    """Give back what was claimed and not sent: a worker that stops lets others have it at once."""
    for one in claimed:
        Delivery.objects.filter(pk=one.pk, attempts=one.attempt).update(leased_until=None)
