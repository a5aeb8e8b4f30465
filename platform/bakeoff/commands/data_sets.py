"""`bakeoff data-sets`: inputs that versions which generate are checked on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.lists import json_option, show_rows
from bakeoff.commands.names import surface_argument
from bakeoff.commands.project import find_project, find_surface, project_option
from bakeoff.commands.terminal import echo, fail
from bakeoff.commands.text_files import lines_of, text_of
from inference.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.actions.load_data_set import DataSetRowDraft
    from inference.models import Surface

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("data-sets")
def data_sets() -> None:
    """Inputs that versions which generate are checked on before they meet users."""


def _options(command: Any) -> Any:
    command = click.option(
        "--gate", "is_gate", is_flag=True, help="Check each new version of SURFACE on it by itself."
    )(command)
    return click.option("--assertions", type=_FILE, help="JSON list of what every answer must hold.")(
        command
    )


@data_sets.command()
@surface_argument
@click.argument("key")
@click.argument("file", type=_FILE)
@_options
@project_option
def load(surface: str, key: str, file: Path, slug: str | None, **options: Any) -> None:
    """Load FILE (JSONL: messages, variables, assertions) as data set KEY of SURFACE."""
    target = find_surface(find_project(slug), surface)
    from experiments.actions.load_data_set import CannotLoadDataSetError, read_rows

    try:
        # With empty lines: a refusal names a line by its number.
        rows = read_rows(line.encode() for line in lines_of(file, with_empty=True))
    except CannotLoadDataSetError as error:
        raise fail(str(error)) from error
    _store(target, key, rows, options)


@data_sets.command()
@surface_argument
@click.argument("key")
@click.option("--rows", "limit", default=200, show_default=True, help="Past requests, at random.")
@_options
@project_option
def freeze(surface: str, key: str, limit: int, slug: str | None, **options: Any) -> None:
    """Freeze past requests of SURFACE that may be learnt from as data set KEY."""
    target = find_surface(find_project(slug), surface)
    from experiments.actions.load_data_set import CannotLoadDataSetError, past_inputs

    try:
        rows = past_inputs(surface=target, limit=limit)
    except CannotLoadDataSetError as error:
        raise fail(str(error)) from error
    _store(target, key, rows, options)


def _store(
    surface: Surface, key: str, rows: Sequence[DataSetRowDraft], options: dict[str, Any]
) -> None:
    from experiments.actions.load_data_set import CannotLoadDataSetError, load_data_set

    assertions: Any = []
    if options["assertions"] is not None:
        try:
            assertions = orjson.loads(text_of(options["assertions"]))
        except orjson.JSONDecodeError as error:
            raise click.UsageError(f"'{options['assertions']}' is not JSON: {error}.") from error
    try:
        stored = load_data_set(
            surface=surface, key=key, rows=rows, assertions=assertions, is_gate=options["is_gate"],
            by=OPERATOR,
        )  # fmt: skip
    except CannotLoadDataSetError as error:
        raise fail(str(error)) from error
    gate = "; each new version is checked on it" if stored.is_gate else ""
    echo(f"{counted(len(rows), 'row')} in data set '{key}' of '{surface.key}'{gate}.")


@data_sets.command("list")
@surface_argument
@json_option
@project_option
def list_data_sets(surface: str, *, as_json: bool, slug: str | None) -> None:
    """List the data sets of SURFACE and the last check on each."""
    target = find_surface(find_project(slug), surface)
    from experiments.models import DataSet

    rows = []
    for one in DataSet.objects.filter(surface=target).order_by("key"):
        check = one.checks.select_related("version").first()
        rows.append(
            {
                "data_set": one.key,
                "rows": one.rows.count(),
                "gate": one.is_gate,
                "last_check": check.version.label if check is not None else None,
                "state": check.state if check is not None else None,
                "reason": check.message if check is not None else None,
            }
        )
    show_rows(
        rows, as_json=as_json, empty="No data sets yet: `bakeoff data-sets load` makes the first."
    )
