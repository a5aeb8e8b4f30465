"""`bakeoff load labelled`: labelled texts of a surface that classifies."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.load_file import read_file
from bakeoff.commands.names import complete_surfaces
from bakeoff.commands.project import find_project, project_option
from bakeoff.commands.terminal import echo
from bakeoff.data_files.labelled import LabelledColumns
from bakeoff.data_files.rows import DatasetError
from experiments.column_names import nearest_column
from inference.plurals import counted

if TYPE_CHECKING:
    from bakeoff.accounts.models import Project
    from inference.actions.example_draft import ExampleDraft
    from inference.actions.load_examples import LoadedExamples
    from inference.models import Surface


@click.command()
@click.argument("file", type=Path)
@click.option(
    "--surface", "key", required=True, shell_complete=complete_surfaces,
    help="Surface whose models train on them.",
)  # fmt: skip
@click.option(
    "--new", "is_new", is_flag=True, help="Make the surface, in a project that has others already."
)
@click.option("--text", "text_column", help="Column of the text; default: text.")
@click.option("--label", "label_column", help="Column of the label; default: label.")
@click.option("--id", "id_column", help="Column of an id; without one the row's content.")
@click.option("--features/--no-features", default=True, help="Whether the other columns are features.")
@click.option(
    "--repeats", is_flag=True, help="Load texts again that are there already under another id."
)
@project_option
def labelled(file: Path, key: str, slug: str | None, **options: Any) -> None:
    """Columns: a text, a label; any other is a feature. The first surface of a project is made.

    Without --id a row is named by its text and features. A row whose text is there already under an id
    of the other sort, or with other features' names, is skipped: it would count twice.
    """
    project = find_project(slug)
    from bakeoff.commands.labels_seen import LabelsSeen
    from experiments.actions.change_surface import put_surface
    from experiments.actions.load_labelled_texts import load_labelled_texts
    from inference.actions.example_draft import ExampleDraft
    from inference.models import Surface

    surface = _find_or_none(project, key, is_new=options["is_new"])
    is_first = surface is None
    columns = LabelledColumns(
        options["text_column"], options["label_column"], options["id_column"], options["features"]
    )
    labels = LabelsSeen(surface.labels if surface is not None else ())

    def parse(row: dict[str, Any]) -> ExampleDraft:
        one = columns.read(row)
        return labels.add(ExampleDraft(one.example_id, one.text, one.label, one.features))

    with read_file(file, parse, prepare=lambda stream: columns.check(file, stream.columns)) as (
        rows,
        reading,
    ):
        first = next(rows, None)
        if first is None:
            reading.advance(0)  # writes down why each row is rejected
            raise DatasetError(f"file '{file}' has no row that can be loaded.")
        if surface is None:  # not before: a file that holds nothing leaves nothing behind
            values = {"kind": Surface.Kind.CLASSIFY}
            surface = put_surface(project=project, key=key, values=values, replace=False, by=OPERATOR)
        loaded = load_labelled_texts(
            surface=surface, examples=chain([first], rows), by=OPERATOR, progress=reading.advance,
            with_repeats=options["repeats"],
        )  # fmt: skip
    echo(_sentence(loaded, f", and surface {key} is made" if is_first else "", key))
    if loaded.skipped:
        echo(_skipped(loaded.skipped, key))
    for sentence in labels.sentences():
        echo(sentence)


def _find_or_none(project: Project, key: str, *, is_new: bool) -> Surface | None:
    """Return the surface; None where it is to be made.

    Raises:
        click.UsageError: it is of another kind; or it is not there, others are, and none is to be made.
    """
    surface = project.surfaces.filter(key=key).first()
    if surface is not None and surface.kind != "classify":
        raise click.UsageError(f"surface '{key}' is of kind '{surface.kind}', must be 'classify'.")
    known = sorted(project.surfaces.values_list("key", flat=True)) if surface is None else []
    if known and not is_new:
        near = nearest_column(key, known)
        hint = f" Did you mean '{near}'?" if near is not None else ""
        raise click.UsageError(f"surface == '{key}', must be one of {known}.{hint} --new makes it.")
    return surface


def _sentence(loaded: LoadedExamples, addition: str, key: str) -> str:
    parts = f" ({loaded.new} new, {loaded.replaced} replaced)" if loaded.replaced else ""
    repeated = (
        f" {counted(loaded.repeated, 'row', 'repeats', 'repeat')} an id: the last one holds."
        if loaded.repeated
        else ""
    )
    return (
        f"{counted(loaded.total, 'labelled example', 'is', 'are')} in{addition}{parts}: "
        f"`bakeoff train {key} --algorithm tfidf` makes a first model.{repeated}"
    )


def _skipped(count: int, key: str) -> str:
    return (
        f"{counted(count, 'row', 'is', 'are')} skipped: an example has the same text already, named by "
        "an id where these have none (or the other way about), or with features of other names. Load "
        "with the same --id and columns to replace it, with --repeats to have both, or delete the old "
        f"ones first (`bakeoff examples delete {key}`)."
    )
