"""What a store holds once, what it forgets, and what it must not."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from inference.actions.clean_artifacts import GRACE, clean_artifacts
from inference.classifiers import CLASSIFIERS, LabelledData
from inference.encoders.frozen_encoder import frozen_encoder
from inference.encoders.text_encoder import TextEncoder
from inference.models import ArtifactStore, ModelVersion, TrainingRun
from inference.options import FitOptions
from inference.serving.artifact import (
    MIN_SHARED_BYTES,
    SHARED,
    check_artifact,
    load_draft,
    save_artifact,
)
from inference.serving.model_worker import open_worker_model
from inference.serving.store import make_store_id
from tests.support import builders
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


@pytest.fixture
def store(tables, tmp_path):
    """A store of this database with a version's artifact and one that no version names, both old."""
    ArtifactStore.objects.update_or_create(pk=1, defaults={"store_id": make_store_id(tmp_path)})
    TrainingRun.objects.filter(state__in=TrainingRun.ACTIVE).update(state="cancelled")  # other tests'
    shop = builders.make_shop()
    named, unnamed = (save_artifact(tmp_path, large(n)) for n in range(2))
    ModelVersion.objects.filter(pk=shop.champion.pk).update(artifact_sha256=named)
    (tmp_path / "checkpoints" / "run-1").mkdir(parents=True)
    for path in (tmp_path / named, tmp_path / unnamed, tmp_path / "checkpoints" / "run-1"):
        make_old(path)
    return shop, tmp_path, named, unnamed


def make_old(path) -> None:
    at = time.time() - 2 * GRACE.total_seconds()
    os.utime(path, (at, at))


def clean(root) -> int:
    return clean_artifacts(
        artifacts=root, checkpoints=root / "checkpoints", snapshots=root / "snapshots"
    )


def test_what_no_version_names_is_deleted_after_a_week(store):
    _, root, named, unnamed = store
    recent = save_artifact(root, large(2))
    assert clean(root) == 1
    assert not (root / unnamed).exists()
    assert not (root / "checkpoints" / "run-1").exists()
    for digest in (named, recent):
        check_artifact(root, digest)
    assert clean(root) == 0


def test_an_artifact_that_is_saved_again_is_new_again(store):
    _, root, _, unnamed = store
    assert save_artifact(root, large(1)) == unnamed
    assert clean(root) == 0
    check_artifact(root, unnamed)


def test_what_an_active_run_may_need_is_kept(store):
    shop, root, _, unnamed = store
    run = TrainingRun.objects.create(surface=shop.surface, algorithm="ease", trigger="a test")
    started = time.time() - 3 * GRACE.total_seconds()
    TrainingRun.objects.filter(pk=run.pk).update(
        state="running", queued_at=datetime.fromtimestamp(started, UTC)
    )
    assert clean(root) == 0
    check_artifact(root, unnamed)


def test_a_process_that_died_while_cleaning_loses_nothing(store):
    _, root, named, unnamed = store
    for digest in (named, unnamed):
        (root / digest).rename(root / f".old-{digest}")
    assert clean(root) == 1
    check_artifact(root, named)
    assert not (root / f".old-{unnamed}").exists()


def test_another_database_s_store_is_left_alone(store):
    _, root, _, unnamed = store
    (root / "store_id").unlink()
    make_store_id(root)
    assert clean(root) == 0
    check_artifact(root, unnamed)
