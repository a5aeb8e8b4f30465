"""Smaller versions of a real fine-tuned model: gated against their parent, refused when not faster."""

from __future__ import annotations

import pytest

from inference.actions.queue_compression import queue_compression
from inference.actions.queue_training import CannotTrainError
from inference.models import ModelVersion, TrainingRun
from inference.serving.artifact import check_artifact, load_draft, save_artifact
from inference.tasks import run_training

from django.conf import settings  # isort: skip


def compress(version, how, size=0) -> TrainingRun:
    run = queue_compression(version=version, how=how, size=size, trigger="a test")
    run_training(run.pk)
    run.refresh_from_db()
    return run


@pytest.fixture(scope="module")
def parent(trained) -> ModelVersion:
    return trained("frozen-head").version


@pytest.fixture(scope="module")
def quantised(parent) -> TrainingRun:
    return compress(parent, "int8")


@pytest.mark.parametrize(("how", "size"), [("int8", 0), ("distil", 1), ("prune", 1)])
def test_each_way_makes_a_version_with_its_parent(parent, quantised, how, size):
    run = quantised if how == "int8" else compress(parent, how, size)
    assert run.state in {TrainingRun.State.PASSED, TrainingRun.State.REFUSED}, run.message
    version = run.version
    assert version.parent == parent
    assert version.recipe == "frozen-head"
    assert version.artifact_sha256 != parent.artifact_sha256
    # Judged on rows that neither has seen: of the parent what its own gate said, not what its artifact,
    # which has learnt from all rows, would say.
    for metric in ("accuracy", "log_score"):
        before = parent.gate["rows"][metric]["challenger"]
        assert version.gate["rows"][metric]["champion"] == pytest.approx(before, abs=1e-4)
    about = version.gate["about"]["compression"]
    assert about["bytes_after"] < about["bytes_before"]
    assert version.gate["rival"] == parent.label
    # Of a model this small the speed is the machine's to say; what is said must agree with it.
    slow = [reason for reason in version.gate["reasons"] if "not faster" in reason]
    assert bool(slow) == (about["speed_up"] < 1.05)
    files = check_artifact(settings.BAKEOFF.artifacts, version.artifact_sha256)[1]["files"]
    assert ("model.safetensors" in files) == (how == "distil")


def test_what_was_compressed_without_its_weights_is_not_distilled(quantised):
    run = compress(quantised.version, "distil", 1)
    assert run.state == TrainingRun.State.FAILED
    assert "holds no float32 weights" in run.message


def test_what_does_not_encode_is_not_quantised(trained):
    parent = trained("tfidf").version
    run = compress(parent, "int8")
    assert run.state == TrainingRun.State.FAILED
    assert "nothing encodes here" in run.message
    with pytest.raises(CannotTrainError, match="must be one of"):
        queue_compression(version=parent, how="zip", size=0, trigger="a test")


def test_a_draft_is_read_back_as_it_was_saved(trained):
    digest = trained("tfidf").version.artifact_sha256
    root = settings.BAKEOFF.artifacts
    assert save_artifact(root, load_draft(root, digest)) == digest
