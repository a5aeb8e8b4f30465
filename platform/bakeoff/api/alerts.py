"""Alerts of the project: subscriptions, what was told, what became of each delivery."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, Router, Schema
from ninja.responses import Status

from bakeoff.alerts.models import Alert, Delivery, Subscription
from bakeoff.api.access import actor_of, project_of
from bakeoff.api.errors import Problem
from bakeoff.api.lookup import get_or_404
from bakeoff.api.paging import ROWS, Limit, Offset, page_of
from bakeoff.api.request_schema import RequestSchema
from bakeoff.delivery.edit_subscriptions import (
    MAX_NAME,
    MAX_TARGET,
    SubscriptionChange,
    SubscriptionDraft,
    SubscriptionRuleError,
    change_subscription,
    create_subscription,
    delete_subscription,
    rotate_secret,
    send_test,
    shown_target,
)
from bakeoff.delivery.resend import ResendRefusedError, resend_dead, resend_delivery

router = Router(tags=["alerts"])
MAX_EVENTS = 50


class SubscriptionIn(RequestSchema):
    """A subscription to be; without events it gets all."""

    name: str = Field(min_length=1, max_length=MAX_NAME)
    kind: Literal["webhook", "slack", "email"]
    target: str = Field(max_length=MAX_TARGET, description="A URL, or an e-mail address.")
    events: list[str] = Field(default_factory=list, max_length=MAX_EVENTS)


class SubscriptionPatch(RequestSchema):
    """What changes; what is not named stays."""

    name: str | None = Field(None, min_length=1, max_length=MAX_NAME)
    target: str | None = Field(None, max_length=MAX_TARGET)
    events: list[str] | None = Field(None, max_length=MAX_EVENTS)
    enabled: bool | None = Field(None, description="False pauses it.")


class SubscriptionOut(Schema):
    """A subscription; the part of a target that is a secret is left out."""

    id: int
    name: str
    kind: str
    target: str
    events: list[str]
    enabled: bool
    created_by: str
    created_at: datetime

    @staticmethod
    def resolve_target(subscription: Subscription) -> str:
        """Return the target as it may be shown."""
        return shown_target(subscription)


class SignedSubscriptionOut(SubscriptionOut):
    """A subscription with its secret, which is shown this once; empty unless it is a webhook."""

    secret: str


class AlertOut(Schema):
    """A fact that was told."""

    id: UUID
    event: str
    subject: str
    summary: str
    detail: dict[str, Any]
    path: str
    created_at: datetime
    resolved_at: datetime | None


class DeliveryOut(Schema):
    """What became of an alert on its way to a subscription."""

    id: int
    alert_id: UUID
    subscription_id: int
    event: str = Field(alias="alert.event")
    state: str
    attempts: int
    next_at: datetime
    delivered_at: datetime | None
    response_status: int | None
    last_error: str


class Resent(Schema):
    """How many deliveries wait again."""

    deliveries: int


@router.get("/alerts", response={200: list[AlertOut]})
def list_alerts(request: HttpRequest, limit: Limit = ROWS, offset: Offset = 0) -> Any:
    """List alerts, newest first."""
    rows = Alert.objects.filter(project=project_of(request))
    return page_of(request, rows, AlertOut, limit=limit, offset=offset)


@router.get("/alerts/deliveries", response={200: list[DeliveryOut]})
def list_deliveries(
    request: HttpRequest,
    state: Literal["waiting", "delivered", "dead"] | None = None,
    limit: Limit = ROWS,
    offset: Offset = 0,
) -> Any:
    """List deliveries, newest first; those in a state, where one is named."""
    rows = _deliveries(request)
    if state is not None:
        rows = rows.filter(state=state)
    return page_of(request, rows, DeliveryOut, limit=limit, offset=offset)


@router.post("/alerts/deliveries/{delivery_id}/resend", response={200: DeliveryOut})
def resend(request: HttpRequest, delivery_id: int) -> Any:
    """Send a delivery that ended again, with the same id and a new day of retries."""
    delivery = get_or_404(_deliveries(request), "delivery", pk=delivery_id)
    try:
        return resend_delivery(delivery=delivery, by=actor_of(request))
    except ResendRefusedError as error:
        raise Problem(409, "wrong_state", str(error), error.field) from error


@router.get("/alerts/subscriptions", response={200: list[SubscriptionOut]})
def list_subscriptions(request: HttpRequest, limit: Limit = ROWS, offset: Offset = 0) -> Any:
    """List subscriptions by name."""
    rows = project_of(request).subscriptions.all()
    return page_of(request, rows, SubscriptionOut, limit=limit, offset=offset)


@router.post("/alerts/subscriptions", response={201: SignedSubscriptionOut})
def subscribe(request: HttpRequest, payload: SubscriptionIn) -> Any:
    """Subscribe. A webhook's secret is in this answer and nowhere else."""
    draft = SubscriptionDraft(payload.name, payload.kind, payload.target, payload.events)
    try:
        created = create_subscription(project=project_of(request), draft=draft, by=actor_of(request))
    except SubscriptionRuleError as error:
        raise Problem(422, "cannot_make", str(error), error.field) from error
    return Status(201, created)


@router.patch("/alerts/subscriptions/{subscription_id}", response={200: SubscriptionOut})
def patch_subscription(request: HttpRequest, subscription_id: int, payload: SubscriptionPatch) -> Any:
    """Change a subscription, or pause it and let it go on."""
    change = SubscriptionChange(payload.name, payload.target, payload.events, payload.enabled)
    try:
        return change_subscription(
            subscription=_find(request, subscription_id), change=change, by=actor_of(request)
        )
    except SubscriptionRuleError as error:
        raise Problem(422, "cannot_change", str(error), error.field) from error


@router.delete("/alerts/subscriptions/{subscription_id}", response={204: None})
def unsubscribe(request: HttpRequest, subscription_id: int) -> Any:
    """Delete a subscription with its deliveries; alerts stay."""
    delete_subscription(subscription=_find(request, subscription_id), by=actor_of(request))
    return Status(204, None)


@router.post("/alerts/subscriptions/{subscription_id}/rotate", response={200: SignedSubscriptionOut})
def rotate(request: HttpRequest, subscription_id: int) -> Any:
    """Give a webhook another secret, which is in this answer; the old one signs beside it for a day."""
    try:
        return rotate_secret(subscription=_find(request, subscription_id), by=actor_of(request))
    except SubscriptionRuleError as error:
        raise Problem(422, "cannot_change", str(error), error.field) from error


@router.post("/alerts/subscriptions/{subscription_id}/test", response={201: DeliveryOut})
def try_out(request: HttpRequest, subscription_id: int) -> Any:
    """Send a test alert to a subscription; list deliveries to see what became of it."""
    try:
        sent = send_test(subscription=_find(request, subscription_id), by=actor_of(request))
    except SubscriptionRuleError as error:
        raise Problem(409, "wrong_state", str(error), error.field) from error
    return Status(201, sent)


@router.post("/alerts/subscriptions/{subscription_id}/resend", response={200: Resent})
def resend_all(request: HttpRequest, subscription_id: int) -> Any:
    """Send all dead letters of a subscription again."""
    count = resend_dead(subscription=_find(request, subscription_id), by=actor_of(request))
    return Resent(deliveries=count)


def _find(request: HttpRequest, subscription_id: int) -> Subscription:
    rows = project_of(request).subscriptions.select_related("project")
    return get_or_404(rows, "subscription", pk=subscription_id)


def _deliveries(request: HttpRequest) -> Any:
    rows = Delivery.objects.filter(alert__project=project_of(request))
    return rows.select_related("alert", "subscription")
