"""Mentions in comments, of which each member hears at their own address alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.models import User

from bakeoff.alerts.models import Alert, Subscription

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def read_addresses(alerts: Iterable[Alert]) -> Mapping[str, set[str]]:
    """Return the usernames of members behind each e-mail address; empty where nobody is mentioned."""
    projects = {alert.project_id for alert in alerts if alert.event == Alert.Event.MENTION}
    if not projects:
        return {}
    people: dict[str, set[str]] = {}
    members = User.objects.filter(membership__project__in=projects).exclude(email="")
    for name, email in members.values_list("username", "email"):
        people.setdefault(email.lower(), set()).add(name)
    return people


def is_meant(subscription: Subscription, alert: Alert, people: Mapping[str, set[str]]) -> bool:
    """Whether an alert is for a subscription's target.

    A mention goes to the addresses of members whom it mentions, and to targets that are no member's:
    a channel, a program, a list of people.
    """
    if alert.event != Alert.Event.MENTION or subscription.kind != Subscription.Kind.EMAIL:
        return True
    names = people.get(subscription.target.lower())
    return names is None or not names.isdisjoint(alert.detail.get("mentioned", ()))
