"""Real ONNX graphs, small: a text or a number to the logits or probabilities of labels."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from tests.support.learning import WORDS

LABELS = sorted(WORDS)
OPSETS = [helper.make_opsetid("", 20)]


def text_graph(*, softmax: bool = True, labels: list[str] = LABELS) -> bytes:
    """Count the words that go with each label; `text` in, a score per label out."""
    known = [word for label in labels for word in WORDS.get(label, [f"no-{label}"])]
    weights = np.array(
        [[5.0 * (word in WORDS.get(label, ())) for label in labels] for word in known], np.float32
    )
    nodes = [
        helper.make_node("StringSplit", ["text"], ["words", "count"]),
        helper.make_node(
            "TfIdfVectorizer",
            ["words"],
            ["counts"],
            mode="TF",
            min_gram_length=1,
            max_gram_length=1,
            max_skip_count=0,
            ngram_counts=[0],
            ngram_indexes=list(range(len(known))),
            pool_strings=known,
        ),
        helper.make_node("MatMul", ["counts", "weights"], ["logits"]),
    ]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["logits"], ["scores"]))
    return _model(
        nodes,
        [helper.make_tensor_value_info("text", TensorProto.STRING, ["n"])],
        "scores" if softmax else "logits",
        {"weights": weights},
    )


def feature_graph(*, weight: float = 1.0, labels: int = 2) -> bytes:
    """Logits of labels from two numbers in one input, `row`; the first number is read alone."""
    return _model(
        [helper.make_node("MatMul", ["row", "weights"], ["logits"])],
        [helper.make_tensor_value_info("row", TensorProto.FLOAT, ["n", 2])],
        "logits",
        {"weights": np.array([[weight, -weight, 0][:labels], [0.0] * labels], np.float32)},
    )


def outer_graph(path: str) -> bytes:
    """A graph whose weights are to be read from a path."""
    graph = feature_graph()
    from onnx import ModelProto

    model = ModelProto.FromString(graph)
    (weights,) = model.graph.initializer
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=path)
    return model.SerializeToString()


def _model(nodes, inputs, output, weights) -> bytes:
    graph = helper.make_graph(
        nodes,
        "a test",
        inputs,
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", None])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=OPSETS, ir_version=9)
    checker.check_model(model)
    return model.SerializeToString()
