"""Processes that read models from elsewhere: no file beside those runs."""

from __future__ import annotations

import hashlib
import os

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from bakeoff.accounts.refused import RefusedError
from bakeoff.commands.mlflow_model import read_mlflow_model
from inference.actions.store_upload import ModelUpload, store_upload
from inference.models import Surface
from tests.support.mlflow_folder import save_sklearn
from tests.support.onnx_graphs import LABELS, text_graph

TEXTS, CLASSES = ["my bill is wrong", "the parcel is late"], ["billing", "delivery"]


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A current folder whose files are named like libraries, and are looked for there."""
    folder, ran = tmp_path / "sent", tmp_path / "ran"
    folder.mkdir()
    for name in ("skops", "onnx", "onnxruntime", "numpy", "inference", "json"):
        (folder / f"{name}.py").write_text(f"open({str(ran)!r}, 'a').write({name!r})\n")
    monkeypatch.chdir(folder)
    path = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", ".", *filter(None, [path])]))
    yield folder
    assert not ran.exists(), ran.read_text()


def test_a_model_of_mlflow_beside_hostile_files(hostile, tmp_path):
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, CLASSES)
    save_sklearn(hostile / "model", model)
    stored = read_mlflow_model("model", tmp_path, texts=TEXTS)
    assert list(stored.labels) == CLASSES


def test_a_graph_beside_hostile_files(hostile, shop):
    surface = Surface.objects.create(project=shop.project, key="intents", kind="classify")

    def send(graph):
        digest = hashlib.sha256(graph).hexdigest()
        return store_upload(
            surface=surface, upload=ModelUpload(content=graph, sha256=digest, labels=LABELS)
        )

    assert send(text_graph())
    with pytest.raises(RefusedError, match="the file cannot be read as ONNX"):
        send(b"no graph")
