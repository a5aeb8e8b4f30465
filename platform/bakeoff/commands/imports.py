"""`bakeoff import`: models that were made elsewhere, through a surface's gate."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.models import follow_run
from bakeoff.commands.names import surface_argument
from bakeoff.commands.project import find_project, find_surface, project_option
from bakeoff.commands.terminal import fail
from bakeoff.commands.text_files import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from inference.models import Surface

MAX_TEXTS = 200
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("import")
def import_() -> None:
    """Import a model that was made elsewhere; SURFACE's gate judges it."""


def graph_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how a graph is asked; they reach the command as `graph`."""
    for option in (
        click.option("--label", "labels", multiple=True,
                     help="A label, in the order of the columns of the graph's output."),
        click.option("--input", "inputs", multiple=True,
                     help="What an input of the graph reads: text=text, or row=age,income."),
        click.option("--output", default="", help="The graph's output with the scores; else its last."),
        click.option("--softmax", is_flag=True, help="The output has logits, not probabilities."),
        click.option("--missing", type=float, default=0.0, show_default=True,
                     help="What stands for a number that a request does not have."),
        click.option("--deadline-ms", default=500, show_default=True,
                     help="Maximum time for an answer."),
    ):  # fmt: skip
        command = option(command)
    return command


@import_.command()
@surface_argument
@click.argument("file", type=FILE)
@graph_options
@click.option("--items", type=FILE, help="IDs of the items, one a line, in the order of the vectors.")
@project_option
def model(surface: str, file: Path, items: Path | None, slug: str | None, **graph: Any) -> None:
    """Import FILE: ONNX for a surface that labels texts, safetensors for one that ranks items."""
    item_ids = list(lines_of(items)) if items is not None else []
    sent = _Sent(file.read_bytes(), graph["labels"], {"file": file.name}, item_ids)
    inputs = _read_inputs(graph["inputs"])
    _follow_import(find_surface(find_project(slug), surface), sent, inputs, graph)


@import_.command("mlflow")
@click.option("--surface", required=True, help="Surface that labels texts.")
@click.option("--model-uri", "uri", required=True,
              help="Folder of an MLflow model, or an address such as models:/NAME/3.")  # fmt: skip
@click.option("--trust-model", "trusted", is_flag=True,
              help="Load pickles and networks of PyTorch: code in them then runs on this machine, with "
              "your rights. Only where you trust their maker.")  # fmt: skip
@graph_options
@project_option
def mlflow_(
    surface: str,
    uri: str,
    trusted: bool,  # noqa: FBT001  click names it
    slug: str | None,
    **graph: Any,
) -> None:
    """Import a model that MLflow stored: of ONNX, scikit-learn or PyTorch."""
    inputs = _read_inputs(graph["inputs"])
    target = find_surface(find_project(slug), surface)
    from bakeoff.commands.mlflow_conversion import MlflowModelError
    from bakeoff.commands.mlflow_model import read_mlflow_model

    if target.kind != target.Kind.CLASSIFY:
        raise fail(
            f"kind == '{target.kind}', must be '{target.Kind.CLASSIFY.value}' for a model of MLflow: "
            "of a recommender import the vectors, by `bakeoff import model`."
        )
    with tempfile.TemporaryDirectory() as scratch:
        try:
            stored = read_mlflow_model(uri, Path(scratch), trusted=trusted, texts=_texts_of(target))
        except MlflowModelError as error:
            raise fail(str(error)) from error
    sent = _Sent(stored.graph, graph["labels"] or stored.labels, stored.source)
    _follow_import(target, sent, inputs or stored.inputs, graph)


def _texts_of(surface: Surface) -> list[str]:
    """Return texts of the surface, on which a converted model must answer as before."""
    rows = surface.examples.exclude(text="").order_by("-id")
    return list(rows.values_list("text", flat=True)[:MAX_TEXTS])


@dataclass(frozen=True, slots=True)
class _Sent:
    """What an import is made of, besides how it is asked."""

    content: bytes
    labels: Sequence[str]
    source: Mapping[str, str]
    item_ids: Sequence[str] = ()


def _read_inputs(inputs: tuple[str, ...]) -> dict[str, list[str]]:
    read = {}
    for one in inputs:
        name, _, columns = one.rpartition("=")
        if not (name and columns):
            raise click.UsageError(f"input == '{one}', must be like text=text or row=age,income.")
        read[name] = columns.split(",")
    return read


def _follow_import(
    surface: Surface, sent: _Sent, inputs: Mapping[str, Sequence[str]], graph: Mapping[str, Any]
) -> None:
    """Import a model and follow its run; exit 1 unless it passed."""
    from bakeoff.accounts.refused import RefusedError
    from experiments.actions.import_model import import_model
    from inference.actions.queue_training import CannotTrainError
    from inference.actions.store_upload import ModelUpload
    from inference.serving.onnx_model import PROBABILITIES, SOFTMAX

    upload = ModelUpload(
        content=sent.content,
        sha256=hashlib.sha256(sent.content).hexdigest(),
        labels=sent.labels,
        inputs=inputs,
        output=graph["output"],
        activation=SOFTMAX if graph["softmax"] else PROBABILITIES,
        missing=graph["missing"],
        item_ids=sent.item_ids,
        source=sent.source,
    )
    try:
        run = import_model(
            surface=surface, upload=upload, by=OPERATOR, deadline_ms=graph["deadline_ms"]
        )
    except (RefusedError, CannotTrainError) as error:
        raise fail(str(error)) from error
    follow_run(run)
