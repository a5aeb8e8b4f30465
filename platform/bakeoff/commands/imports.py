"""`bakeoff import`: models that were made elsewhere, through a surface's gate."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.models import follow_run
from bakeoff.commands.names import surface_argument
from bakeoff.commands.project import find_project, find_surface, project_option
from bakeoff.commands.terminal import fail

if TYPE_CHECKING:
    from inference.actions.store_upload import ModelUpload
    from inference.models import Surface

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("import")
def import_() -> None:
    """Import a model that was made elsewhere; SURFACE's gate judges it."""


@import_.command()
@surface_argument
@click.argument("file", type=FILE)
@click.option("--label", "labels", multiple=True,
              help="A label, in the order of the columns of the graph's output.")  # fmt: skip
@click.option("--input", "inputs", multiple=True,
              help="What an input of the graph reads: text=text, or row=age,income.")  # fmt: skip
@click.option("--output", default="", help="The graph's output with the scores; else its last.")
@click.option("--softmax", is_flag=True, help="The output has logits, not probabilities.")
@click.option("--missing", type=float, default=0.0, show_default=True,
              help="What stands for a number that a request does not have.")  # fmt: skip
@click.option("--items", type=FILE, help="IDs of the items, one a line, in the order of the vectors.")
@click.option("--deadline-ms", default=500, show_default=True, help="Maximum time for an answer.")
@project_option
def model(
    surface: str, file: Path, items: Path | None, deadline_ms: int, slug: str | None, **graph: Any
) -> None:
    """Import FILE: ONNX for a surface that labels texts, safetensors for one that ranks items."""
    inputs = _read_inputs(graph["inputs"])
    target = find_surface(find_project(slug), surface)
    from inference.actions.store_upload import ModelUpload
    from inference.serving.onnx_model import PROBABILITIES, SOFTMAX

    content = file.read_bytes()
    upload = ModelUpload(
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        labels=graph["labels"],
        inputs=inputs,
        output=graph["output"],
        activation=SOFTMAX if graph["softmax"] else PROBABILITIES,
        missing=graph["missing"],
        item_ids=items.read_text("utf-8").splitlines() if items is not None else (),
        source={"file": file.name},
    )
    follow_import(target, upload, deadline_ms)


def _read_inputs(inputs: tuple[str, ...]) -> dict[str, list[str]]:
    read = {}
    for one in inputs:
        name, _, columns = one.rpartition("=")
        if not (name and columns):
            raise click.UsageError(f"input == '{one}', must be like text=text or row=age,income.")
        read[name] = columns.split(",")
    return read


def follow_import(surface: Surface, upload: ModelUpload, deadline_ms: int) -> None:
    """Import an upload and follow its run; exit 1 unless it passed."""
    from bakeoff.accounts.refused import RefusedError
    from experiments.actions.import_model import import_model
    from inference.actions.queue_training import CannotTrainError

    try:
        run = import_model(surface=surface, upload=upload, by=OPERATOR, deadline_ms=deadline_ms)
    except (RefusedError, CannotTrainError) as error:
        raise fail(str(error)) from error
    follow_run(run)
