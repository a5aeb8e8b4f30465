"""How commands list rows: a table for people, and with `--json` an array for programs."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
import orjson

from bakeoff.commands.terminal import console, echo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

json_option = click.option("--json", "as_json", is_flag=True, help="Print a JSON array instead.")


def show_rows(
    rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str = "", hidden: Sequence[str] = ()
) -> None:
    """Print rows that have the same fields.

    Args:
        rows: plain values and times by field; a field's name with spaces is its column.
        as_json: as an array of objects.
        empty: what a person reads where there are no rows.
        hidden: fields that a table has no room for.
    """
    if as_json:
        click.echo(orjson.dumps(list(rows), default=str, option=orjson.OPT_INDENT_2).decode())
        return
    if not rows:
        echo(empty or "None.")
        return
    from rich.table import Table
    from rich.text import Text

    shown = [name for name in rows[0] if name not in hidden]
    table = Table()
    for name in shown:
        table.add_column(name.replace("_", " "), no_wrap=name in {"key", shown[0]})
    for row in rows:
        # Text: what people typed may look like rich's markup.
        table.add_row(*(Text(_cell(row[name])) for name in shown))
    console.print(table)


def _cell(value: Any) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return "yes"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
