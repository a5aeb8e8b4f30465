"""`bakeoff examples`: the labelled texts of a surface that classifies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.lists import json_option, show_rows
from bakeoff.commands.names import surface_argument
from bakeoff.commands.project import find_project, find_surface, project_option
from bakeoff.commands.terminal import echo
from bakeoff.commands.text_files import lines_of
from bakeoff.commands.times import TIME, in_utc
from inference.plurals import counted, verb

MAX_SHOWN = 80  # letters of a text in a table


@click.group()
def examples() -> None:
    """List and delete the labelled texts that `bakeoff load labelled` brought."""


@examples.command("list")
@surface_argument
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Newest examples."
)
@json_option
@project_option
def list_examples(surface: str, *, limit: int, as_json: bool, slug: str | None) -> None:
    """List the labelled texts of SURFACE, the newest first."""
    target = find_surface(find_project(slug), surface)
    from inference.models import Example

    rows = Example.objects.filter(surface=target).order_by("-labelled_at", "-pk")[:limit]
    shown = [
        {
            "id": row.example_id,
            "label": row.label,
            "text": row.text if as_json or len(row.text) <= MAX_SHOWN else f"{row.text[:MAX_SHOWN]}…",
            "features": row.features,
            "labelled_at": row.labelled_at,
        }
        for row in rows
    ]
    empty = "No examples yet: `bakeoff load labelled` brings them."
    show_rows(shown, as_json=as_json, empty=empty, hidden=("features",))


@examples.command()
@surface_argument
@click.argument("example_ids", metavar="[EXAMPLE]...", nargs=-1)
@click.option(
    "--ids", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="Text file of ids, one a line.",
)  # fmt: skip
@click.option(
    "--since", type=TIME, help="Those that a load at this time (UTC) or later added or replaced."
)
@click.option("--without-text", is_flag=True, help="Those whose text is empty.")
@click.option("--all", "every", is_flag=True, help="All of them.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@project_option
def delete(surface: str, example_ids: tuple[str, ...], slug: str | None, **options: Any) -> None:
    """Delete labelled texts of SURFACE for good: by their ids, or by an option.

    Reviewers' tasks of these texts go with them.
    """
    target = find_surface(find_project(slug), surface)
    from experiments.actions.delete_labelled_texts import ExampleSelection, delete_labelled_texts

    ids = list(example_ids) or _read_ids(options["ids"])
    ways = (ids is not None, options["since"] is not None, options["without_text"], options["every"])
    if bool(example_ids) + (options["ids"] is not None) > 1 or sum(ways) != 1:
        raise click.UsageError("give one of: ids, --ids, --since, --without-text and --all.")
    selection = ExampleSelection(
        ids=ids, since=in_utc(options["since"]), without_text=options["without_text"]
    )
    count = selection.count(target)
    missing = len(set(ids)) - count if ids is not None else 0
    if missing:
        echo(f"{counted(missing, 'id')} {verb(missing)} not among the examples of '{surface}'.")
    if count and not options["yes"]:
        click.confirm(f"Delete {counted(count, 'example')} of '{surface}' for good?", abort=True)
    deleted = delete_labelled_texts(surface=target, selection=selection, by=OPERATOR)
    echo(
        f"{counted(deleted, 'example')} deleted. Versions that have learnt from them stay: train anew."
        if deleted
        else "No example is deleted."
    )


def _read_ids(file: Path | None) -> list[str] | None:
    return None if file is None else list(lines_of(file))
