"""A worker's models, loaded ahead: they answer what web processes cannot."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.serving.artifact import ArtifactError, Floats, check_artifact
from inference.serving.custom_artifact import find_python
from inference.serving.endpoint import call_endpoint
from inference.serving.models import ENDPOINT, PYTHON, RemoteModel
from inference.serving.onnx_model import ONNX, OnnxClassifier
from inference.serving.text_classifiers import ENCODER, TERMS, TextClassifier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MAX_LOADED = 8  # encoders take hundreds of MB each; more than serve at once on one machine


class ServedByWebError(ArtifactError):
    """An artifact of a form that web processes serve by themselves."""


class ModelWorker:
    """Loads by digest, keeps the last ones, answers in batches."""

    def __init__(self, root: Path) -> None:
        """Load nothing yet."""
        self._root = root
        self._loaded: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def load(self, digest: str) -> Any:
        """Return the model of an artifact; the first call loads and checks it.

        Raises:
            ArtifactError: it is missing, damaged, or not for a worker.
        """
        # Held while loading: a second thread must wait for this load, not start its own.
        with self._lock:
            if digest not in self._loaded:
                self._loaded[digest] = open_worker_model(self._root, digest)
            self._loaded.move_to_end(digest)
            while len(self._loaded) > MAX_LOADED:  # the least recently used goes
                self._loaded.popitem(last=False)
            return self._loaded[digest]

    def answer(self, digest: str, questions: Sequence[Mapping[str, Any]]) -> list[Sequence[float]]:
        """Return scores: of each label for a text, of each candidate for a unit."""
        model = self.load(digest)
        if "text" in questions[0]:
            rows = model.probabilities(
                [question["text"] for question in questions],
                [question["features"] for question in questions],
            )
            return [row.tolist() for row in rows]
        return [
            model.rank(
                question["unit_id"], question["recent"], question["candidates"], question["context"]
            )
            for question in questions
        ]


def open_worker_model(root: Path, digest: str) -> Any:
    """Return what answers for an artifact: it labels texts, or ranks candidates.

    Raises:
        ArtifactError: it is missing, damaged, or a form that web processes serve.
    """
    folder, manifest = check_artifact(root, digest)
    if manifest["form"] in (ENCODER, TERMS):
        return TextClassifier(root, digest)
    if manifest["form"] == ONNX:
        return OnnxClassifier(root, digest)
    if manifest["form"] == PYTHON:
        return open_python(folder, manifest["about"])
    if manifest["form"] == ENDPOINT:
        return CustomEndpoint(RemoteModel.of(digest, ENDPOINT, manifest["about"]), manifest["about"])
    raise ServedByWebError(f"form == '{manifest['form']}' is served by web processes.")


class CustomEndpoint:
    """A user's endpoint, called in turn and waited for: by gates and shadows, never by requests."""

    def __init__(self, model: RemoteModel, about: Mapping[str, Any]) -> None:
        """Connect to nothing yet."""
        self._model, self._labels = model, about.get("labels", ())

    def probabilities(self, texts: Sequence[str], features: Sequence[Mapping[str, Any]]) -> Floats:
        """Return its score of each label, float32 (texts, labels)."""
        rows = [
            call_endpoint(self._model, {"text": text, "features": dict(known)}, len(self._labels))
            for text, known in zip(texts, features, strict=True)
        ]
        return np.array(rows, dtype=np.float32)

    def rank(
        self,
        unit_id: str,
        recent: Sequence[str],
        candidates: Sequence[str],
        context: Mapping[str, Any],
    ) -> Sequence[float]:
        """Return its score of each candidate."""
        question = {
            "unit_id": unit_id,
            "recent": list(recent),
            "candidates": list(candidates),
            "context": dict(context),
        }
        return call_endpoint(self._model, question, len(candidates))


def open_python(folder: Path, about: Mapping[str, Any]) -> Any:
    """Return a user's model, loaded by its own class from its own files."""
    model = find_python(about["entry_point"]).load(folder)
    labels = about.get("labels")
    return model if labels is None else _PythonClassifier(model, labels)


class _PythonClassifier:
    """Checks that a user's model answers with one probability a label."""

    def __init__(self, model: Any, labels: Sequence[str]) -> None:
        self._model, self._labels = model, labels

    def probabilities(self, texts: Sequence[str], features: Sequence[Mapping[str, Any]]) -> Any:
        answers = self._model.label(texts, features)
        if answers.shape != (len(texts), len(self._labels)):
            raise ValueError(
                f"shape of label() == {answers.shape}, must be {(len(texts), len(self._labels))}: "
                f"{json.dumps(list(self._labels))[:200]}"
            )
        return answers
