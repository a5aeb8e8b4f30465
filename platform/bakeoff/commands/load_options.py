"""Options of `bakeoff load` that name a column for a field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

# Field, further names of its option (those of `bakeoff replay`), what it is.
ITEM = (
    ("item_id", (), "the item's id"),
    ("title", (), "the title"),
    ("text", (), "the text; may be repeated"),
    ("available", (), "whether it may be shown"),
    ("published_at", (), "when it appears"),
    ("expires_at", (), "when it ends"),
    ("group_id", (), "the product of which it is a variant"),
    ("labels", (), "the labels, between |"),
    ("url", (), "the address of its page"),
    ("image_url", (), "the address of its picture"),
    ("price", (), "the price"),
)
USER = (("unit_id", ("--user-id",), "the user's id"),)
EVENT = (
    ("event_id", (), "the event's id"),
    ("name", (), "the event's name, such as click"),
    ("unit_id", ("--user-id",), "the user's id"),
    ("item_id", (), "the item's id"),
    ("value", ("--rating",), "the value: a rating, a revenue"),
    ("occurred_at", ("--timestamp",), "the time"),
    ("properties", (), "further properties, as JSON"),
)


def column_options(fields: tuple[tuple[str, tuple[str, ...], str], ...]) -> Callable[[Any], Any]:
    """Return a decorator that gives a command an option per field."""

    def decorate(command: Any) -> Any:
        for field, others, what in reversed(fields):
            option = click.option(
                f"--{field.replace('_', '-')}", *others, field, metavar="COLUMN",
                multiple=field == "text", help=f"Column of {what}.",
            )  # fmt: skip
            command = option(command)
        return command

    return decorate


as_text_option = click.option(
    "--as-text", multiple=True, metavar="COLUMN", help="Keep a column as text; may be repeated."
)
new_kinds_option = click.option(
    "--new-kinds", is_flag=True, help="Read numbers as such even where texts are stored."
)
