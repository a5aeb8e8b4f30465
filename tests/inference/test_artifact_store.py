"""What a store holds once, what it forgets, and what it must not."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from inference.classifiers import CLASSIFIERS, LabelledData
from inference.encoders.frozen_encoder import frozen_encoder
from inference.encoders.text_encoder import TextEncoder
from inference.options import FitOptions
from inference.serving.artifact import (
    MIN_SHARED_BYTES,
    SHARED,
    check_artifact,
    load_draft,
    save_artifact,
)
from inference.serving.model_worker import open_worker_model
from tests.support.artifacts import draft_artifact
from tests.support.tiny_bert import WORDS

TEXTS = [f"{word} {other}" for word in WORDS[:6] for other in WORDS[:4]]
LABELS = LabelledData(TEXTS, [{}] * len(TEXTS), np.arange(len(TEXTS)) % 2, ["a", "b"])
LARGE = os.urandom(MIN_SHARED_BYTES)


def large(n: int):
    return replace(draft_artifact(seed=n), files={"weights.bin": LARGE})


def test_artifacts_share_what_they_have_in_common(tmp_path):
    first, second = (save_artifact(tmp_path, large(n)) for n in range(2))
    assert first != second
    files = [(tmp_path / digest / "weights.bin").stat() for digest in (first, second)]
    assert files[0].st_ino == files[1].st_ino
    assert files[0].st_nlink == 3  # one in each, and one by which the next finds it
    for digest in (first, second):
        check_artifact(tmp_path, digest)
        assert load_draft(tmp_path, digest).files["weights.bin"] == LARGE


def test_a_damaged_copy_is_not_shared_on(tmp_path):
    first = save_artifact(tmp_path, large(0))
    (shared,) = (tmp_path / SHARED).iterdir()
    shared.write_bytes(b"damaged")
    second = save_artifact(tmp_path, large(1))
    assert load_draft(tmp_path, second).files["weights.bin"] == LARGE
    assert (tmp_path / first / "weights.bin").read_bytes() == b"damaged"
    third = save_artifact(tmp_path, large(2))
    assert (tmp_path / third / "weights.bin").samefile(tmp_path / second / "weights.bin")


def test_fits_encode_a_text_once_and_hold_the_encoder_once(tmp_path, tiny_bert):
    frozen_encoder.cache_clear()
    lines = []
    options = FitOptions(
        encoder=str(tiny_bert), device="cpu", report=lambda _share, line: lines.append(line)
    )
    part = LABELS.rows(np.arange(10))
    drafts = [CLASSIFIERS["frozen-head"].fit(data, options) for data in (LABELS, part, LABELS)]
    assert [line for line in lines if line.startswith("encoded")] == [
        f"encoded {len(TEXTS)} of {len(TEXTS)} texts"
    ]
    files = drafts[0].files
    assert drafts[1].files is files
    # The graph holds no weights: it reads those that are kept to compress the model again.
    assert len(files["encoder.onnx"]) < len(files["model.safetensors"]) / 2
    served = open_worker_model(tmp_path, save_artifact(tmp_path, drafts[0]))
    vectors = TextEncoder(str(tiny_bert)).encode(TEXTS)
    ours = served.probabilities(TEXTS, [{}] * len(TEXTS))
    logits = vectors @ drafts[0].arrays["weights"] + drafts[0].arrays["offset"]
    wanted = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert ours == pytest.approx(wanted, abs=1e-4)
