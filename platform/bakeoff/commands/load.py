"""`bakeoff load`: bulk load of a catalogue, units or past events."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.labelled_columns import LabelledColumns
from bakeoff.commands.load_file import read_file
from bakeoff.commands.project import find_project, project_option
from bakeoff.commands.row_values import as_json_value, id_of, properties_of
from bakeoff.commands.terminal import echo
from bakeoff.replay.dataset import DatasetError
from experiments import bounds
from experiments.bounds import MAX_NAME, MAX_PROPERTIES_BYTES

if TYPE_CHECKING:
    from experiments.ingest.load_events import PastEvent


@click.group()
def load() -> None:
    """Load items, users or events from CSV, TSV or Parquet.

    A load can be run again: what is there already is changed (items, users) or skipped (events).
    One of events that was interrupted goes on where it was. Bad rows go to FILE.rejected.csv with
    the reason.
    """


@load.command()
@click.argument("file", type=Path)
@project_option
def items(file: Path, slug: str | None) -> None:
    """Columns: item_id; any other is optional.

    Known are title, text, available, published_at, expires_at, group_id, labels (between |), url,
    image_url and price; any other is a property.
    """
    project = find_project(slug)
    from bakeoff.commands.item_columns import read_item
    from experiments.actions.load_catalogue import load_catalogue

    with read_file(file, read_item) as (rows, advance):
        ids = load_catalogue(project_id=project.pk, items=rows, by=OPERATOR, progress=advance)
    echo(f"{len(ids)} items loaded; a worker embeds their texts.")


@load.command()
@click.argument("file", type=Path)
@project_option
def users(file: Path, slug: str | None) -> None:
    """Columns: unit_id (or user_id); any other is an attribute."""
    project = find_project(slug)
    from experiments.actions.load_units import load_units

    def unit(row: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        name = "unit_id" if "unit_id" in row else "user_id"
        attributes = {key: as_json_value(value) for key, value in row.items() if key != name}
        bounds.check(attributes, "attributes", max_bytes=MAX_PROPERTIES_BYTES)
        return id_of(row, name), attributes

    with read_file(file, unit) as (rows, advance):
        total = load_units(project_id=project.pk, units=rows, by=OPERATOR, progress=advance)
    echo(f"{total} users loaded.")


@load.command()
@click.argument("file", type=Path)
@project_option
def events(file: Path, slug: str | None) -> None:
    """Columns: event_id, name, unit_id, occurred_at; item_id, value and properties are optional."""
    project = find_project(slug)
    from experiments.actions.load_past_events import load_past_events
    from experiments.ingest.load_events import PastEvent

    now = datetime.now(UTC)

    def event(row: dict[str, Any]) -> PastEvent:
        value = row.get("value")
        return PastEvent(
            event_id=id_of(row, "event_id"),
            name=id_of(row, "name", max_length=MAX_NAME),
            unit_id=id_of(row, "unit_id"),
            item_id=id_of(row, "item_id") if row.get("item_id") not in {None, ""} else None,
            value=bounds.decimal(value, "value") if value not in {None, ""} else None,
            occurred_at=bounds.past_moment(row.get("occurred_at"), "occurred_at", now=now),
            properties=properties_of(row.get("properties")),
        )

    with read_file(file, event, resume=True) as (rows, advance):
        loaded = load_past_events(project_id=project.pk, events=rows, by=OPERATOR, progress=advance)
    echo(f"{loaded.new} new events, {loaded.known} already loaded.")
    if loaded.unknown:
        every = "every one" if loaded.unknown == loaded.with_item else str(loaded.unknown)
        echo(
            f"Of {loaded.with_item} new events with an item, {every} names an item that is not in the "
            "catalogue: they are not learnt before it is there (`bakeoff load items`)."
        )


@load.command()
@click.argument("file", type=Path)
@click.option("--surface", "key", required=True, help="Surface whose models train on them.")
@click.option("--text", "text_column", default="text", show_default=True, help="Column of the text.")
@click.option(
    "--label", "label_column", default="label", show_default=True, help="Column of the label."
)
@click.option("--id", "id_column", default=None, help="Column of an id; without one the row's content.")
@click.option("--features/--no-features", default=True, help="Whether the other columns are features.")
@project_option
def labelled(
    file: Path,
    key: str,
    text_column: str,
    label_column: str,
    id_column: str | None,
    features: bool,  # noqa: FBT001  click names it
    slug: str | None,
) -> None:
    """Columns: a text, a label; any other is a feature. A surface that is not there is made."""
    project = find_project(slug)
    from bakeoff.commands.labels_seen import LabelsSeen
    from experiments.actions.change_surface import put_surface
    from experiments.actions.load_labelled_texts import load_labelled_texts
    from inference.models import Surface

    surface = Surface.objects.filter(project=project, key=key).first()
    is_new = surface is None
    if surface is not None and surface.kind != Surface.Kind.CLASSIFY:
        raise click.UsageError(f"surface '{key}' is of kind '{surface.kind}', must be 'classify'.")
    columns = LabelledColumns(file, text_column, label_column, id_column, features=features)
    labels = LabelsSeen(surface.labels if surface is not None else ())
    with read_file(file, lambda row: labels.add(columns.example(row))) as (rows, advance):
        first = next(rows, None)
        if first is None:
            advance(0)  # writes down why each row is rejected
            raise DatasetError(f"file '{file}' has no row that can be loaded.")
        if surface is None:  # not before: a file that holds nothing leaves nothing behind
            values = {"kind": Surface.Kind.CLASSIFY}
            surface = put_surface(project=project, key=key, values=values, replace=False, by=OPERATOR)
        loaded = load_labelled_texts(
            surface=surface, examples=chain([first], rows), by=OPERATOR, progress=advance
        )
    echo(
        f"{loaded.total} labelled examples are in{f', and surface {key} is made' if is_new else ''}"
        + (f" ({loaded.new} are new, {loaded.replaced} replaced)" if loaded.replaced else "")
        + f": `bakeoff train {key} --algorithm tfidf` makes a first model."
    )
    for sentence in labels.sentences():
        echo(sentence)
