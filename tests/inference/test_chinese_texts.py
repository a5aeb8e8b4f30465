"""Chinese texts, which have no blanks between words: TF-IDF reads their characters."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.classifiers.frozen_head import FrozenHead
from inference.classifiers.tfidf import Tfidf
from inference.encoders.locate import locate_encoder
from inference.encoders.text_encoder import TextEncoder
from inference.options import FitOptions
from inference.serving.artifact import ArtifactDraft, save_artifact
from inference.serving.onnx_text import OnnxText
from inference.serving.text_classifiers import WORDS, TextClassifier, terms_of
from inference.training.data import LabelledData
from tests.support.tiny_bert import make_tiny_bert

# Four intents, written for this test: no test line's phrasing occurs in training.
LINES = Path(__file__).parents[2] / "benchmarks" / "data" / "chinese_intents.tsv"


def read_part(part: str) -> tuple[list[str], list[str]]:
    with LINES.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["part"] == part]
    return [row["text"] for row in rows], [row["label"] for row in rows]


def accuracy(tmp_path, draft: ArtifactDraft) -> float:
    texts, labels = read_part("test")
    classifier = TextClassifier(tmp_path, save_artifact(tmp_path, draft))
    best = classifier.probabilities(texts, [{}] * len(texts)).argmax(1)
    return float(
        np.mean([classifier.labels[i] == label for i, label in zip(best, labels, strict=True)])
    )


def test_characters_recognise_phrasings_that_training_did_not_have(tmp_path):
    texts, names = read_part("train")
    labels = sorted(set(names))
    truth = np.array([labels.index(name) for name in names])
    assert len(texts) + len(read_part("test")[0]) >= 400
    draft = Tfidf().fit(LabelledData(texts, [{}] * len(texts), truth, labels), FitOptions())
    assert accuracy(tmp_path, draft) >= 0.95
    # An artifact from before reads words, as it learnt them: here, whole sentences.
    old = {name: value for name, value in draft.about.items() if name != "terms"}
    assert accuracy(tmp_path, replace(draft, about=old)) < 0.5


def test_any_bert_of_chinese_is_an_encoder(tmp_path):
    """A directory named by the setting: its characters are tokens, in training and in serving."""
    texts, names = read_part("train")
    characters = sorted({character for text in texts for character in text})
    folder = tmp_path / "encoder"
    make_tiny_bert(folder, characters)
    encoder = TextEncoder(locate_encoder(str(folder), tmp_path))
    question = "我的包裹什么时候到？"
    assert encoder.tokenizer.tokenize(question)[:9] == list("我的包裹什么时候到")
    labels = sorted(set(names))
    truth = np.array([labels.index(name) for name in names])
    data = LabelledData(texts, [{}] * len(texts), truth, labels)
    draft = FrozenHead().fit(data, FitOptions(encoder=str(folder)))
    assert accuracy(tmp_path, draft) >= 0.85
    folder_of = tmp_path / save_artifact(tmp_path, draft)
    served = OnnxText(folder_of / "encoder.onnx", folder_of / "tokenizer.json")
    assert served.encode([question]) == pytest.approx(encoder.encode([question]), abs=1e-4)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Where is it?", ["where", "is", "where is", "it", "is it"]),
        ("a big dog", ["big", "dog", "big dog"]),
        ("退货", ["退", "货", "退货"]),
        ("退货吗", ["退", "货", "吗", "退货", "货吗", "退货吗"]),
        ("iPhone手机壳", ["iphone", "手", "机", "壳", "手机", "机壳", "手机壳"]),
        ("カメラ", ["カ", "メ", "ラ", "カメ", "メラ", "カメラ"]),
        ("배송 언제", ["배송", "언제", "배송 언제"]),
        ("", []),
        ("？！", []),
    ],
)
def test_terms(text, terms):
    assert terms_of(text) == terms


@pytest.mark.parametrize(
    "text", ["Where is my parcel?", "it's 5 pm", "naïve café", "a b cd", "배송 언제 와요"]
)
def test_texts_with_blanks_are_read_as_before(text):
    assert sorted(terms_of(text)) == sorted(terms_of(text, WORDS))
