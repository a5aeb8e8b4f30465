"""`bakeoff import`: a model that MLflow stored, whole by the console script; and what is refused."""

from __future__ import annotations

import re
import sys
import time

import onnx
import pytest

from bakeoff.commands.mlflow_model import MlflowModelError, read_mlflow_model
from inference.actions.load_examples import load_examples
from inference.models import ModelVersion, Surface, TrainingRun
from inference.serving.onnx_model import OnnxModel, OnnxSpec
from inference.tasks import run_training
from tests.support.fast_lane import test_database_url
from tests.support.learning import make_examples
from tests.support.mlflow_folder import PYFUNC, save_model
from tests.support.onnx_graphs import LABELS


def work_off(surface):
    """Do the run that the command queues, as a worker does; it is a process of its own."""
    deadline = time.monotonic() + 120
    while not (queued := TrainingRun.objects.filter(surface=surface, state="queued").first()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run_training(queued.pk)
    return TrainingRun.objects.get(pk=queued.pk)


def test_a_registered_model_is_imported_by_a_command(console, shop, tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", test_database_url())
    surface = Surface.objects.create(project=shop.project, key="intents", kind="classify")
    load_examples(surface_id=surface.pk, examples=make_examples())
    folder = save_model(tmp_path / "model", metadata={"labels": LABELS})
    call = console.start(
        "import", "mlflow", "--surface", "intents", "--model-uri", str(folder),
        "--deadline-ms", "9000", "--project", shop.project.slug,
    )  # fmt: skip
    done = work_off(surface)
    assert done.state == TrainingRun.State.PASSED, done.message
    source = done.version.params["source"]
    assert source["kind"] == "mlflow"
    assert (source["run_id"], source["model_name"], source["model_version"]) == (
        "ee48f785",
        "intents",
        "3",
    )
    ModelVersion.objects.filter(pk=done.version_id).update(
        alias="champion"
    )  # as the loop's next tick does
    output = console.finish(call)
    assert output.status == 0, output
    assert "imported@1 passed the gate" in output.stdout


REFUSED = [
    ({"flavours": {"xgboost": {"data": "model.ubj"}, "python_function": PYFUNC}},
     "flavors == ['xgboost'], must hold 'onnx', 'sklearn' or 'pytorch': others are code, which the platform "
     "never loads. Please convert it where it was trained, by onnxmltools"),
    ({"flavours": {"sklearn": "all"}}, "the flavour 'sklearn' says nothing of itself."),
    ({"flavours": {"python_function": PYFUNC}}, "`mlflow models serve` answer, and `bakeoff register --protocol mlflow"),
    ({"flavours": {"onnx": {"data": "../secret.onnx"}}}, "lies outside of its folder"),
    ({"flavours": {"onnx": {"data": "lost.onnx"}}}, "is missing: lost.onnx"),
    ({"flavours": {"onnx": {"data": "MLmodel"}}}, "MLmodel cannot be read as ONNX"),
    ({"flavours": "all"}, "names no flavors"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "words"), REFUSED, ids=[words[:30] for _, words in REFUSED])
def test_what_cannot_be_served_safely_is_refused_with_a_remedy(tmp_path, model, words):
    folder = save_model(tmp_path / "model", **model)
    with pytest.raises(MlflowModelError, match=re.escape(words)):
        read_mlflow_model(str(folder), tmp_path)


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(
        MlflowModelError, match="must be an MLflow model: a folder with the file MLmodel"
    ):
        read_mlflow_model(str(tmp_path), tmp_path)
    (tmp_path / "MLmodel").write_text("[")
    with pytest.raises(MlflowModelError, match="MLmodel cannot be read"):
        read_mlflow_model(str(tmp_path), tmp_path)
    (tmp_path / "MLmodel").write_text("[]")
    with pytest.raises(MlflowModelError, match="MLmodel must be a mapping"):
        read_mlflow_model(str(tmp_path), tmp_path)


def test_an_address_needs_the_client_of_mlflow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow.artifacts", None)  # as where it is not installed
    with pytest.raises(MlflowModelError, match=re.escape("pip install 'bakeoff[mlflow]'")):
        read_mlflow_model("models:/intents/3", tmp_path)


def test_weights_beside_the_graph_are_put_into_it(tmp_path):
    folder = save_model(tmp_path / "model", external=True, registered=False)
    assert (folder / "model.onnx.data").stat().st_size
    stored = read_mlflow_model(f"file://{folder}", tmp_path)
    assert stored.labels == ()
    assert "model_name" not in stored.source
    scores = OnnxModel(stored.graph, OnnxSpec({})).scores(["heat rain"], [{}])
    assert LABELS[scores[0].argmax()] == "billing"


def test_weights_outside_of_the_folder_are_not_read(tmp_path):
    folder = save_model(tmp_path / "model", external=True)
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    (weights,) = model.graph.initializer
    next(one for one in weights.external_data if one.key == "location").value = "../secret"
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "secret").write_bytes(b"0" * 4096)
    with pytest.raises(MlflowModelError, match=r"model\.onnx cannot be read as ONNX"):
        read_mlflow_model(str(folder), tmp_path)
