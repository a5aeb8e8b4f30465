"""Django application of the pages."""

import importlib

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    """Pages for people."""

    name = "bakeoff.dashboard"
    label = "dashboard"

    def ready(self) -> None:
        """Make Bakeoff's Celery application the current one, wherever Django was set up."""
        importlib.import_module("bakeoff.celery")
