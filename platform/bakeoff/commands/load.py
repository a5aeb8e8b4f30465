"""`bakeoff load`: bulk load of a catalogue, units or past events."""

from __future__ import annotations

import csv
import json
import math
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import click

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.project import find_project, project_option
from bakeoff.commands.terminal import echo, progress
from bakeoff.replay.dataset import DatasetError, as_feature, stream_rows
from experiments import bounds
from experiments.bounds import (
    MAX_ID,
    MAX_NAME,
    MAX_PROPERTIES_BYTES,
    MAX_TEXT,
    MAX_TITLE,
    BoundsError,
    NotJsonError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from experiments.ingest.load_events import PastEvent
    from inference.actions.load_items import ItemDraft

T = TypeVar("T")


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
    """Columns: item_id; title, text and any other are optional."""
    project = find_project(slug)
    from experiments.actions.load_catalogue import load_catalogue
    from inference.actions.load_items import ItemDraft

    def draft(row: dict[str, Any]) -> ItemDraft:
        known = ("item_id", "title", "text")
        rest = {key: _plain(value) for key, value in row.items() if key not in known}
        title, text = _text(row, "title", max_length=MAX_TITLE), _text(row, "text")
        bounds.check(rest, "properties", max_bytes=MAX_PROPERTIES_BYTES)
        return ItemDraft(_id(row, "item_id"), title, text, rest)

    with _read(file, draft) as (rows, advance):
        ids = load_catalogue(project_id=project.pk, items=rows, by=OPERATOR, progress=advance)
    echo(f"{len(ids)} items are in; their texts are embedded by the worker.")


@load.command()
@click.argument("file", type=Path)
@project_option
def users(file: Path, slug: str | None) -> None:
    """Columns: unit_id (or user_id); any other is an attribute."""
    project = find_project(slug)
    from experiments.actions.load_units import load_units

    def unit(row: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        name = "unit_id" if "unit_id" in row else "user_id"
        attributes = {key: _plain(value) for key, value in row.items() if key != name}
        bounds.check(attributes, "attributes", max_bytes=MAX_PROPERTIES_BYTES)
        return _id(row, name), attributes

    with _read(file, unit) as (rows, advance):
        total = load_units(project_id=project.pk, units=rows, by=OPERATOR, progress=advance)
    echo(f"{total} users are in.")


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
            event_id=_id(row, "event_id"),
            name=_id(row, "name", max_length=MAX_NAME),
            unit_id=_id(row, "unit_id"),
            item_id=_id(row, "item_id") if row.get("item_id") not in {None, ""} else None,
            value=bounds.decimal(value, "value") if value not in {None, ""} else None,
            occurred_at=bounds.past_moment(row.get("occurred_at"), "occurred_at", now=now),
            properties=_properties(row.get("properties")),
        )

    with _read(file, event, resume=True) as (rows, advance):
        loaded = load_past_events(project_id=project.pk, events=rows, by=OPERATOR, progress=advance)
    echo(f"{loaded.new} events are new, {loaded.known} were there already.")
    if loaded.unknown:
        every = "every one" if loaded.unknown == loaded.with_item else str(loaded.unknown)
        echo(
            f"Of {loaded.with_item} new events with an item, {every} names an item that is not in the "
            "catalogue: they are not learnt before it is there (`bakeoff load items`)."
        )


@load.command()
@click.argument("file", type=Path)
@click.option("--surface", "key", required=True, help="The surface whose models learn from them.")
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
    from inference.actions.load_examples import ExampleDraft
    from inference.models import Surface

    surface = Surface.objects.filter(project=project, key=key).first()
    is_new = surface is None
    if surface is not None and surface.kind != Surface.Kind.CLASSIFY:
        raise click.UsageError(f"surface '{key}' is of kind '{surface.kind}', must be 'classify'.")
    rest = {text_column, label_column, id_column}
    labels = LabelsSeen(surface.labels if surface is not None else ())

    def example(row: dict[str, Any]) -> ExampleDraft:
        for name in (label_column, *([id_column] if id_column else [])):
            if name not in row:
                raise DatasetError(f"file '{file}' has no column '{name}': it has {sorted(row)}.")
        draft = ExampleDraft(
            example_id=_id(row, id_column) if id_column else "",
            text=_text(row, text_column),
            label=_id(row, label_column),
            features={k: as_feature(v) for k, v in row.items() if k not in rest} if features else {},
        )
        labels.add(draft.text, draft.features, draft.label)
        return draft

    with _read(file, example) as (rows, advance):
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
        + f": `bakeoff train {key} --recommender tfidf` makes a first model."
    )
    for sentence in labels.sentences():
        echo(sentence)


@contextmanager
def _read(
    file: Path, parse: Callable[[dict[str, Any]], T], *, resume: bool = False
) -> Iterator[tuple[Iterator[T], Callable[[int], None]]]:
    """Yield the good rows of a file and what is to be told of each commit."""
    rejects: _Rejects | None = None
    try:
        stream = stream_rows(file)
        place = _Place(file, keeps=resume)
        if place.done:
            echo(f"Going on after row {place.done} of {file.name}.")
        rejects = _Rejects(file, append=place.done > 0)
        with progress(f"Loading {file.name}", stream.total) as bar:
            reading = _Reading(stream.rows, parse, place, rejects, bar)
            yield reading.good(), reading.advance
            reading.advance(0)
    except DatasetError as error:
        raise click.UsageError(str(error)) from error
    finally:
        if rejects is not None and rejects.count:
            echo(
                f"{rejects.count} rows are rejected, the first because {rejects.first}: {rejects.file}"
            )
    place.forget()


class _Reading(Generic[T]):
    """Rows on their way from a file: what is committed of them is noted, with what was rejected."""

    def __init__(
        self,
        rows: Iterator[dict[str, Any]],
        parse: Callable[[dict[str, Any]], T],
        place: _Place,
        rejects: _Rejects,
        bar: Callable[[int], None],
    ) -> None:
        self._rows, self._parse = rows, parse
        self._place, self._rejects, self._bar = place, rejects, bar
        self._seen = self._told = 0

    def good(self) -> Iterator[T]:
        for row in self._rows:
            self._seen += 1
            if self._seen <= self._place.done:
                continue
            try:
                yield self._parse(row)
            except BoundsError as error:
                self._rejects.add({**row, "row": self._seen + 1, "reason": str(error)})

    def advance(self, _committed: int) -> None:
        """Note that every row so far is committed or rejected."""
        self._bar(self._seen - self._told)
        self._told = self._seen
        self._rejects.write()
        self._place.write(self._seen)


class _Place:
    """How far a load came, kept beside the file until it is done."""

    def __init__(self, file: Path, *, keeps: bool) -> None:
        stat = file.stat()
        self._of = {"size": stat.st_size, "modified": stat.st_mtime_ns}
        self._file = file.with_name(f"{file.name}.progress.json")
        self._keeps = keeps
        self.done = self._read() if keeps else 0

    def _read(self) -> int:
        """Return how many rows are done; none of a file that has changed since."""
        try:
            stored = json.loads(self._file.read_text(encoding="utf-8"))
            return int(stored["rows"]) if stored["of"] == self._of else 0
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def write(self, rows: int) -> None:
        if not self._keeps:
            return
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps({"of": self._of, "rows": rows}), encoding="utf-8")
        new.replace(self._file)

    def forget(self) -> None:
        if self._keeps:
            self._file.unlink(missing_ok=True)


class _Rejects:
    """The file of bad rows; made when there is one, and written when the good ones are committed."""

    def __init__(self, file: Path, *, append: bool) -> None:
        self.file = file.with_name(f"{file.name}.rejected.csv")
        self.count, self.first = 0, ""
        self._waiting: list[dict[str, Any]] = []
        if not append:
            self.file.unlink(missing_ok=True)

    def add(self, row: dict[str, Any]) -> None:
        self.first = self.first or row["reason"]
        self.count += 1
        self._waiting.append(row)

    def write(self) -> None:
        if not self._waiting:
            return
        fresh = not self.file.exists()
        with self.file.open("a", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, fieldnames=list(self._waiting[0]), extrasaction="ignore")
            if fresh:
                writer.writeheader()
            writer.writerows(self._waiting)
        self._waiting.clear()


def _properties(value: Any) -> dict[str, Any]:
    if value is None or value == "":
        return {}
    try:
        properties = value if isinstance(value, dict) else bounds.read_json(str(value).encode())
    except (NotJsonError, UnicodeEncodeError):
        properties = None
    if not isinstance(properties, dict):
        raise BoundsError("properties", value, "a JSON object")
    properties = {name: _plain(entry) for name, entry in properties.items()}
    bounds.check(properties, "properties", max_bytes=MAX_PROPERTIES_BYTES)
    return properties


def _plain(value: Any) -> Any:
    """Return a value of a Parquet file as JSON has it."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _id(row: dict[str, Any], name: str, *, max_length: int = MAX_ID) -> str:
    value = row.get(name)
    return bounds.text("" if value is None else str(value), name, max_length=max_length)


def _text(row: dict[str, Any], name: str, *, max_length: int = MAX_TEXT) -> str:
    value = row.get(name)
    return bounds.text("" if value is None else str(value), name, max_length=max_length, min_length=0)
