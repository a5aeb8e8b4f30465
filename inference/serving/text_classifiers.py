"""How classifiers' artifacts label: probabilities of labels from a text and its features.

Both forms end in a linear head and a softmax, and isotonic maps where a run chose them, over

    terms     words and pairs of words, in Han and kana characters, weighted by TF-IDF: numpy alone,
              served by the web process
    encoder   a transformer's vector by ONNX Runtime: served by the classify worker

beside the vector of the features, and of an image where the version has learnt from images. Texts are
labelled as they come, never sent anywhere else.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.serving.artifact import ArtifactError, Floats, check_artifact, load_array
from inference.serving.example_images import centred_rows
from inference.serving.features import FeatureTable
from inference.serving.isotonic import METHOD as ISOTONIC
from inference.serving.isotonic import IsotonicMaps
from inference.serving.onnx_text import OnnxText

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TERMS, ENCODER = "terms", "encoder"
_WORD = re.compile(r"\w\w+")
# Han and kana stand without blanks between words. Korean has blanks, so its words are words.
_CJK = "\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_RUN = re.compile(rf"[{_CJK}]+|(?:(?![{_CJK}])\w)+")
_IS_CJK = re.compile(rf"[{_CJK}]")
MAX_CHARACTERS = (
    3  # of a term in Han or kana: words are of one or two, and their pairs of three or four
)
WORDS, CHARACTERS = "words", "characters"  # how terms are read; artifacts from before say nothing


def terms_of(text: str, reading: str = CHARACTERS) -> list[str]:
    """Return the words of a text, in lower case, and its pairs of neighbours.

    Args:
        text: to be read.
        reading: `characters` to read Han and kana as each sequence of one to three characters; `words`
            to take what stands between blanks for a word there too.
    """
    if reading == WORDS:
        words = _WORD.findall(text.lower())
        return words + [f"{a} {b}" for a, b in pairwise(words)]
    terms: list[str] = []
    before = ""  # the word before, where nothing but blanks and signs stands between
    for run in _RUN.findall(text.lower()):
        if _IS_CJK.match(run):
            before = ""
            terms += [
                run[start : start + length]
                for length in range(1, MAX_CHARACTERS + 1)
                for start in range(len(run) - length + 1)
            ]
        elif len(run) > 1:
            terms += [run, f"{before} {run}"] if before else [run]
            before = run
    return terms


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
        # By which encoder images are read; empty where none are.
        self.image_encoder: str = self.about.get("images", {}).get("encoder", "")
        self._image_mean: Floats = (
            np.array(load_array(folder, "image_mean"))
            if self.image_encoder
            else np.zeros(0, np.float32)
        )
        calibrated_by = self.about.get("calibration", {}).get("method")
        self._maps = IsotonicMaps.load(folder) if calibrated_by == ISOTONIC else None
        self._read = (
            _Terms(folder, self.about.get("terms", WORDS)) if form == TERMS else _Encoder(folder)
        )

    def probabilities(self, texts: Sequence[str], features: Sequence[Mapping[str, Any]]) -> Floats:
        """Return probabilities, float32 (texts, labels)."""
        logits = self._read.times(texts, self._weights) + self._offset
        end = len(self._weights) - self.features.width
        if self.features.width:
            logits += self.features.transform(features) @ self._weights[end:]
        if width := len(self._image_mean):
            logits += centred_rows(features, self._image_mean) @ self._weights[end - width : end]
        stated = softmax(logits)
        return stated if self._maps is None else self._maps.apply(stated)


class _Terms:
    """TF-IDF with a logarithmic count, of length 1, as the fit saw it."""

    def __init__(self, folder: Path, reading: str) -> None:
        self._reading = reading
        terms: list[str] = json.loads((folder / "terms.json").read_bytes())
        self._index = {term: i for i, term in enumerate(terms)}
        self._rarity: Floats = np.array(load_array(folder, "rarity"))

    def times(self, texts: Sequence[str], weights: Floats) -> Floats:
        """Return the texts' vectors times the weights, without forming them."""
        return np.stack([self._row(text, weights) for text in texts])

    def _row(self, text: str, weights: Floats) -> Floats:
        known, counts = np.unique(
            [self._index[term] for term in terms_of(text, self._reading) if term in self._index],
            return_counts=True,
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
