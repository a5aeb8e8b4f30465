"""PostgreSQL and Valkey of a home, for benches that ask no web process."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def servers(home: str) -> Iterator[None]:
    """Start the servers of a home and set Django up."""
    os.environ["BAKEOFF_HOME"] = home
    os.environ["DJANGO_SETTINGS_MODULE"] = "bakeoff.settings"
    from bakeoff.embedded.supervisor import Platform
    from bakeoff.environment import read_environment

    platform = Platform(read_environment(), port=0)
    platform.start_servers()
    try:
        import django

        django.setup()
        yield
    finally:
        platform.stop()
