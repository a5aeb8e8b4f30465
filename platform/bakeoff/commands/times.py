"""Times that a person types: a date or a time, in UTC."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

import click

from bakeoff.accounts.keys import end_of

if TYPE_CHECKING:
    from datetime import datetime

TIME = click.DateTime(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


class DayOrTime(click.DateTime):
    """A time in UTC; a day is the end of it, as on pages."""

    name = TIME.name

    def __init__(self) -> None:
        """Read what `TIME` reads."""
        super().__init__(formats=TIME.formats)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the moment, with its zone."""
        typed = super().convert(value, param, ctx)
        is_day = len(str(value)) == len("2027-01-31")
        return end_of(typed.date()) if is_day else typed.replace(tzinfo=UTC)


def in_utc(typed: datetime | None) -> datetime | None:
    """Return a typed time with its zone."""
    return None if typed is None else typed.replace(tzinfo=UTC)
