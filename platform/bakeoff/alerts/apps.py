"""Django application of alerts."""

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    """The outbox of alerts, subscriptions to them, and their deliveries."""

    name = "bakeoff.alerts"
    label = "alerts"
    default_auto_field = "django.db.models.BigAutoField"
