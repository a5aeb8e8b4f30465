"""A custom classifier as an ONNX graph: named inputs from a text and its features, a score per label.

Served by the worker that answers for models, never by a web process. The graph is data: ONNX Runtime
has no operator that runs code of the file's, no library of custom operators is loaded, and weights
outside of the file are refused, so that no path in it is opened.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.serving.artifact import ArtifactError, Floats, check_artifact
from inference.serving.features import as_number
from inference.serving.text_classifiers import softmax

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

ONNX = "onnx"
FILE = "model.onnx"
TEXT = "text"  # what an input reads that takes the text itself
PROBABILITIES, SOFTMAX = "probabilities", "softmax"
ACTIVATIONS = (PROBABILITIES, SOFTMAX)
# ONNX's tensors that can be filled, as numpy has them; strings are objects there.
DTYPES: Mapping[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}
MAX_ROWS = 64  # of one call of the graph: what is between its layers stays small


@dataclass(frozen=True, slots=True)
class OnnxSpec:
    """How a graph is asked.

    Attributes:
        inputs: by the name of each of the graph's inputs, what its columns read: `text`, or the names
            of features; empty for a graph whose only input takes the text.
        output: name of the output with a score per label.
        activation: `probabilities` where the scores are some, `softmax` for logits.
        missing: what stands for a number that a request does not have.
        columns: of each label, its column in the output; -1 for a label that the graph does not know.
    """

    inputs: Mapping[str, Sequence[str]]
    output: str = ""
    activation: str = PROBABILITIES
    missing: float = 0.0
    columns: Sequence[int] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return every field."""
        return asdict(self)


class OnnxModel:
    """A graph, and how it is asked.

    Attributes:
        spec: with the inputs of the graph.
    """

    def __init__(self, graph: bytes, spec: OnnxSpec) -> None:
        """Load the graph.

        Raises:
            ArtifactError: it cannot be loaded, or has not the inputs that the spec names.
        """
        # Only workers and training come here; a web process never loads the runtime.
        import onnxruntime  # noqa: PLC0415

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            # By its bytes, not by its path: a graph that lies nowhere can name no file beside it.
            self._session: Any = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime's errors have no common class but this
            raise ArtifactError(f"the file cannot be read as ONNX: {_first_line(error)}.") from error
        self._types: dict[str, str] = {one.name: one.type for one in self._session.get_inputs()}
        self._ranks: dict[str, int] = {one.name: len(one.shape) for one in self._session.get_inputs()}
        self.spec = spec if spec.inputs else replace(spec, inputs=self._only_text())
        self._check_inputs()
        self._output = self._choose_output()

    def scores(self, texts: Sequence[str], features: Sequence[Mapping[str, Any]]) -> Floats:
        """Return the graph's probabilities, float32 (texts, columns of its output).

        Raises:
            ArtifactError: it fails, or its output has another shape.
        """
        rows = [
            self._run(texts[start : start + MAX_ROWS], features[start : start + MAX_ROWS])
            for start in range(0, len(texts), MAX_ROWS)
        ]
        return np.concatenate(rows)

    def _only_text(self) -> dict[str, list[str]]:
        """Return what the only input reads, where that can be the text alone."""
        if list(self._types.values()) != ["tensor(string)"]:
            raise ArtifactError(
                f"inputs == {{}}, must say what each of the graph's inputs reads, '{TEXT}' or names of "
                f"features: {self._types}."
            )
        return {name: [TEXT] for name in self._types}

    def _check_inputs(self) -> None:
        there, named = sorted(self._types), sorted(self.spec.inputs)
        if there != named:
            raise ArtifactError(f"inputs == {named}, must be those of the graph: {there}.")
        for name, kind in self._types.items():
            if kind not in DTYPES:
                raise ArtifactError(f"input '{name}' is of type {kind}, must be one of {list(DTYPES)}.")
            if self._ranks[name] not in {1, 2}:
                raise ArtifactError(
                    f"input '{name}' has {self._ranks[name]} dimensions, must have 1 or 2: rows, or "
                    "rows and columns."
                )
            columns = self.spec.inputs[name]
            if TEXT in columns and kind != "tensor(string)":
                raise ArtifactError(f"input '{name}' reads the text, must be of type tensor(string).")
            if self._ranks[name] == 1 and len(columns) != 1:
                raise ArtifactError(f"input '{name}' has 1 dimension, must read 1 column.")

    def _choose_output(self) -> str:
        """Return the output with scores: the one that is named, or the last of the graph."""
        outputs = [one.name for one in self._session.get_outputs()]
        if self.spec.output and self.spec.output not in outputs:
            raise ArtifactError(f"output == '{self.spec.output}', must be one of {outputs}.")
        # Converters of scikit-learn put the label first and its probabilities last.
        return self.spec.output or str(outputs[-1])

    def _run(self, texts: Sequence[str], features: Sequence[Mapping[str, Any]]) -> Floats:
        feeds = {name: self._fill(name, texts, features) for name in self._types}
        try:
            (answer,) = self._session.run([self._output], feeds)
        except Exception as error:  # as above
            raise ArtifactError(f"the model gives no answer: {_first_line(error)}.") from error
        scores = _as_rows(answer)
        if scores.ndim != 2 or len(scores) != len(texts):
            raise ArtifactError(
                f"shape of output '{self._output}' == {scores.shape} for {len(texts)} texts, must be "
                f"({len(texts)}, labels)."
            )
        return softmax(scores) if self.spec.activation == SOFTMAX else scores

    def _fill(
        self, name: str, texts: Sequence[str], features: Sequence[Mapping[str, Any]]
    ) -> NDArray[Any]:
        kind, columns = self._types[name], self.spec.inputs[name]
        values = np.empty((len(texts), len(columns)), dtype=DTYPES[kind])
        for place, column in enumerate(columns):
            if column == TEXT:
                values[:, place] = list(texts)
            elif kind == "tensor(string)":
                words = [row.get(column) for row in features]
                values[:, place] = ["" if word is None else str(word) for word in words]
            else:
                values[:, place] = [self._number(row.get(column)) for row in features]
        return values[:, 0] if self._ranks[name] == 1 else values

    def _number(self, value: Any) -> float:
        if isinstance(value, bool):
            return float(value)
        number = as_number(value)
        return self.spec.missing if number is None else number


class OnnxClassifier:
    """One version: its labels in the surface's order, read from a graph that may have another."""

    def __init__(self, root: Path, digest: str) -> None:
        """Load and check an artifact.

        Raises:
            ArtifactError: it is missing, damaged or no such classifier.
        """
        folder, manifest = check_artifact(root, digest)
        self.about: dict[str, Any] = manifest["about"]
        self.labels: list[str] = self.about["labels"]
        spec = OnnxSpec(**self.about[ONNX])
        self._model = OnnxModel((folder / FILE).read_bytes(), spec)
        self._columns = np.array(spec.columns, dtype=np.int64)

    def probabilities(self, texts: Sequence[str], features: Sequence[Mapping[str, Any]]) -> Floats:
        """Return probabilities, float32 (texts, labels); 0 of a label that the graph does not know."""
        scores, known = self._model.scores(texts, features), self._columns >= 0
        if self._columns.max() >= scores.shape[1]:
            raise ArtifactError(
                f"output has {scores.shape[1]} columns, must have one for each of its labels: at least "
                f"{self._columns.max() + 1}."
            )
        answers = np.zeros((len(texts), len(self._columns)), dtype=np.float32)
        answers[:, known] = scores[:, self._columns[known]]
        return answers


def _as_rows(answer: Any) -> Floats:
    """Return an output as an array; a ZipMap's rows are mappings of labels, in the columns' order."""
    if isinstance(answer, list) and answer and isinstance(answer[0], dict):
        answer = [list(row.values()) for row in answer]
    try:
        return np.asarray(answer, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ArtifactError("the output is no table of numbers; name another by `output`.") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300].rstrip(".")
