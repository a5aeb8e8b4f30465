"""Who hears of what: subscriptions are created, changed, paused, rotated, tested and deleted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.models import Project
from bakeoff.accounts.refused import RefusedError
from bakeoff.alerts.models import Alert, Delivery, Subscription
from bakeoff.delivery.signature import make_secret
from inference.outgoing import AddressRefusedError, check_address

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_SUBSCRIPTIONS = 100  # of a project: each alert is multiplied by them
MAX_NAME = 100
MAX_TARGET = 1000
OVERLAP = timedelta(days=1)  # in which both secrets sign
# A test is for one subscription, by its button, and no event to subscribe to.
EVENTS = tuple(event for event in Alert.Event.values if event != Alert.Event.TEST)


class SubscriptionRuleError(RefusedError):
    """A subscription would break a rule; `field` names where."""


@dataclass(frozen=True, slots=True)
class SubscriptionDraft:
    """A subscription to be.

    Attributes:
        name: what people call it; one of its kind in a project.
        kind: one of `Subscription.Kind`.
        target: a URL, or an e-mail address.
        events: which alerts; empty: all.
    """

    name: str
    kind: str
    target: str
    events: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class SubscriptionChange:
    """What changes; None leaves it as it is. The kind stays: another kind is another subscription."""

    name: str | None = None
    target: str | None = None
    events: Sequence[str] | None = None
    enabled: bool | None = None


def create_subscription(*, project: Project, draft: SubscriptionDraft, by: str) -> Subscription:
    """Create a subscription; the secret of a webhook is shown by who calls this, once.

    Raises:
        SubscriptionRuleError: name, kind, target or events break a rule.
    """
    with transaction.atomic():
        # The project's row, so that two who create at once see each other's names and number.
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        checked = _checked(project, draft)
        subscription = Subscription.objects.create(
            project=project,
            name=checked.name,
            kind=checked.kind,
            target=checked.target,
            events=list(checked.events),
            secret=make_secret() if checked.kind == Subscription.Kind.WEBHOOK else "",
            created_by=by,
        )
        _record(subscription, "subscribe", by)
    return subscription


def change_subscription(
    *, subscription: Subscription, change: SubscriptionChange, by: str
) -> Subscription:
    """Change a subscription, or pause it and let it go on.

    While it is paused no deliveries are made for it, and those that wait go on waiting.

    Raises:
        SubscriptionRuleError: name, target or events break a rule.
    """
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=subscription.project_id)
        locked = Subscription.objects.select_related("project").get(pk=subscription.pk)
        draft = SubscriptionDraft(
            name=locked.name if change.name is None else change.name,
            kind=locked.kind,
            target=locked.target if change.target is None else change.target,
            events=locked.events if change.events is None else change.events,
        )
        checked = _checked(locked.project, draft, but=locked)
        locked.name, locked.target, locked.events = checked.name, checked.target, list(checked.events)
        if change.enabled is not None:
            locked.enabled = change.enabled
        locked.save(update_fields=["name", "target", "events", "enabled"])
        _record(locked, "change subscription", by)
    return locked


def rotate_secret(*, subscription: Subscription, by: str) -> Subscription:
    """Give a webhook another secret; the one before signs beside it for a day.

    Raises:
        SubscriptionRuleError: it is no webhook.
    """
    with transaction.atomic():
        # Of two that rotate at once, the second would end the first one's secret unseen: one by one.
        locked = Subscription.objects.select_for_update().get(pk=subscription.pk)
        if locked.kind != Subscription.Kind.WEBHOOK:
            raise SubscriptionRuleError(
                f"kind == '{locked.kind}', must be 'webhook': only webhooks are signed.", field="kind"
            )
        locked.previous_secret, locked.secret = locked.secret, make_secret()
        locked.previous_secret_until = timezone.now() + OVERLAP
        locked.save(update_fields=["secret", "previous_secret", "previous_secret_until"])
        _record(locked, "rotate secret of subscription", by)
    return locked


def delete_subscription(*, subscription: Subscription, by: str) -> None:
    """Delete a subscription with its deliveries; alerts stay."""
    with transaction.atomic():
        # Of two that delete at once, one writes the audit entry.
        locked = Subscription.objects.select_for_update().filter(pk=subscription.pk).first()
        if locked is not None:
            _record(locked, "delete subscription", by)
            locked.delete()


def send_test(*, subscription: Subscription, by: str) -> Delivery:
    """Send a test alert to one subscription; a worker delivers it.

    Raises:
        SubscriptionRuleError: it is paused, so nothing would come.
    """
    with transaction.atomic():
        subscription = Subscription.objects.select_related("project").get(pk=subscription.pk)
        if not subscription.enabled:
            raise SubscriptionRuleError(
                "enabled == false, must be true: resume it first.", field="enabled"
            )
        alert = Alert.objects.create(
            project=subscription.project,
            event=Alert.Event.TEST,
            subject=subscription.name,
            summary=f"This is a test of the subscription '{subscription.name}', sent by {by}.",
            path=f"/p/{subscription.project.slug}/alerts/",
            fanned_out_at=timezone.now(),  # it is for this subscription alone
        )
        delivery = Delivery.objects.create(alert=alert, subscription=subscription)
        _record(subscription, "test subscription", by)
    return delivery


def _record(subscription: Subscription, action: str, by: str) -> None:
    """Write the audit entry; neither a secret nor a target that may hold one stands in it."""
    detail = {
        "kind": subscription.kind,
        "target": shown_target(subscription),
        "events": subscription.events,
        "enabled": subscription.enabled,
    }
    record_audit(
        subscription.project_id, actor=by, action=action, subject=subscription.name, detail=detail
    )


def shown_target(subscription: Subscription) -> str:
    """Return a target as it may be shown: whoever knows a Slack URL can write to its channel."""
    if subscription.kind == Subscription.Kind.EMAIL:
        return subscription.target
    scheme, _, rest = subscription.target.partition("://")
    host, slash, path = rest.partition("/")
    hides_path = subscription.kind == Subscription.Kind.SLACK or "?" in path
    return f"{scheme}://{host}{slash}{'…' if hides_path and path else path}"


def _checked(
    project: Project, draft: SubscriptionDraft, *, but: Subscription | None = None
) -> SubscriptionDraft:
    """Return a draft as it is stored; `but` is the subscription that it changes."""
    name = draft.name.strip()
    if not 1 <= len(name) <= MAX_NAME:
        raise SubscriptionRuleError(
            f"name == '{name[:40]}', must be 1 to {MAX_NAME} characters.", field="name"
        )
    others = project.subscriptions.exclude(pk=0 if but is None else but.pk)
    if others.filter(name=name).exists():
        raise SubscriptionRuleError(f"name == '{name}', must be one of its own.", field="name")
    if but is None and others.count() >= MAX_SUBSCRIPTIONS:
        raise SubscriptionRuleError(
            f"subscriptions == {MAX_SUBSCRIPTIONS}, must be below {MAX_SUBSCRIPTIONS} to add one."
        )
    return replace(
        draft, name=name, target=_target(draft.kind, draft.target.strip()), events=_events(draft.events)
    )


def _events(events: Sequence[str]) -> list[str]:
    """Return events in their order, each once."""
    for event in events:
        if event not in EVENTS:
            raise SubscriptionRuleError(
                f"event == '{event}', must be one of {list(EVENTS)}.", field="events"
            )
    return [event for event in EVENTS if event in events]


def _target(kind: str, target: str) -> str:
    if kind not in Subscription.Kind.values:
        raise SubscriptionRuleError(
            f"kind == '{kind}', must be one of {Subscription.Kind.values}.", field="kind"
        )
    if len(target) > MAX_TARGET:
        raise SubscriptionRuleError(
            f"target == {len(target)} characters, must be at most {MAX_TARGET}.", field="target"
        )
    if kind == Subscription.Kind.EMAIL:
        return _email(target)
    try:
        check_address(target)
    except AddressRefusedError as error:
        raise SubscriptionRuleError(f"target: {error}", field="target") from error
    return target


def _email(target: str) -> str:
    if settings.BAKEOFF.smtp is None:
        raise SubscriptionRuleError(
            "kind == 'email', must be another: BAKEOFF_SMTP_HOST names no SMTP server.", field="kind"
        )
    try:
        validate_email(target)
    except ValidationError as error:
        raise SubscriptionRuleError(
            f"target == '{target[:80]}', must be an e-mail address.", field="target"
        ) from error
    return target
