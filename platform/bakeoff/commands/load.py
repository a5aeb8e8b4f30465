"""`bakeoff load`: bulk load of a catalogue, units or past events."""

from __future__ import annotations

import csv
import math
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bakeoff.commands.project import find_project, project_option
from bakeoff.commands.terminal import progress, say
from bakeoff.replay.dataset import DatasetError, read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from experiments.ingest.load_events import PastEvent
    from inference.actions.load_items import ItemDraft

MOST_ID = 200
T = TypeVar("T")


class BadRowError(ValueError):
    """A row that is not loaded; the message says why."""


@click.group()
def load() -> None:
    """Load items, users or events from CSV, TSV or Parquet.

    A load can be run again: what is there already is changed (items, users) or skipped (events).
    Bad rows go to FILE.rejected.csv with the reason.
    """


@load.command()
@click.argument("file", type=Path)
@project_option
def items(file: Path, slug: str | None) -> None:
    """Columns: item_id; title, text and any other are optional."""
    project = find_project(slug)
    from inference.actions.load_items import ItemDraft, load_items
    from inference.cache import cache_client
    from inference.serving.changes import announce_change
    from inference.tasks import embed_items

    def draft(row: dict[str, Any]) -> ItemDraft:
        known = ("item_id", "title", "text")
        rest = {key: _plain(value) for key, value in row.items() if key not in known}
        title, text = _text(row, "title")[:500], _text(row, "text")
        return ItemDraft(_id(row, "item_id"), title, text, rest)

    with _read(file, draft) as (rows, advance):
        ids = load_items(project_id=project.pk, items=rows, progress=advance)
    for start in range(0, len(ids), 500):
        embed_items.delay(ids[start : start + 500])
    announce_change(cache_client())
    say(f"{len(ids)} items are in; their texts are embedded by the worker.")


@load.command()
@click.argument("file", type=Path)
@project_option
def users(file: Path, slug: str | None) -> None:
    """Columns: unit_id (or user_id); any other is an attribute."""
    project = find_project(slug)
    from experiments.actions.load_units import load_units

    def unit(row: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        name = "unit_id" if "unit_id" in row else "user_id"
        return _id(row, name), {key: _plain(value) for key, value in row.items() if key != name}

    with _read(file, unit) as (rows, advance):
        total = load_units(project_id=project.pk, units=rows, progress=advance)
    say(f"{total} users are in.")


@load.command()
@click.argument("file", type=Path)
@project_option
def events(file: Path, slug: str | None) -> None:
    """Columns: event_id, name, unit_id, occurred_at; item_id and value are optional."""
    project = find_project(slug)
    from django.db import connection

    from experiments.ingest.load_events import PastEvent, load_events

    def event(row: dict[str, Any]) -> PastEvent:
        value = row.get("value")
        return PastEvent(
            event_id=_id(row, "event_id"),
            name=_id(row, "name", most=100),
            unit_id=_id(row, "unit_id"),
            item_id=_id(row, "item_id") if row.get("item_id") not in {None, ""} else None,
            value=_number(value) if value not in {None, ""} else None,
            occurred_at=_time(row.get("occurred_at")),
        )

    connection.ensure_connection()
    with _read(file, event) as (rows, advance):
        loaded = load_events(connection.connection, project.pk, rows, progress=advance)
    say(f"{loaded.new} events are new, {loaded.known} were there already.")


@contextmanager
def _read(
    file: Path, parse: Callable[[dict[str, Any]], T]
) -> Iterator[tuple[Iterator[T], Callable[[int], None]]]:
    """Yield the good rows of a file and a progress bar; write the bad ones beside the file."""
    try:
        rows = read_rows(file)
    except DatasetError as error:
        raise click.UsageError(str(error)) from error
    rejected: list[dict[str, Any]] = []

    def good() -> Iterator[T]:
        for line, row in enumerate(rows, start=2):
            try:
                yield parse(row)
            except BadRowError as error:
                rejected.append({**row, "row": line, "reason": str(error)})

    with progress(f"Loading {file.name}", len(rows)) as advance:
        yield good(), advance
        advance(len(rejected))
    if rejected:
        beside = file.with_name(f"{file.name}.rejected.csv")
        with beside.open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, fieldnames=list(rejected[0]), extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rejected)
        say(f"{len(rejected)} rows are rejected, the first because {rejected[0]['reason']}: {beside}")


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _id(row: dict[str, Any], name: str, *, most: int = MOST_ID) -> str:
    value = str(row.get(name) if row.get(name) is not None else "")
    if not 1 <= len(value) <= most or "\0" in value:
        raise BadRowError(f"{name} == {value[:40]!r}, must be a text of 1 to {most} characters")
    return value


def _text(row: dict[str, Any], name: str) -> str:
    return str(row.get(name) or "").replace("\0", "")


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise BadRowError(f"value == {value!r}, must be a finite number")
    return number


def _time(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    try:
        try:
            return datetime.fromtimestamp(float(value), UTC)
        except (TypeError, ValueError):
            at = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        raise BadRowError(f"occurred_at == {value!r}, must be seconds or ISO 8601") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
