"""Models by address from MLflow's own server, by the console script; and what is refused."""

from __future__ import annotations

import importlib.util

import pytest

from inference.actions.load_examples import load_examples
from inference.models import ModelVersion, Surface, TrainingRun
from inference.serving.endpoint import call_endpoint
from inference.serving.models import RemoteModel
from inference.tasks import run_training
from tests.support.debian_servers import free_port
from tests.support.fast_lane import test_database_url
from tests.support.learning import make_examples, train
from tests.support.mlflow_server import MlflowServer, cutting_wire, log_models, scoring_server
from tests.support.onnx_graphs import LABELS, text_graph
from tests.support.waiting import wait_until

ALLOWED = {"BAKEOFF_OUTGOING_ALLOW": "127.0.0.1"}


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory):
    """MLflow's server with models, and the run that logged them."""
    assert importlib.util.find_spec("mlflow"), "MLflow's client is missing: make .venv/.installed-infra"
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    try:
        yield server, log_models(server, text_graph(), LABELS)
    finally:
        server.stop()


@pytest.fixture
def intents(shop, monkeypatch):
    """A surface that labels texts, with examples to judge a model by."""
    monkeypatch.setenv("DATABASE_URL", test_database_url())
    surface = Surface.objects.create(project=shop.project, key="intents", kind="classify")
    load_examples(surface_id=surface.pk, examples=make_examples())
    return surface


def arguments(surface, uri):
    return (
        "import", "mlflow", "--surface", surface.key, "--model-uri", uri, "--deadline-ms", "9000",
        "--project", surface.project.slug,
    )  # fmt: skip


def refused(console, surface, uri, server, **variables):
    """Return the one sentence of an import that is refused, which leaves nothing behind."""
    tracking = {"MLFLOW_TRACKING_URI": server, **ALLOWED, **variables}
    done = console(*arguments(surface, uri), status=1, **tracking)
    assert not TrainingRun.objects.filter(surface=surface).exists()
    return done.stderr


@pytest.mark.parametrize(("uri", "version"), [
    ("models:/intents/1", "1"), ("models:/intents@best", "2"), ("runs:/{run}/model", None),
])  # fmt: skip
def test_a_model_is_imported_by_its_address(console, intents, mlflow, uri, version):
    server, run = mlflow
    uri = uri.format(run=run)
    tracking = {"MLFLOW_TRACKING_URI": server.url, **ALLOWED}
    call = console.start(*arguments(intents, uri), **tracking)
    queued = TrainingRun.objects.filter(surface=intents, state="queued")
    wait_until(queued.exists, "a run is queued", seconds=120)
    run_training(queued.get().pk)
    done = TrainingRun.objects.get(surface=intents)
    assert done.state == TrainingRun.State.PASSED, done.message
    source = done.version.params["source"]
    assert (source["kind"], source["model_uri"], source["run_id"]) == ("mlflow", uri, run)
    assert source.get("model_version") == version
    assert source["mlflow_version"].startswith("3.")
    # As the loop's next tick does.
    ModelVersion.objects.filter(pk=done.version_id).update(alias="champion")
    output = console.finish(call)
    assert output.status == 0, output
    assert "imported@1 passed the gate" in output.stdout


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("models:/intents/9", "model_uri == 'models:/intents/9': MLflow says: "),
        ("models:/intents@worst", "model_uri == 'models:/intents@worst': MLflow says: "),
        ("models:/nobody/1", "model_uri == 'models:/nobody/1': MLflow says: "),
        ("models:/intents/", "model_uri == 'models:/intents/': MLflow says: "),
        ("runs:/0123456789abcdef0123456789abcdef/model", "MLflow says: "),
        ("models:/pickled/1", "serialization_format == 'cloudpickle', must be 'skops'"),
    ],
)
def test_an_address_without_a_model_to_serve_is_refused(console, intents, mlflow, uri, words):
    server, _ = mlflow
    assert words in refused(console, intents, uri, server.url)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (
            "http://10.0.0.7:5000",
            "'10.0.0.7' is no public address, and BAKEOFF_OUTGOING_ALLOW does not",
        ),
        ("http://mlflow.example:5000", "'http://mlflow.example:5000' must begin with https://."),
        ("https://ann:secret@mlflow.example", "without user or fragment"),
    ],
)
def test_a_server_that_may_not_be_called_is_refused(console, intents, address, words):
    message = refused(console, intents, "models:/intents/1", address)
    assert "MLFLOW_TRACKING_URI: " in message
    assert words in message
    assert "ann:secret" not in message


def test_a_registry_of_its_own_is_judged_too(console, intents, mlflow):
    server, _ = mlflow
    tracking = server.url
    registry = {"MLFLOW_REGISTRY_URI": "http://10.0.0.7:5000"}
    message = refused(console, intents, "models:/intents/1", tracking, **registry)
    assert "'10.0.0.7' is no public address" in message


def test_a_server_that_is_away_is_named(console, intents):
    message = refused(console, intents, "models:/intents/1", f"http://127.0.0.1:{free_port()}")
    assert "the server of MLFLOW_TRACKING_URI does not answer" in message


def test_a_text_classifier_of_scikit_learn_is_converted(console, intents, mlflow):
    server, _ = mlflow
    tracking = {"MLFLOW_TRACKING_URI": server.url, **ALLOWED}
    call = console.start(*arguments(intents, "models:/texts/1"), **tracking)
    queued = TrainingRun.objects.filter(surface=intents, state="queued")
    wait_until(queued.exists, "a run is queued", seconds=120)
    run_training(queued.get().pk)
    done = TrainingRun.objects.get(surface=intents)
    assert done.state == TrainingRun.State.PASSED, done.message
    assert done.version.params["source"]["flavour"] == "sklearn"
    ModelVersion.objects.filter(pk=done.version_id).update(alias="champion")
    assert console.finish(call).status == 0


def test_its_scoring_server_labels(intents, mlflow, monkeypatch):
    server, _ = mlflow
    monkeypatch.setenv("BAKEOFF_OUTGOING_ALLOW", "127.0.0.1")
    with scoring_server(server, "models:/served/1") as url:
        run = train(intents, "endpoint", url=url, protocol="mlflow", deadline_ms=10_000)
        assert run.state == TrainingRun.State.PASSED, run.message
        model = RemoteModel("", "endpoint", 10_000, url, "mlflow")
        scores = call_endpoint(model, {"text": "heat rain", "features": {}}, len(LABELS))
    assert LABELS[scores.index(max(scores))] == "billing"


def test_a_graph_that_is_cut_on_its_way_is_refused(console, intents, mlflow):
    server, _ = mlflow
    with cutting_wire(server) as wire:
        message = refused(console, intents, "models:/intents/1", f"http://127.0.0.1:{wire.server_port}")
    assert wire.cuts >= 1
    assert "the server of MLFLOW_TRACKING_URI does not answer, or breaks off." in message


def test_a_graph_that_is_cut_on_the_server_is_refused(console, intents, mlflow):
    server, _ = mlflow
    graphs = {path: path.read_bytes() for path in (server.folder / "artifacts").rglob("model.onnx")}
    assert len(graphs) == 2
    try:
        for path, whole in graphs.items():
            path.write_bytes(whole[: len(whole) // 2])
        message = refused(console, intents, "models:/intents/1", server.url)
    finally:
        for path, whole in graphs.items():
            path.write_bytes(whole)
    assert "model.onnx cannot be read as ONNX" in message
