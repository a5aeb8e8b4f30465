"""Times that a person types: a date or a time, in UTC."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from datetime import datetime

TIME = click.DateTime(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


def in_utc(typed: datetime | None) -> datetime | None:
    """Return a typed time with its zone."""
    return None if typed is None else typed.replace(tzinfo=UTC)
