"""Django application of accounts."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Tenants, members, keys, audit."""

    name = "bakeoff.accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """List the sessions of who signs in."""
        from bakeoff.accounts.note_sign_in import note_sign_ins  # noqa: PLC0415  models come first

        note_sign_ins()
