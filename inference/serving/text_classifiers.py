"""How classifiers' artifacts label: probabilities of labels from a text and its features.

Both forms end in a linear head and a softmax, over

    terms     words and pairs of words, weighted by TF-IDF: numpy alone, served by the web process
    encoder   a transformer's vector by ONNX Runtime: served by the classify worker

beside the vector of the features. Texts are labelled as they come, never sent anywhere else.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.serving.artifact import ArtifactError, Floats, check_artifact, load_array
from inference.serving.features import FeatureTable
from inference.serving.onnx_text import OnnxText

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TERMS, ENCODER = "terms", "encoder"
_WORD = re.compile(r"\w\w+")


def terms_of(text: str) -> list[str]:
    """Return the words of a text, in lower case, and its pairs of neighbours."""
    words = _WORD.findall(text.lower())
    return words + [f"{a} {b}" for a, b in pairwise(words)]


def softmax(logits: Floats) -> Floats:
    """Return probabilities (m, labels)."""
    raised = np.exp(logits - logits.max(1, keepdims=True))  # the largest is 1: none overflows
    probabilities: Floats = (raised / raised.sum(1, keepdims=True)).astype(np.float32)
    return probabilities


class TextClassifier:
    """One version: its labels, and what they are read from."""

    def __init__(self, root: Path, digest: str) -> None:
        """Load and check an artifact.

        Raises:
            ArtifactError: it is missing, damaged or no classifier.
        """
        folder, manifest = check_artifact(root, digest)
        form = manifest["form"]
        if form not in (TERMS, ENCODER):
            raise ArtifactError(f"form == '{form}', must be '{TERMS}' or '{ENCODER}' to label texts.")
        self.folder = folder
        self.about: dict[str, Any] = manifest["about"]
        self.labels: list[str] = self.about["labels"]
        self.features = FeatureTable.from_json(self.about["features"])
        self._weights: Floats = load_array(folder, "weights")
        self._offset: Floats = np.array(load_array(folder, "offset"))
        self._read = _Terms(folder) if form == TERMS else _Encoder(folder)

    def probabilities(self, texts: Sequence[str], features: Sequence[Mapping[str, Any]]) -> Floats:
        """Return probabilities, float32 (texts, labels)."""
        logits = self._read.times(texts, self._weights) + self._offset
        if self.features.width:
            logits += self.features.transform(features) @ self._weights[-self.features.width :]
        return softmax(logits)


class _Terms:
    """TF-IDF with a logarithmic count, of length 1, as the fit saw it."""

    def __init__(self, folder: Path) -> None:
        terms: list[str] = json.loads((folder / "terms.json").read_bytes())
        self._index = {term: i for i, term in enumerate(terms)}
        self._rarity: Floats = np.array(load_array(folder, "rarity"))

    def times(self, texts: Sequence[str], weights: Floats) -> Floats:
        """Return the texts' vectors times the weights, without forming them."""
        return np.stack([self._row(text, weights) for text in texts])

    def _row(self, text: str, weights: Floats) -> Floats:
        known, counts = np.unique(
            [self._index[term] for term in terms_of(text) if term in self._index], return_counts=True
        )
        if not len(known):
            return np.zeros(weights.shape[1], dtype=np.float32)
        known = known.astype(np.int64)
        values = (1 + np.log(counts)) * self._rarity[known]
        row: Floats = (values / np.linalg.norm(values)).astype(np.float32) @ weights[known]
        return row


class _Encoder:
    def __init__(self, folder: Path) -> None:
        self._encoder = OnnxText(folder / "encoder.onnx", folder / "tokenizer.json")

    def times(self, texts: Sequence[str], weights: Floats) -> Floats:
        """Return the texts' vectors times the weights."""
        scores: Floats = self._encoder.encode(texts) @ weights[: self._encoder.width]
        return scores
