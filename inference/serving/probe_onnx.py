"""`python -m inference.serving.probe_onnx`: load a graph that somebody sent, and answer with it once.

A process of its own: a graph that crashes the runtime, or takes all memory, ends this process and no
other. Standard input holds a line of JSON, the spec and how many labels there are, and then the graph;
the answer is a line of JSON: the spec with the graph's inputs, or a sentence that says what is wrong.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.serving.artifact import ArtifactError
from inference.serving.onnx_model import PROBABILITIES, OnnxModel, OnnxSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

PROBES = ("", "a text that nobody wrote")
TOLERANCE = 0.01  # of a sum of probabilities: graphs in half precision round
MAX_CPU_SECONDS = 60
MAX_MEMORY = 8 * 1024**3  # of addresses: more than any graph needs that answers within a deadline


def probe(graph: bytes, spec: OnnxSpec, labels: int) -> OnnxSpec:
    """Return the spec with the graph's own inputs, after an answer of the right shape.

    Raises:
        ArtifactError: the graph cannot be served; the message says why.
    """
    _refuse_outer_data(graph)
    model = OnnxModel(graph, spec)
    scores = model.scores(PROBES, [{} for _ in PROBES])
    if scores.shape[1] != labels:
        raise ArtifactError(
            f"columns of the output == {scores.shape[1]}, must be {labels}: one per label."
        )
    if not np.isfinite(scores).all():
        raise ArtifactError("the output is not finite where no feature is known: set `missing`.")
    sums = scores.sum(1)
    if spec.activation == PROBABILITIES and (
        (scores < 0).any() or (np.abs(sums - 1) > TOLERANCE).any()
    ):
        raise ArtifactError(
            f"a row of the output sums to {sums[0]:.4g}, must be probabilities that sum to 1: for "
            "logits set activation to 'softmax'."
        )
    return model.spec


def _refuse_outer_data(graph: bytes) -> None:
    """Refuse weights in other files: their paths would be opened on this machine."""
    import onnx  # noqa: PLC0415  slow to import
    from google.protobuf.message import DecodeError  # noqa: PLC0415  comes with it

    try:
        model = onnx.load_model_from_string(graph)
    except DecodeError as error:
        raise ArtifactError(f"the file cannot be read as ONNX: {error}.") from error
    tensors = [*_tensors(model.graph)]
    tensors += [one for function in model.functions for node in function.node for one in _of_node(node)]
    if any(one.data_location == onnx.TensorProto.EXTERNAL for one in tensors):
        raise ArtifactError(
            "the graph's weights lie in another file: save it as one, without external data."
        )


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _of_node(node)


def _of_node(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs):
            yield from _tensors(graph)


def _limit_resources() -> None:
    try:
        import resource  # noqa: PLC0415  not on Windows
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS))
    if sys.platform == "linux":  # others count addresses that nobody uses
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))


def main() -> None:
    """Read, probe, answer."""
    _limit_resources()
    question = json.loads(sys.stdin.buffer.readline())
    graph = sys.stdin.buffer.read()
    try:
        spec = probe(graph, OnnxSpec(**question["spec"]), question["labels"])
    except ArtifactError as error:
        answer: dict[str, Any] = {"problem": str(error)}
    else:
        answer = {"spec": spec.as_json()}
    sys.stdout.write(f"{json.dumps(answer)}\n")


if __name__ == "__main__":
    main()
