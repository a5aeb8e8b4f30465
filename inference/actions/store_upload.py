"""Store a model that was made elsewhere: checked, in a safe format, under the hash of its content.

Guarantees: nothing in a file is unpickled or run as code; a graph is first loaded in a process of its
own, which has bounds; an upload is of one surface, and no other surface can name it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from django.conf import settings

from bakeoff.accounts.refused import RefusedError
from inference.models import Surface
from inference.own_module import run_own_module
from inference.serving.artifact import ArtifactDraft, ArtifactError, check_artifact, save_artifact
from inference.serving.onnx_model import ACTIVATIONS, FILE, ONNX, PROBABILITIES, OnnxSpec
from inference.serving.scorers import draft_vectors
from inference.training.label_names import LabelsError, check_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

MAX_FILE = 2_000_000_000  # bytes: what protobuf, and so a graph in one file, can hold
MAX_SOURCE, MAX_SOURCE_VALUE = 10, 300
MAX_WIDTH = 4096  # of an item's vector
PROBE_SECONDS = 90.0
VECTORS, CONTEXT, BIAS = "item_vectors", "context_vectors", "bias"
# How formats begin that run code of the file's when they are loaded, or hold files that do.
_UNSAFE = {b"\x80": "a pickle", b"PK\x03\x04": "a zip archive, as torch.save writes them"}


@dataclass(frozen=True, slots=True)
class ModelUpload:
    """A file, and what it takes to serve it.

    Attributes:
        content: ONNX for a surface that labels, safetensors for one that ranks.
        sha256: of the content.
        labels: of a graph, in the order of its output's columns.
        inputs: of a graph: see `OnnxSpec`.
        output: likewise.
        activation: likewise.
        missing: likewise.
        item_ids: of vectors, in the order of their rows.
        source: where it comes from, by name.
    """

    content: bytes
    sha256: str
    labels: Sequence[str] = ()
    inputs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    output: str = ""
    activation: str = PROBABILITIES
    missing: float = 0.0
    item_ids: Sequence[str] = ()
    source: Mapping[str, str] = field(default_factory=dict)


def store_upload(surface: Surface, upload: ModelUpload) -> str:
    """Store an upload as an artifact and return its SHA-256.

    Raises:
        RefusedError: it is damaged, unsafe or of the wrong shape, or the surface takes none.
    """
    _check_file(upload)
    _check_source(upload.source)
    about: dict[str, Any] = {
        "surface": surface.pk,
        "source": dict(upload.source),
        "file": upload.sha256,
    }
    if surface.kind == Surface.Kind.CLASSIFY:
        draft = _draft_graph(upload, about)
    elif surface.kind == Surface.Kind.RECOMMEND:
        draft = _draft_vectors(upload, about)
    else:
        kinds = [Surface.Kind.CLASSIFY.value, Surface.Kind.RECOMMEND.value]
        raise RefusedError(
            f"kind == '{surface.kind}', must be one of {kinds} to import a model.", field="kind"
        )
    try:
        return save_artifact(settings.BAKEOFF.artifacts, draft)
    except ArtifactError as error:
        raise RefusedError(str(error), field="file") from error


def require_upload(surface: Surface, digest: str) -> None:
    """Check that an artifact is an upload of this surface.

    Raises:
        ValueError: it is none, of another surface, or damaged.
    """
    try:
        _, manifest = check_artifact(settings.BAKEOFF.artifacts, digest)
    except ArtifactError:
        manifest = {"about": {}}
    if manifest["about"].get("surface") != surface.pk:
        raise ValueError(f"upload == '{digest}', must be an upload of surface '{surface}'.")


def _check_file(upload: ModelUpload) -> None:
    if not 1 <= len(upload.content) <= MAX_FILE:
        raise RefusedError(
            f"bytes of the file == {len(upload.content)}, must be in [1, {MAX_FILE}].", field="file"
        )
    digest = hashlib.sha256(upload.content).hexdigest()
    if upload.sha256.lower() != digest:
        raise RefusedError(
            f"sha256 == '{upload.sha256:.80}', must be that of the file that arrived: {digest}.",
            field="sha256",
        )
    if upload.content[8:9] == b"{":  # safetensors: its first eight bytes are a length, so any
        return
    for start, name in _UNSAFE.items():
        if upload.content.startswith(start):
            raise RefusedError(
                f"the file is {name}, which may run code where it is loaded: convert the model to "
                "ONNX, or its vectors to safetensors.",
                field="file",
            )


def _check_source(source: Mapping[str, str]) -> None:
    if len(source) > MAX_SOURCE:
        raise RefusedError(
            f"source has {len(source)} fields, must have at most {MAX_SOURCE}.", field="source"
        )
    for name, value in source.items():
        if max(len(name), len(value)) > MAX_SOURCE_VALUE or "\0" in name + value:
            raise RefusedError(
                f"source: '{name[:50]}' must be a text of at most {MAX_SOURCE_VALUE} characters.",
                field="source",
            )


def _draft_graph(upload: ModelUpload, about: Mapping[str, Any]) -> ArtifactDraft:
    if upload.item_ids:
        raise RefusedError("item_ids are for a surface that ranks; this one labels.", field="item_ids")
    if upload.activation not in ACTIVATIONS:
        raise RefusedError(
            f"activation == '{upload.activation:.50}', must be one of {list(ACTIVATIONS)}.",
            field="activation",
        )
    try:
        labels = check_labels(upload.labels)
    except LabelsError as error:
        raise RefusedError(str(error), field="labels") from error
    if len(labels) < 2:
        raise RefusedError(
            f"labels == {labels}, must be at least 2, in the order of the output's columns.",
            field="labels",
        )
    spec = OnnxSpec(
        {name: list(columns) for name, columns in upload.inputs.items()},
        upload.output,
        upload.activation,
        upload.missing,
        list(range(len(labels))),
    )
    spec = _probe(upload.content, spec, len(labels))
    share = 1 / len(labels)
    described = {"labels": labels, "prior": [share] * len(labels), ONNX: spec.as_json()}
    return ArtifactDraft(
        form=ONNX, arrays={}, about={**about, **described}, files={FILE: upload.content}
    )


def _probe(graph: bytes, spec: OnnxSpec, labels: int) -> OnnxSpec:
    """Return the spec with the graph's inputs, after another process has answered with it."""
    question = json.dumps({"spec": spec.as_json(), "labels": labels}).encode()
    try:
        done = run_own_module(
            "inference.serving.probe_onnx",
            question + b"\n" + graph,
            seconds=PROBE_SECONDS,
            environment=os.environ,
        )
    except subprocess.TimeoutExpired as error:
        raise RefusedError(
            f"the model gave no answer within {PROBE_SECONDS:g} seconds.", field="file"
        ) from error
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        raise RefusedError(
            f"the model cannot be loaded: the process that tried ended with status {done.returncode}.",
            field="file",
        ) from error
    if problem := answer.get("problem"):
        raise RefusedError(problem, field="file")
    return OnnxSpec(**answer["spec"])


def _draft_vectors(upload: ModelUpload, about: Mapping[str, Any]) -> ArtifactDraft:
    if upload.labels or upload.inputs:
        raise RefusedError(
            "labels and inputs are for a surface that labels; this one ranks.", field="labels"
        )
    arrays, item_ids = _read_tensors(upload.content), list(upload.item_ids)
    if len(set(item_ids)) != len(item_ids):
        raise RefusedError("item_ids name an item twice.", field="item_ids")
    vectors = arrays[VECTORS]
    rows, width = len(item_ids), vectors.shape[-1] if vectors.ndim else 0
    shapes = {VECTORS: (rows, width), CONTEXT: (rows, width), BIAS: (rows,)}
    for name, array in arrays.items():
        if array.shape != shapes[name] or not 1 <= width <= MAX_WIDTH:
            raise RefusedError(
                f"shape of '{name}' == {array.shape}, must be {shapes[name]} for {rows} item_ids, of a "
                f"width in [1, {MAX_WIDTH}].",
                field="file",
            )
    return draft_vectors(
        item_ids=item_ids,
        item_vectors=vectors,
        # An item says the same of who liked it as of itself, where nothing else is said.
        context_vectors=arrays.get(CONTEXT, vectors),
        bias=arrays.get(BIAS, np.zeros(rows, np.float32)),
        default_order=np.arange(rows, dtype=np.int32),
        about=about,
    )


def _read_tensors(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the tensors of a safetensors file, float32."""
    from safetensors import SafetensorError  # noqa: PLC0415  where a file comes
    from safetensors.numpy import load  # noqa: PLC0415  likewise

    try:
        tensors = load(content)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise RefusedError(f"the file cannot be read as safetensors: {error}.", field="file") from error
    names = (VECTORS, CONTEXT, BIAS)
    if VECTORS not in tensors or not set(tensors) <= set(names):
        raise RefusedError(
            f"tensors == {sorted(tensors)[:10]}, must be '{VECTORS}', with '{CONTEXT}' and '{BIAS}' or "
            "without.",
            field="file",
        )
    for name, tensor in tensors.items():
        if tensor.dtype.kind != "f":
            raise RefusedError(
                f"type of '{name}' == {tensor.dtype}, must be float16, float32 or float64.",
                field="file",
            )
    return {name: np.asarray(tensor, dtype=np.float32) for name, tensor in tensors.items()}
