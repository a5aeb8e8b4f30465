"""Django application of accounts."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Tenants, members, keys, audit."""

    name = "bakeoff.accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"
