"""Django application of the pages."""

import importlib

from django.apps import AppConfig

from bakeoff.connected_hosts import prefer_connected_hosts


class DashboardConfig(AppConfig):
    """Pages for people."""

    name = "bakeoff.dashboard"
    label = "dashboard"

    def ready(self) -> None:
        """Make Bakeoff's Celery application the current one, wherever Django was set up.

        Its connections begin with the database's host that answered last.
        """
        importlib.import_module("bakeoff.celery")
        prefer_connected_hosts()
        importlib.import_module("bakeoff.dashboard.form_words").speak_plainly()
