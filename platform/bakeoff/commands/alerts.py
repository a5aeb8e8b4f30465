"""`bakeoff alerts`: who is told of what, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.lists import json_option, show_rows
from bakeoff.commands.project import find_project, project_option
from bakeoff.commands.terminal import echo

if TYPE_CHECKING:
    from bakeoff.alerts.models import Subscription

event_option = click.option(
    "--event", "events", multiple=True, help="Event, such as verdict; repeat for several. Default: all."
)


@click.group()
def alerts() -> None:
    """Subscribe to alerts, and see what became of them."""


@alerts.command()
@click.argument("name")
@click.argument("target")
@click.option(
    "--kind", type=click.Choice(["webhook", "slack", "email"]), default="webhook", show_default=True
)
@event_option
@project_option
def subscribe(name: str, target: str, kind: str, events: tuple[str, ...], slug: str | None) -> None:
    """Send alerts to TARGET, a URL or an e-mail address; a webhook's secret is shown once."""
    project = find_project(slug)
    from bakeoff.delivery.edit_subscriptions import (
        SubscriptionDraft,
        SubscriptionRuleError,
        create_subscription,
    )

    draft = SubscriptionDraft(name, kind, target, events)
    try:
        subscription = create_subscription(project=project, draft=draft, by=OPERATOR)
    except SubscriptionRuleError as error:
        raise click.UsageError(str(error)) from error
    echo(subscription.secret or f"'{name}' is subscribed.")


@alerts.command(name="list")
@json_option
@project_option
def list_subscriptions(*, as_json: bool, slug: str | None) -> None:
    """List subscriptions."""
    project = find_project(slug)
    from django.db.models import Count, Q

    from bakeoff.delivery.edit_subscriptions import shown_target

    counted = project.subscriptions.annotate(
        waiting=Count("deliveries", filter=Q(deliveries__state="waiting")),
        dead=Count("deliveries", filter=Q(deliveries__state="dead")),
    )
    rows = [
        {
            "name": row.name,
            "kind": row.kind,
            "target": shown_target(row),
            "events": row.events or ["all"],
            "status": "active" if row.enabled else "paused",
            "waiting": row.waiting,
            "dead": row.dead,
        }
        for row in counted
    ]
    show_rows(
        rows, as_json=as_json, empty="No subscriptions yet: `bakeoff alerts subscribe` makes one."
    )


@alerts.command()
@click.argument("name")
@click.option("--name", "new_name", help="Another name.")
@click.option("--target", help="Another URL or e-mail address.")
@event_option
@click.option("--all-events", is_flag=True, help="Send all events.")
@click.option("--pause/--resume", "paused", default=None, help="Stop sending for now, or go on.")
@project_option
def change(
    name: str,
    new_name: str | None,
    target: str | None,
    events: tuple[str, ...],
    *,
    all_events: bool,
    paused: bool | None,
    slug: str | None,
) -> None:
    """Change a subscription, pause it, or let it go on."""
    if events and all_events:
        raise click.UsageError("give one of --event and --all-events.")
    if not (new_name or target or events or all_events or paused is not None):
        raise click.UsageError("give --name, --target, --event, --all-events, --pause or --resume.")
    subscription = _find(name, slug)
    from bakeoff.delivery.edit_subscriptions import (
        SubscriptionChange,
        SubscriptionRuleError,
        change_subscription,
    )

    changed = SubscriptionChange(
        name=new_name,
        target=target,
        events=events if events or all_events else None,
        enabled=None if paused is None else not paused,
    )
    try:
        change_subscription(subscription=subscription, change=changed, by=OPERATOR)
    except SubscriptionRuleError as error:
        raise click.UsageError(str(error)) from error
    echo(f"'{new_name or name}' is changed.")


@alerts.command()
@click.argument("name")
@project_option
def rotate(name: str, slug: str | None) -> None:
    """Give a webhook another secret, shown once; the old one signs beside it for a day."""
    subscription = _find(name, slug)
    from bakeoff.delivery.edit_subscriptions import SubscriptionRuleError, rotate_secret

    try:
        echo(rotate_secret(subscription=subscription, by=OPERATOR).secret)
    except SubscriptionRuleError as error:
        raise click.UsageError(str(error)) from error


@alerts.command(name="test")
@click.argument("name")
@project_option
def send_test(name: str, slug: str | None) -> None:
    """Send a test alert to a subscription."""
    subscription = _find(name, slug)
    from bakeoff.delivery import edit_subscriptions

    try:
        delivery = edit_subscriptions.send_test(subscription=subscription, by=OPERATOR)
    except edit_subscriptions.SubscriptionRuleError as error:
        raise click.UsageError(str(error)) from error
    echo(f"Delivery {delivery.pk} waits for a worker; `bakeoff alerts deliveries` shows its state.")


@alerts.command()
@click.argument("name")
@project_option
def unsubscribe(name: str, slug: str | None) -> None:
    """Delete a subscription with its deliveries."""
    subscription = _find(name, slug)
    from bakeoff.delivery.edit_subscriptions import delete_subscription

    delete_subscription(subscription=subscription, by=OPERATOR)
    echo(f"'{name}' is deleted.")


@alerts.command()
@click.option("--state", type=click.Choice(["waiting", "delivered", "dead"]), help="Only these.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@json_option
@project_option
def deliveries(state: str | None, limit: int, *, as_json: bool, slug: str | None) -> None:
    """List deliveries, newest first."""
    project = find_project(slug)
    from bakeoff.alerts.models import Delivery

    chosen = Delivery.objects.filter(alert__project=project).select_related("alert", "subscription")
    if state:
        chosen = chosen.filter(state=state)
    rows = [
        {
            "id": row.pk,
            "when": row.created_at,
            "event": row.alert.event,
            "subject": row.alert.subject,
            "to": row.subscription.name,
            "state": row.state,
            "attempts": row.attempts,
            "error": row.last_error,
        }
        for row in chosen[:limit]
    ]
    show_rows(rows, as_json=as_json, empty="No deliveries.")


@alerts.command()
@click.argument("delivery_id", type=int)
@project_option
def resend(delivery_id: int, slug: str | None) -> None:
    """Send a delivery that ended again, with the same id."""
    project = find_project(slug)
    from bakeoff.alerts.models import Delivery
    from bakeoff.delivery.resend import ResendRefusedError, resend_delivery

    delivery = Delivery.objects.filter(pk=delivery_id, alert__project=project).first()
    if delivery is None:
        raise click.UsageError(f"delivery == {delivery_id}, not found in this project.")
    try:
        resend_delivery(delivery=delivery, by=OPERATOR)
    except ResendRefusedError as error:
        raise click.UsageError(str(error)) from error
    echo(f"Delivery {delivery_id} waits again.")


def _find(name: str, slug: str | None) -> Subscription:
    subscription = find_project(slug).subscriptions.filter(name=name).first()
    if subscription is None:
        raise click.UsageError(f"subscription == '{name}', not found in this project.")
    return subscription
