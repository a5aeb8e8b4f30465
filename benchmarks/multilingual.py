"""A multilingual encoder on Chinese texts, beside words, characters and an encoder of English.

    python -m benchmarks --only multilingual

The lines are benchmarks/data/chinese_intents.tsv: no phrasing of the test part occurs in training. The
multilingual encoder is multilingual-e5-small, unpacked from a wheel of the package index.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.packed_e5 import packed_e5
from benchmarks.results import Row, write_result

if TYPE_CHECKING:
    from inference.serving.artifact import ArtifactDraft
    from inference.training.data import LabelledData

LINES = Path(__file__).parent / "data" / "chinese_intents.tsv"
FEW = 4  # phrasings of each label that are learnt from, where labels are dear


def run(size: str, home: str) -> None:
    """Fit each on all training lines and on few of them, and judge it on the test lines."""
    from bakeoff.environment import DEFAULT_ENCODER
    from inference.classifiers.frozen_head import FrozenHead
    from inference.classifiers.tfidf import Tfidf
    from inference.encoders.locate import locate_encoder
    from inference.options import FitOptions

    cache = Path(home) / "encoders"
    english, multilingual = locate_encoder(DEFAULT_ENCODER, cache), packed_e5(cache)
    whole, test = _read("train"), _read("test")
    rows = []
    for name, part, target in (
        ("all lines", whole, "ours >= 0.95"),
        (f"{FEW} phrasings a label", _few(whole), ""),
    ):
        tfidf = Tfidf().fit(part, FitOptions())
        words = replace(tfidf, about={k: v for k, v in tfidf.about.items() if k != "terms"})
        characters = _accuracy(home, tfidf, test)
        of_words = _accuracy(home, words, test)
        by = {
            path: _accuracy(home, FrozenHead().fit(part, FitOptions(encoder=path)), test)
            for path in (english, multilingual)
        }
        rows += [
            Row(f"{name}: TF-IDF of characters (peer: of words)", characters, "share", of_words, target=target),
            Row(f"{name}: multilingual encoder with a head (peer: an encoder of English)", by[multilingual], "share", by[english]),
        ]  # fmt: skip
    notes = (
        f"Accuracy on {len(test.texts)} Chinese lines of four intents, {len(whole.texts)} to learn from; "
        f"'{FEW} phrasings' are one line each of the first {FEW} phrasings of a label. The multilingual encoder is "
        "multilingual-e5-small in four bits, without the prefixes that its authors recommend."
    )  # fmt: skip
    write_result("multilingual", size, rows, notes, ("transformers", "torch"))


def _read(part: str) -> LabelledData:
    from inference.training.data import LabelledData

    with LINES.open(encoding="utf-8", newline="") as file:
        lines = [line for line in csv.DictReader(file, delimiter="\t") if line["part"] == part]
    labels = sorted({line["label"] for line in lines})
    truth = np.array([labels.index(line["label"]) for line in lines])
    return LabelledData([line["text"] for line in lines], [{}] * len(lines), truth, labels)


def _few(data: LabelledData) -> LabelledData:
    """Return every fourth line, as many a label as `FEW`: each phrasing stands with four objects."""
    chosen = []
    for label in range(len(data.labels)):
        chosen += np.flatnonzero(data.truth == label)[::4][:FEW].tolist()
    return data.rows(np.array(sorted(chosen)))


def _accuracy(home: str, draft: ArtifactDraft, test: LabelledData) -> float:
    from inference.serving.artifact import save_artifact
    from inference.serving.text_classifiers import TextClassifier

    root = Path(home) / "artifacts"
    classifier = TextClassifier(root, save_artifact(root, draft))
    best = classifier.probabilities(test.texts, test.features).argmax(1)
    right = [classifier.labels[i] == test.labels[t] for i, t in zip(best, test.truth, strict=True)]
    return float(np.mean(right))
