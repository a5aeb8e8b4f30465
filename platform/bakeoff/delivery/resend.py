"""Send a delivery again by a person's word: a dead letter, or one whose receiver lost it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.refused import RefusedError
from bakeoff.alerts.models import Delivery
from bakeoff.delivery.deliveries import database_now

if TYPE_CHECKING:
    from bakeoff.alerts.models import Subscription


class ResendRefusedError(RefusedError):
    """The delivery waits already."""


def resend_delivery(*, delivery: Delivery, by: str) -> Delivery:
    """Let a delivery that ended wait again, with the same id and a new day of retries.

    Raises:
        ResendRefusedError: it waits already.
    """
    with transaction.atomic():
        # A worker that settles it and a person that resends it: one after the other.
        locked = (
            Delivery.objects.select_for_update(of=("self",))
            .select_related("alert", "subscription")
            .get(pk=delivery.pk)
        )
        if locked.state == Delivery.State.WAITING:
            raise ResendRefusedError(
                "state == 'waiting', must be 'dead' or 'delivered'.", field="state"
            )
        _begin_again(locked)
        record_audit(
            locked.alert.project_id, actor=by, action="resend alert", subject=str(locked),
            detail={"alert": str(locked.alert_id)},
        )  # fmt: skip
    return locked


def resend_dead(*, subscription: Subscription, by: str) -> int:
    """Let all dead letters of a subscription wait again; return how many there are."""
    with transaction.atomic():
        dead = list(
            subscription.deliveries.select_for_update().filter(state=Delivery.State.DEAD).order_by("id")
        )
        for one in dead:
            _begin_again(one)
        record_audit(
            subscription.project_id, actor=by, action="resend dead letters", subject=subscription.name,
            detail={"deliveries": len(dead)},
        )  # fmt: skip
    return len(dead)


def _begin_again(delivery: Delivery) -> None:
    delivery.state, delivery.next_at = Delivery.State.WAITING, database_now()
    delivery.first_tried_at = delivery.tried_at = None
    delivery.delivered_at = delivery.leased_until = None
    delivery.save()
