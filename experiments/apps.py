"""Django application of experiments."""

from django.apps import AppConfig


class ExperimentsConfig(AppConfig):
    """Experiments, records, analysis, decisions."""

    name = "experiments"
    default_auto_field = "django.db.models.BigAutoField"
