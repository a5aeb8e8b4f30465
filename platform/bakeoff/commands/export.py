"""`bakeoff export`: recommendations of many users, what users preferred, and records, as files."""

from __future__ import annotations

import difflib
import itertools
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.lists import json_option, show_rows
from bakeoff.commands.names import surface_argument
from bakeoff.commands.project import find_project, find_surface, project_option
from bakeoff.commands.terminal import Refusal, echo, fail, progress
from bakeoff.commands.text_files import lines_of
from bakeoff.embedded.address import read_address
from bakeoff.environment import read_environment
from inference.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.models import QuerySet

    from experiments.models import DataExport
    from inference.models import Surface

MAX_SAMPLE = 1000  # items whose properties a wrong field is compared with


@click.group()
def export() -> None:
    """Write recommendations, preferences or records to files."""


@export.command()
@surface_argument
@click.option("--k", default=10, show_default=True, type=click.IntRange(1, 100), help="Items per user.")
@click.option("--to", "file", required=True, type=Path, help="Parquet file to write to.")
@click.option("--key", envvar="BAKEOFF_KEY", required=True, help="Secret key; or BAKEOFF_KEY.")
@click.option("--url", help="Address of the platform; that of the home's by default.")
@click.option(
    "--users", "users_file", type=Path, help="Unit IDs, one a line; all users with events by default."
)
@click.option("--context", default="{}", help="Context of every request, as JSON.")
@click.option(
    "--fields", default="", help="More fields and properties of items, with commas; a column each."
)
@click.option(
    "--record-exposures",
    type=click.Choice(["now", "later"]),
    default="later",
    show_default=True,
    help="Whether users count as having seen their items now, or when you report that they were sent.",
)
@project_option
def recommendations(surface: str, slug: str | None, **options: Any) -> None:
    """Write what each user is recommended on a surface of a running platform, one row per item.

    Every user gets what POST /v1/recommend answers: their variant, the rules, the fallbacks.
    """
    from bakeoff.replay.recommendation_export import (
        SCHEMA,
        Export,
        ExportError,
        export_recommendations,
    )

    file: Path = options["file"]
    if not file.parent.is_dir():
        raise click.UsageError(f"folder of '{file}' does not exist.")
    fields = tuple(dict.fromkeys(name for one in options["fields"].split(",") if (name := one.strip())))
    if taken := set(fields).intersection(SCHEMA.names):
        raise click.UsageError(f"fields == '{min(taken)}', must not name a column of every file.")
    row = find_surface(find_project(slug), surface)
    _require_known(row, fields, SCHEMA.names)
    wanted = Export(
        url=options["url"] or read_address(read_environment()),
        key=options["key"],
        surface=surface,
        k=options["k"],
        context=_context(options["context"]),
        expose=options["record_exposures"] == "now",
        fields=fields,
    )
    with _units(row, options["users_file"]) as units, progress("users", None) as advance:
        try:
            exported = export_recommendations(wanted, units, file, advance)
        except ExportError as error:
            raise fail(str(error)) from error
    echo(
        f"{counted(exported.rows, 'row')} of {counted(exported.units, 'user')} written to {file}; "
        f"{counted(exported.empty, 'user')} got no items."
    )


@export.command()
@surface_argument
@click.option("--to", "file", required=True, type=Path, help="JSONL file to write to.")
@project_option
def preferences(surface: str, file: Path, slug: str | None) -> None:
    """Write what users preferred among SURFACE's answers, one pair per line.

    Each line has messages, chosen, rejected, source and at; of an answer that is good and compared with
    no other, rejected is empty. Left out are answers that may not be learnt from, and excluded users.
    """
    if not file.parent.is_dir():
        raise click.UsageError(f"folder of '{file}' does not exist.")
    target = find_surface(find_project(slug), surface)
    from experiments.replica import read_from_replica
    from experiments.training_data.preferences import preferences_of

    rows = read_from_replica(lambda: preferences_of(target))
    columns = (rows.messages, rows.chosen, rows.rejected, rows.sources, rows.preferred_at)
    with file.open("wb") as out:
        for messages, chosen, rejected, source, at in zip(*columns, strict=True):
            line = {
                "messages": messages, "chosen": chosen, "rejected": rejected, "source": source,
                "at": at,
            }  # fmt: skip
            out.write(orjson.dumps(line) + b"\n")
    pairs = sum(bool(one) for one in rows.rejected)
    echo(f"{counted(len(rows.chosen), 'answer')} written to {file}, {pairs} of them as pairs.")


@export.command()
@click.option(
    "--to", "folder", required=True, type=click.Path(path_type=Path), help="Folder to write to."
)
@click.option("--every", type=int, metavar="SECONDS", help="Also by itself, this often.")
@project_option
def data(folder: Path, every: int | None, slug: str | None) -> None:
    """Write events, exposures and decisions to a folder as Parquet, each row once.

    A later call, or the schedule, writes what has come since. Without --every there is no schedule.
    """
    project = find_project(slug)
    from experiments.actions.export_rows import export_rows
    from experiments.actions.put_export import CannotExportError, put_export

    try:
        row = put_export(project=project, folder=folder, every_seconds=every, by=OPERATOR)
    except CannotExportError as error:
        raise Refusal(str(error)) from error
    echo(f"{counted(export_rows(export=row), 'row')} written to {row.folder}.")


@export.command("list")
@json_option
@project_option
def list_exports(slug: str | None, *, as_json: bool) -> None:
    """List where records are exported to, how often, and how far that has come."""
    rows = [
        {
            "folder": row.folder, "every_seconds": row.every_seconds, "rows": row.rows,
            "finished_at": row.finished_at,
        }
        for row in _exports_of(slug)
    ]  # fmt: skip
    show_rows(rows, as_json=as_json, empty="None: `bakeoff export data --to FOLDER` makes one.")


@export.command()
@click.argument("folder", type=click.Path(path_type=Path))
@project_option
def stop(folder: Path, slug: str | None) -> None:
    """End the export to FOLDER; its files stay."""
    row = _exports_of(slug).filter(folder=str(folder.absolute())).first()
    if row is None:
        raise Refusal(f"folder == '{folder.absolute()}', must be one of `bakeoff export list`.")
    from experiments.actions.put_export import end_export

    end_export(export=row, by=OPERATOR)
    echo(f"Nothing more is written to {row.folder}.")


def _exports_of(slug: str | None) -> QuerySet[DataExport]:
    project = find_project(slug)  # sets Django up
    from experiments.models import DataExport

    return DataExport.objects.filter(project=project)


def _require_known(surface: Surface, fields: Iterable[str], columns: Iterable[str]) -> None:
    """Refuse a field that no item has or has had: its column would be empty without a word."""
    from inference.actions.known_properties import known_properties
    from inference.models import Item
    from inference.serving.catalogue import STANDARD_FIELDS

    had = known_properties(surface.project_id)  # a file that is written daily outlives its items
    items = Item.objects.filter(project_id=surface.project_id)
    for name in fields:
        if name in STANDARD_FIELDS or name in had or items.filter(properties__has_key=name).exists():
            continue
        sample = items.order_by("pk").values_list("properties", flat=True)[:MAX_SAMPLE]
        known = sorted({*STANDARD_FIELDS, *itertools.chain.from_iterable(sample)}.difference(columns))
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"Known are {', '.join(known[:20])}."
        raise click.UsageError(
            f"fields == '{name:.60}', must be a field or property of an item. {hint}"
        )


def _context(text: str) -> dict[str, Any]:
    try:
        context = orjson.loads(text)
    except ValueError as error:
        raise click.UsageError(f"context == '{text:.60}', must be JSON: {error}.") from error
    if not isinstance(context, dict):
        raise click.UsageError(f"context == '{text:.60}', must be a JSON object.")
    return context


@contextmanager
def _units(surface: Surface, file: Path | None) -> Iterator[Iterator[str]]:
    """Yield the units to ask for, each once where they come from the log."""
    if file is None:
        from experiments.training_data.interactions import units_of

        yield itertools.chain.from_iterable(units_of(surface))
        return
    yield lines_of(file)
