"""Admin of alerts: to read; subscriptions are made and changed on their own page."""

from django.contrib import admin

from bakeoff.accounts.read_only_admin import ReadOnlyAdmin
from bakeoff.alerts.models import Alert, Delivery, Subscription


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    list_display = ["name", "project", "kind", "enabled", "created_by", "created_at"]
    list_filter = ["project", "kind"]
    exclude = ["secret", "previous_secret", "target"]  # a target may be a secret, as Slack's are


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "project", "event", "subject", "resolved_at"]
    list_filter = ["project", "event"]


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ["alert", "subscription", "state", "attempts", "next_at", "last_error"]
    list_filter = ["state"]
