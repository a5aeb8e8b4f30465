"""Carry a model of MLflow over that has to be loaded first: another process loads and converts it.

That process has bounds on time, and of the environment only what Python needs: no address of a database
and no secret. It starts in an empty folder, so that no file beside the model is taken for a library. It
still has this user's rights, so a file whose loading may run code is refused unless the operator says
that they trust its maker.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inference.own_module import run_own_module

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

CONVERTED = ("sklearn", "pytorch")
SKOPS, PICKLE = "skops", "pickle"
SERIALIZATIONS = (SKOPS, PICKLE, "cloudpickle")
MAX_SECONDS = 300.0
PASSED_ON = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "SYSTEMROOT")


class MlflowModelError(Exception):
    """A model that cannot be read or may not be served; the message says what to do."""


@dataclass(frozen=True, slots=True)
class ConvertedModel:
    """A model as a graph, and what it says of itself.

    Attributes:
        graph: ONNX, in one piece.
        labels: in the order of its output's columns; empty where the model names none.
        inputs: what each input reads, where the model says it.
        source: library and version that made it, for the manifest.
    """

    graph: bytes
    labels: Sequence[str]
    inputs: Mapping[str, Sequence[str]]
    source: Mapping[str, str]


def convert_flavour(
    folder: Path, about: Mapping[str, Any], *, trusted: bool, texts: Sequence[str]
) -> ConvertedModel:
    """Return a model of scikit-learn or PyTorch as a graph.

    Args:
        folder: of the model.
        about: what its file MLmodel says.
        trusted: whether code in it may run on this machine.
        texts: on which the graph must answer as the model does.

    Raises:
        MlflowModelError: it may not be loaded, or cannot be converted; the message says what to do.
    """
    name = next(flavour for flavour in CONVERTED if flavour in about["flavors"])
    flavour = about["flavors"][name]
    if not isinstance(flavour, dict):
        raise MlflowModelError(f"the flavour '{name}' says nothing of itself.")
    folder = folder.absolute()  # the other process starts elsewhere
    ask = _ask_torch if name == "pytorch" else _ask_sklearn
    question = ask(folder, flavour, about, trusted=trusted)
    answer, graph = _run({**question, "flavour": name, "texts": list(texts), "runs_code": trusted})
    version = str(flavour.get(f"{name}_version", ""))[:80]
    return ConvertedModel(
        graph, answer["labels"], answer["inputs"], {"flavour": name, f"{name}_version": version}
    )


def _ask_sklearn(
    folder: Path, flavour: Mapping[str, Any], about: Mapping[str, Any], *, trusted: bool
) -> dict[str, Any]:
    del about  # of a network alone
    serialization = str(flavour.get("serialization_format", PICKLE))
    if serialization not in SERIALIZATIONS:
        raise MlflowModelError(
            f"serialization_format == '{serialization[:40]}', must be one of {list(SERIALIZATIONS)}."
        )
    if serialization != SKOPS and not trusted:
        raise MlflowModelError(
            f"serialization_format == '{serialization}', must be '{SKOPS}': to load a pickle runs code "
            "of whoever wrote it. Please log the model by mlflow.sklearn.log_model(…, "
            "serialization_format='skops'), or convert it where it was trained, by skl2onnx; or, where "
            "you trust its maker, say --trust-model."
        )
    path = _inside(folder, str(flavour.get("pickled_model", "model.skops")))
    return {"path": str(path), "serialization": serialization}


def _ask_torch(
    folder: Path, flavour: Mapping[str, Any], about: Mapping[str, Any], *, trusted: bool
) -> dict[str, Any]:
    if not trusted:
        raise MlflowModelError(
            "flavors == ['pytorch'], must hold 'onnx': to load a network runs code of whoever wrote "
            "it, also in the format pt2. Please export it where it was trained, by torch.onnx.export, "
            "and log it by mlflow.onnx.log_model; or, where you trust its maker, say --trust-model."
        )
    code = flavour.get("code")
    return {
        "path": str(_inside(folder, str(flavour.get("model_data", "data")))),
        "width": _width_of(about),
        "code": str(_inside(folder, str(code))) if code else None,
    }


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise MlflowModelError(f"'{name[:80]}' lies outside of the model's folder.")
    if not path.exists():
        raise MlflowModelError(f"the model is incomplete: {name[:80]} is missing.")
    return path


def _width_of(about: Mapping[str, Any]) -> int | None:
    """Return how many numbers a row has, by the signature; None where it does not say."""
    try:
        (one,) = json.loads(about["signature"]["inputs"])
        shape = one["tensor-spec"]["shape"]
    except (KeyError, TypeError, ValueError):
        return None
    return shape[1] if isinstance(shape, list) and len(shape) == 2 and shape[1] > 0 else None


def _run(question: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Let another process convert."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    try:
        done = run_own_module(
            "inference.conversion",
            json.dumps(question).encode() + b"\n",
            seconds=MAX_SECONDS,
            environment=environment,
        )
    except subprocess.TimeoutExpired as error:
        raise MlflowModelError(f"the conversion did not end within {MAX_SECONDS:g} seconds.") from error
    line, _, graph = done.stdout.partition(b"\n")
    try:
        answer = json.loads(line)
    except ValueError as error:
        raise MlflowModelError(
            f"the conversion ended with status {done.returncode}, without an answer."
        ) from error
    if missing := answer.get("missing"):
        raise MlflowModelError(
            f"the library {missing} is not installed: pip install 'bakeoff[convert]'. A model may need "
            "its maker's modules, too."
        )
    if problem := answer.get("problem"):
        raise MlflowModelError(problem)
    return answer, graph
