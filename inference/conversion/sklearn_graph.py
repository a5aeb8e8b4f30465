"""A scikit-learn classifier as an ONNX graph that answers as it does.

Guarantees: a file of skops is read by its default types and two of scikit-learn's that hold numbers, so
that nothing in it runs as code, whatever list of trusted types comes with it; the graph has answered
like the model, on every text or row that was tried, within `TOLERANCE`.

Converters differ from the library in what a word is: skl2onnx takes ASCII letters and the language
settings of a machine that may lack them. Both are stated here.
"""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import skl2onnx
import skops.io
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.feature_extraction.text import CountVectorizer
from skops.io.exceptions import UntrustedTypesFoundException

from inference.conversion.converted import ConversionError, Converted, first_line
from inference.serving.artifact import ArtifactError
from inference.serving.onnx_model import TEXT, OnnxModel, OnnxSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

SKOPS = "skops"
# Without these no calibrated classifier could be read; both hold numbers alone.
DATA_TYPES = ("sklearn.calibration._CalibratedClassifier", "sklearn.calibration._SigmoidCalibration")
OPSET = 18
LOCALE = "C.UTF-8"  # every Linux has it, and its lower case is Unicode's
DEFAULT_PATTERN = r"(?u)\b\w\w+\b"  # scikit-learn's
UNICODE_WORDS = r"[\p{L}\p{N}_][\p{L}\p{N}_]+"  # the same, for the runtime's regular expressions
TOLERANCE = 1e-3  # of a probability: graphs compute in single precision
TRIED = 200  # made-up texts, or rows
MAX_WORDS = 12  # of a made-up text
HARD_TEXTS = ("", " ", "don't e-mail ME@x.y: 100 %!", "ÉCOLE Größe naïve", "你好 世界", "a1 b_2 ½ x")


def convert_sklearn(
    path: Path, *, serialization: str, runs_code: bool, texts: Sequence[str]
) -> Converted:
    """Return a classifier as a graph.

    Args:
        path: of its file.
        serialization: `skops`, `pickle` or `cloudpickle`.
        runs_code: whether a pickle may be loaded, which runs what is in it.
        texts: on which the graph must answer like the model, beside made-up ones.

    Raises:
        ConversionError: it cannot be read or converted, or the graph answers otherwise.
    """
    model = _load(path, serialization, runs_code=runs_code)
    if not hasattr(model, "predict_proba"):
        raise ConversionError(
            f"{type(model).__name__} has no probabilities: put it in a CalibratedClassifierCV, or "
            "choose one that has predict_proba."
        )
    steps = [step for _, step in getattr(model, "steps", [("", model)])]
    reads_text = _is_vectorizer(steps[0])
    graph = _graph_of(model, steps, reads_text=reads_text)
    tried: Any = (
        [*texts, *HARD_TEXTS, *_random_texts(steps[0])]
        if reads_text
        else _random_rows(model.n_features_in_)
    )
    names = [] if reads_text else [str(one) for one in getattr(model, "feature_names_in_", [])]
    _require_same(model, graph, tried)
    return Converted(graph, [str(label) for label in model.classes_], {"row": names} if names else {})


def _load(path: Path, serialization: str, *, runs_code: bool) -> Any:
    if serialization != SKOPS:
        if not runs_code:
            raise ConversionError(f"serialization == '{serialization}', must be '{SKOPS}'.")
        return _unpickle(path, serialization)
    try:
        return skops.io.load(path, trusted=list(DATA_TYPES))
    except UntrustedTypesFoundException as error:
        raise ConversionError(
            f"{first_line(error)}: it holds code, or types that may run some."
        ) from error
    except Exception as error:  # of a damaged file each layer has errors of its own
        raise ConversionError(f"{path.name} cannot be read as skops: {first_line(error)}.") from error


def _unpickle(path: Path, serialization: str) -> Any:
    # Cloudpickle's files may need its own reader.
    reader = importlib.import_module(serialization)
    try:
        with path.open("rb") as file:
            return reader.load(file)
    except Exception as error:  # code of the file's
        raise ConversionError(f"{path.name} cannot be unpickled: {first_line(error)}.") from error


def _is_vectorizer(step: Any) -> bool:
    return isinstance(step, CountVectorizer)  # TfidfVectorizer is one


def _graph_of(model: Any, steps: Sequence[Any], *, reads_text: bool) -> bytes:
    options: dict[int, dict[str, Any]] = {id(steps[-1]): {"zipmap": False}}
    if reads_text:
        words = {"tokenexp": UNICODE_WORDS} if steps[0].token_pattern == DEFAULT_PATTERN else {}
        options[id(steps[0])] = {"locale": LOCALE, **words}
    kind = ("text", StringTensorType([None, 1])) if reads_text else None
    kind = kind or ("row", FloatTensorType([None, model.n_features_in_]))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of converters; the comparison says what matters
            graph = skl2onnx.convert_sklearn(
                model, initial_types=[kind], options=options, target_opset=OPSET
            )
    except Exception as error:  # each converter has errors of its own
        raise ConversionError(f"skl2onnx cannot convert it: {first_line(error)}.") from error
    return bytes(graph.SerializeToString())


def _random_texts(vectorizer: Any) -> list[str]:
    """Return texts of the model's own words, repeated, in both cases, in any order."""
    words, random = sorted(vectorizer.vocabulary_), np.random.default_rng(0)
    texts = []
    for length in random.integers(1, MAX_WORDS, TRIED):
        drawn = [words[place] for place in random.integers(0, len(words), length)]
        texts.append(" ".join([*drawn, drawn[0].upper()]))
    return texts


def _random_rows(width: int) -> NDArray[np.float32]:
    random = np.random.default_rng(0)
    scales = 10.0 ** random.integers(-1, 4, (TRIED, 1))
    return (random.normal(size=(TRIED, width)) * scales).astype(np.float32)


def _require_same(model: Any, graph: bytes, tried: Any) -> None:
    """Refuse a graph that answers otherwise than the model.

    Raises:
        ConversionError: it does; the message shows on what.
    """
    is_text = isinstance(tried, list)
    width = 1 if is_text else tried.shape[1]
    columns = [TEXT] if is_text else [f"c{place}" for place in range(width)]
    spec = OnnxSpec({"text" if is_text else "row": columns})
    rows: Any = (
        [{}] * len(tried)
        if is_text
        else [dict(zip(columns, row, strict=True)) for row in tried.tolist()]
    )
    try:
        answers = OnnxModel(graph, spec).scores(tried if is_text else [""] * len(tried), rows)
    except ArtifactError as error:
        raise ConversionError(f"the runtime does not take the graph of skl2onnx: {error}") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that rows have no names, which the graph's have not either
        wanted = model.predict_proba(tried)
    apart = np.abs(answers - wanted).max(1)
    if not apart.max() <= TOLERANCE:  # NaN is no answer either
        shown = tried[int(np.argmax(apart))]
        raise ConversionError(
            f"the graph answers otherwise than the model: by {apart.max():.2g} of a probability on "
            f"{str(shown)[:80]!r}. Its words, or its numbers, cannot be carried over."
        )
