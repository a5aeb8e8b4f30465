"""Admin of alerts: to read; subscriptions are made and changed on their own page."""

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from bakeoff.alerts.models import Alert, Delivery, Subscription


class ReadOnlyAdmin(ModelAdmin):
    """Rows that nobody changes by hand: an alert is a fact, a delivery what became of it."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj=None) -> bool:  # noqa: ANN001
        return False

    def has_delete_permission(self, request: HttpRequest, obj=None) -> bool:  # noqa: ANN001
        return False


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
