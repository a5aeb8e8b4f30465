"""Django's connections begin with the host of the database that the one before reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.backends.signals import connection_created

from bakeoff.preferred_host import is_one_of_several, reordered

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


def prefer_connected_hosts() -> None:
    """Begin to do so, in this process."""
    connection_created.connect(_prefer, dispatch_uid="prefer_connected_hosts")


def _prefer(connection: BaseDatabaseWrapper, **_: object) -> None:
    settings = connection.settings_dict  # one of the process: all threads learn of it
    options = settings["OPTIONS"]
    if not is_one_of_several(options):
        return
    info = connection.connection.info
    hosts, ports = str(options.get("host", "")), str(options.get("port", ""))
    if parts := reordered(hosts, ports, info.host, info.port):
        # One assignment: a thread that connects now reads hosts and ports of one moment.
        settings["OPTIONS"] = {**options, **parts}
