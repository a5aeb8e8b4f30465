"""`bakeoff load`: bulk load of a catalogue, units or past events."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.load_file import read_file
from bakeoff.commands.load_labelled import labelled
from bakeoff.commands.load_options import (
    EVENT,
    ITEM,
    USER,
    as_text_option,
    column_options,
    new_kinds_option,
)
from bakeoff.commands.project import find_project, project_option
from bakeoff.commands.terminal import echo
from experiments import bounds
from experiments.bounds import MAX_NAME, BoundsError
from inference.plurals import counted, verb

if TYPE_CHECKING:
    from experiments.ingest.load_events import Loaded
    from inference.actions.load_items import ItemDraft


@click.group()
def load() -> None:
    """Load items, users or events from CSV, TSV or Parquet.

    A load can be run again: what is there already is changed (items, users) or skipped (events).
    One of events that was interrupted goes on where it was. Bad rows go to FILE.rejected.csv with
    the reason.
    """


load.add_command(labelled)


@load.command()
@click.argument("file", type=Path)
@column_options(ITEM)
@as_text_option
@new_kinds_option
@click.option("--replace", is_flag=True, help="Empty what the file has no column for.")
@project_option
def items(
    file: Path,
    slug: str | None,
    as_text: tuple[str, ...],
    *,
    new_kinds: bool,
    replace: bool,
    **named: Any,
) -> None:
    """Columns: item_id; any other is optional. What has no column stays as it is stored.

    Known are title, text, available, published_at, expires_at, group_id, labels (between |), url,
    image_url and price, or the columns that the options name; any other is a property.
    """
    project = find_project(slug)
    from bakeoff.commands.item_columns import ItemColumns
    from bakeoff.data_files.stored_kinds import stored_texts
    from experiments.actions.load_catalogue import load_catalogue

    stored = None if new_kinds else partial(stored_texts, project.items.all(), "properties")
    columns = ItemColumns(file, named, as_text, stored, replace=replace)
    # Looked at before: what the file adds keeps nothing.
    merges = not replace and project.items.exists()
    with read_file(file, columns.read, prepare=columns.prepare) as (rows, reading):

        def refuse(item: ItemDraft, why: str) -> None:
            reading.reject(item, why)
            columns.leave_out(item)

        load_catalogue(
            project_id=project.pk,
            items=rows,
            by=OPERATOR,
            named=columns.named,
            refused=refuse,
            progress=reading.advance,
        )
    echo(f"{counted(columns.distinct, 'item')} loaded; a worker embeds their texts.")
    if merges:
        echo("What the file has no column for stayed as it was (--replace empties it).")
    for sentence in columns.sentences():
        echo(sentence)


@load.command()
@click.argument("file", type=Path)
@column_options(USER)
@as_text_option
@new_kinds_option
@project_option
def users(
    file: Path, unit_id: str | None, as_text: tuple[str, ...], slug: str | None, *, new_kinds: bool
) -> None:
    """Columns: unit_id (or user_id); any other is an attribute."""
    project = find_project(slug)
    from bakeoff.commands.user_columns import UserColumns
    from bakeoff.data_files.stored_kinds import stored_texts
    from experiments.actions.load_units import load_units

    stored = None if new_kinds else partial(stored_texts, project.units.all(), "attributes")
    columns = UserColumns(file, unit_id, as_text, stored)
    with read_file(file, columns.read, prepare=columns.prepare) as (rows, reading):
        load_units(project_id=project.pk, units=rows, by=OPERATOR, progress=reading.advance)
    echo(f"{counted(columns.distinct, 'user')} loaded.")
    for sentence in columns.sentences():
        echo(sentence)


@load.command()
@click.argument("file", type=Path)
@column_options(EVENT)
@click.option("--event", metavar="NAME", help="Name of every event, for a file without such a column.")
@click.option(
    "--without-ids", is_flag=True, help="Name each event by its content, for a file without ids."
)
@project_option
def events(
    file: Path, event: str | None, slug: str | None, *, without_ids: bool, **named: str | None
) -> None:
    """Columns: event_id, name, unit_id, occurred_at; item_id, value and properties are optional.

    The options name other columns. With --without-ids a row that occurs twice is one event.
    """
    project = find_project(slug)
    from bakeoff.commands.event_columns import EventColumns
    from experiments.actions.load_past_events import load_past_events

    if (event is not None and named["name"]) or (without_ids and named["event_id"]):
        raise click.UsageError("give one of --event and --name, and of --without-ids and --event-id.")
    try:
        event = bounds.text(event, "event", max_length=MAX_NAME) if event is not None else None
    except BoundsError as error:
        raise click.UsageError(str(error)) from error
    columns = EventColumns(file, named, event=event, has_ids=not without_ids)
    options = {**named, "event": event, "without_ids": without_ids}
    with read_file(file, columns.read, prepare=columns.prepare, resume=options) as (rows, reading):
        loaded = load_past_events(
            project_id=project.pk, events=rows, by=OPERATOR, progress=reading.advance
        )
    echo(f"{counted(loaded.new, 'new event')}, {loaded.known} already loaded.")
    for sentence in columns.sentences():
        echo(sentence)
    if loaded.unknown:
        echo(_unknown_items(loaded))


def _unknown_items(loaded: Loaded) -> str:
    """Say how many events name an item that is not there."""
    if loaded.unknown == loaded.with_item:
        which = "it names" if loaded.with_item == 1 else "every one names"
    else:
        which = f"{loaded.unknown} {verb(loaded.unknown, 'names', 'name')}"
    is_one = loaded.unknown == 1
    return (
        f"Of {counted(loaded.with_item, 'new event')} with an item, {which} an item that is not in the "
        f"catalogue: {'it is' if is_one else 'they are'} not learnt before it is there "
        "(`bakeoff load items`)."
    )
