"""A network of PyTorch as an ONNX graph that answers as it does.

Both of MLflow's formats run code when they are read: `model.pth` is a pickle, and the reader of
`model.pt2` evaluates expressions in it. So this is asked only where the operator trusts the maker.
"""

from __future__ import annotations

import importlib
import io
import logging
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import torch

from inference.conversion.converted import ConversionError, Converted, first_line

if TYPE_CHECKING:
    from pathlib import Path

TOLERANCE = 1e-3  # of a score
TRIED = 50  # rows
EXPORTED, PICKLED, READER = "model.pt2", "model.pth", "pickle_module_info.txt"


def convert_torch(folder: Path, *, width: int | None, code: Path | None) -> Converted:
    """Return a network of rows of numbers as a graph.

    Args:
        folder: with the model's file.
        width: of a row; needed of a pickled network.
        code: a folder with modules that the network needs.

    Raises:
        ConversionError: it cannot be read or exported, or the graph answers otherwise.
    """
    if code is not None:
        sys.path.insert(0, str(code))
    program = _load_exported(folder / EXPORTED) if (folder / EXPORTED).is_file() else None
    if program is None:
        program = _export(_unpickle(folder / PICKLED), width)
    graph = _graph_of(program)
    _require_same(program, graph)
    return Converted(graph)


def _load_exported(path: Path) -> torch.export.ExportedProgram:
    try:
        return torch.export.load(path)
    except Exception as error:  # a damaged archive, or one of another version
        raise ConversionError(f"{path.name} cannot be read: {first_line(error)}.") from error


def _unpickle(path: Path) -> torch.nn.Module:
    try:
        reader = (path.parent / READER).read_text("utf-8").strip()
        module = torch.load(
            path, map_location="cpu", weights_only=False, pickle_module=importlib.import_module(reader)
        )
    except Exception as error:  # code of the file's
        raise ConversionError(f"{path.name} cannot be unpickled: {first_line(error)}.") from error
    if not isinstance(module, torch.nn.Module) or isinstance(module, torch.jit.ScriptModule):
        raise ConversionError(
            f"{path.name} holds a {type(module).__name__}, must hold a torch.nn.Module."
        )
    return module.eval()


def _export(module: torch.nn.Module, width: int | None) -> torch.export.ExportedProgram:
    if width is None:
        raise ConversionError(
            "the model has no signature that gives the width of its rows: log it with an input_example "
            "of numbers, two rows or more."
        )
    shapes = ({0: torch.export.Dim("rows")},)
    try:
        return torch.export.export(module, (torch.zeros(2, width),), dynamic_shapes=shapes)
    except Exception as error:  # what the exporter cannot follow
        raise ConversionError(f"torch.export cannot follow it: {first_line(error)}.") from error


def _graph_of(program: torch.export.ExportedProgram) -> bytes:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # what it lacks is no concern of a graph
    try:
        exported: Any = torch.onnx.export(program, dynamo=True, verbose=False)
    except Exception as error:  # an operator without a counterpart
        raise ConversionError(f"torch.onnx cannot export it: {first_line(error)}.") from error
    written = io.BytesIO(exported.model_proto.SerializeToString())
    return written.getvalue()


def _require_same(program: torch.export.ExportedProgram, graph: bytes) -> None:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 2 or inputs[0].type != "tensor(float)":
        raise ConversionError(
            f"inputs == {[(one.name, one.shape, one.type) for one in inputs]}, must be one of numbers: "
            "rows and columns."
        )
    rows, width = inputs[0].shape
    if not isinstance(width, int) or isinstance(rows, int):
        raise ConversionError(
            f"shape of the input == {inputs[0].shape}, must take any number of rows of one width: log "
            "it with an input_example of two rows or more."
        )
    tried = np.random.default_rng(0).normal(size=(TRIED, width)).astype(np.float32)
    with torch.no_grad():
        wanted: Any = program.module()(torch.from_numpy(tried))
    (answers,) = session.run([session.get_outputs()[-1].name], {inputs[0].name: tried})
    if not isinstance(wanted, torch.Tensor) or wanted.shape != answers.shape:
        raise ConversionError("the network answers no table of scores.")
    apart = float(np.abs(answers - wanted.numpy()).max())
    if not apart <= TOLERANCE * max(1.0, float(wanted.abs().max())):
        raise ConversionError(f"the graph answers otherwise than the network, by {apart:.2g}.")
