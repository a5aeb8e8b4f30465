"""Models that were made elsewhere: sent as files, probed, gated, served; and what is refused."""

from __future__ import annotations

import base64
import gzip
import hashlib
import pickle
import re
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from bakeoff_client import Admin, BakeoffError
from django.conf import settings
from django.test import Client
from django.urls import reverse
from safetensors.numpy import save

from bakeoff.accounts.models import AuditEntry
from bakeoff.accounts.refused import RefusedError
from bakeoff.gateway.http.bodies import MAX_BULK_BODY
from experiments.actions.import_model import import_model
from inference.actions.clean_artifacts import clean_artifacts
from inference.actions.queue_training import TRAINED_OUTSIDE, CannotTrainError
from inference.actions.store_upload import ModelUpload
from inference.models import ModelVersion, Surface, TrainingRun
from inference.serving.artifact import ArtifactError, check_artifact
from inference.serving.onnx_model import OnnxModel, OnnxSpec
from inference.serving.probe_onnx import probe
from inference.serving.ranker import Ranker
from inference.tasks import run_training
from inference.worker_threads import shared_model_worker, start_worker_threads
from tests.support import builders
from tests.support.learning import ITEMS, PER_GROUP, train
from tests.support.onnx_graphs import LABELS, feature_graph, outer_graph, text_graph


@pytest.fixture
def admin(desk, lane):
    with Admin(lane.url, desk.secret) as admin:
        yield admin


def ended(run_id: int) -> TrainingRun:
    """Do a queued run as a worker does."""
    run_training(run_id)
    return TrainingRun.objects.get(pk=run_id)


def test_a_graph_is_sent_gated_served_and_shown(admin, desk, lane):
    source = {"kind": "a notebook", "run_id": "4711"}
    sent = admin.import_model(
        "intents", text_graph(labels=LABELS[::-1]), labels=LABELS[::-1], source=source, deadline_ms=9000
    )
    assert (sent["algorithm"], sent["state"]) == ("imported", "queued")
    entry = AuditEntry.objects.filter(project=desk.project).latest("pk")
    assert (entry.action, entry.subject) == ("import model", "imported for intents")
    run = ended(sent["id"])
    assert run.state == TrainingRun.State.PASSED, run.message
    assert run.notes == [TRAINED_OUTSIDE]
    version = run.version
    assert (version.label, version.alias) == ("imported@1", "challenger")
    _, manifest = check_artifact(settings.BAKEOFF.artifacts, version.artifact_sha256)
    assert manifest["about"]["source"] == source
    assert manifest["about"]["labels"] == LABELS  # in the surface's order, whatever the file's is
    ModelVersion.objects.filter(pk=version.pk).update(alias="champion")
    lane.refresh()
    stopping = start_worker_threads()
    try:
        shared_model_worker().load(version.artifact_sha256)
        body = {"surface": "intents", "unit_id": "u1", "text": "rain sun heat"}
        answer = lane.post("/v1/classify", body, desk.public).json()
    finally:
        stopping.set()
    assert (answer["model"], answer["fallback"]) == ("imported@1", None)
    assert answer["labels"][0]["label"] == "billing"
    client = Client()
    client.force_login(builders.make_root())
    pages = [reverse("version", args=(desk.project.slug, version.pk)), reverse("run", args=(run.pk,))]
    for page in pages:
        assert "<code>4711</code>" in client.get(page).content.decode(), page
    # A later challenger is judged against the champion's recipe, which is the same file.
    rival = train(desk.surface, "tfidf")
    assert rival.state in {TrainingRun.State.PASSED, TrainingRun.State.REFUSED}, rival.message
    assert rival.version.gate["rival"] == "imported@1"


def test_what_its_gate_refuses_meets_no_user(admin, desk):
    """The graph takes every label for another: worse than always answering with the shares."""
    sent = admin.import_model("intents", text_graph(), labels=[*LABELS[1:], LABELS[0]])
    run = ended(sent["id"])
    assert run.state == TrainingRun.State.REFUSED
    assert run.version.alias == "rejected"


def upload_of(content: bytes, **fields) -> dict:
    sent = {"file": base64.b64encode(content).decode(), "sha256": hashlib.sha256(content).hexdigest()}
    return {**sent, "labels": LABELS, **fields}


ROW = {"row": ["age", "amount"]}
REFUSED = [
    (upload_of(text_graph()[:-40]), "file", "cannot be read as ONNX"),
    (upload_of(text_graph(), sha256="0" * 64), "sha256", "must be that of the file that arrived"),
    (upload_of(text_graph(), file="no base64!"), "file", "file must be base64"),
    (upload_of(b""), "file", "bytes of the file == 0, must be in [1, "),
    (upload_of(pickle.dumps({"a": 1})), "file", "the file is a pickle, which may run code"),
    (upload_of(b"PK\x03\x04torch"), "file", "the file is a zip archive"),
    (upload_of(text_graph(), labels=["a"]), "labels", "must be at least 2"),
    (upload_of(text_graph(), labels=["a", "A", "b"]), "labels", "is declared already"),
    (upload_of(text_graph(), activation="relu"), "activation", "must be one of ['probabilities', 'softmax']"),
    (upload_of(text_graph(), item_ids=["i1"]), "item_ids", "are for a surface that ranks"),
    (upload_of(text_graph(), source={"a": "x" * 301}), "source", "at most 300 characters"),
    (upload_of(text_graph(), source={f"n{n}": "x" for n in range(11)}), "source", "must have at most 10"),
]  # fmt: skip


def test_what_is_damaged_unsafe_or_of_another_shape_is_refused_by_name(desk, lane):
    for body, field, words in REFUSED:
        answer = lane.post("/v1/surfaces/intents/model-imports", body, desk.secret)
        error = answer.json()["error"]
        assert (answer.status_code, error["field"]) == (422, field), (words, error)
        assert words in error["message"], error["message"]
    assert not TrainingRun.objects.filter(surface=desk.surface).exists()


def spec(**fields) -> OnnxSpec:
    return OnnxSpec(**{"inputs": {}, **fields})


@pytest.mark.parametrize(
    ("graph", "how", "words"),
    [
        (text_graph(), spec(output="nothing"), "output == 'nothing', must be one of ['scores']"),
        (text_graph(), spec(inputs={"words": ["text"]}), "inputs == ['words'], must be those of the graph"),
        (text_graph(softmax=False), spec(), "for logits set activation to 'softmax'"),
        (text_graph(labels=["a", "b"]), spec(), "columns of the output == 2, must be 3: one per label"),
        (feature_graph(), spec(), "must say what each of the graph's inputs reads, 'text' or names of"),
        (feature_graph(), spec(inputs={"row": ["text", "age"]}), "must be of type tensor(string)"),
        (feature_graph(), spec(inputs={"row": ["age"]}), "the model gives no answer"),
        (feature_graph(labels=3, weight=np.nan), spec(inputs=ROW), "the output is not finite where no feature"),
        (outer_graph("/etc/passwd"), spec(inputs=ROW), "the graph's weights lie in another file"),
        (b"nonsense", spec(), "the file cannot be read as ONNX"),
    ],
)  # fmt: skip
def test_a_graph_that_cannot_be_served_is_refused_with_a_sentence(graph, how, words):
    with pytest.raises(ArtifactError, match=re.escape(words)):
        probe(graph, how, labels=3)


def test_features_are_read_in_their_order_and_missing_numbers_have_a_value():
    model = OnnxModel(feature_graph(), spec(inputs=ROW, activation="softmax", missing=2.0))
    rows = [{"age": 1, "amount": 9}, {"amount": 9}, {"age": True}, {"age": "old"}]
    scores = model.scores(["a"] * 4, rows)
    odds = np.log(scores[:, 0] / scores[:, 1])
    np.testing.assert_allclose(odds, [2, 4, 2, 4], rtol=1e-4)


def test_a_body_that_is_too_large_is_refused_while_it_comes(desk, lane):
    body = gzip.compress(b'{"file": "' + b"A" * MAX_BULK_BODY + b'"}', compresslevel=1)
    headers = {"Authorization": f"Bearer {desk.secret}", "Content-Encoding": "gzip"}
    address = "/v1/surfaces/intents/model-imports"
    sent = lane.client.request("POST", address, content=body, headers=headers)
    assert (sent.status_code, sent.json()["error"]["code"]) == (413, "body_too_large")


def test_an_upload_is_of_one_surface_alone(admin, desk, lane):
    run = TrainingRun.objects.get(pk=admin.import_model("intents", text_graph(), labels=LABELS)["id"])
    with pytest.raises(BakeoffError, match="a run of imported on surface 'intents' is active"):
        admin.import_model("intents", text_graph(), labels=LABELS)
    other = Surface.objects.create(project=desk.project, key="moods", kind="classify")
    with pytest.raises(CannotTrainError, match="must be an upload of surface 'moods'"):
        train(other, "imported", upload=run.params["upload"])
    with pytest.raises(CannotTrainError, match="upload == '', must be the SHA-256 of an upload"):
        train(desk.surface, "imported")
    stranger = builders.make_shop()
    lane.refresh()
    with (
        Admin(lane.url, stranger.secret) as theirs,
        pytest.raises(BakeoffError, match="No surface 'intents'"),
    ):
        theirs.import_model("intents", text_graph(), labels=LABELS)


def test_a_surface_of_another_kind_or_without_rows_takes_none(admin, desk):
    Surface.objects.create(project=desk.project, key="on", kind="flag")
    with pytest.raises(BakeoffError, match="kind == 'flag', must be one of") as refused:
        admin.import_model("on", text_graph(), labels=LABELS)
    assert refused.value.field == "kind"
    Surface.objects.create(project=desk.project, key="empty", kind="classify")
    with pytest.raises(BakeoffError, match="surface 'empty' has no labelled examples"):
        admin.import_model("empty", text_graph(), labels=LABELS)


def test_a_label_that_no_example_has_ends_its_run_with_a_sentence(admin):
    labels = [*LABELS, "weather"]
    sent = admin.import_model("intents", text_graph(labels=labels), labels=labels)
    run = ended(sent["id"])
    assert run.state == TrainingRun.State.FAILED
    assert run.message.startswith(
        "labels of the model that no example has: ['weather']. Load an example"
    )


def vectors_of(items, **more) -> bytes:
    """Each group of items in a direction of its own."""
    groups = [int(item[1:]) // PER_GROUP % 4 for item in items]
    return save({"item_vectors": np.eye(4, dtype=np.float32)[groups] * 3, **more})


def send(surface, content, item_ids, **fields) -> TrainingRun:
    upload = ModelUpload(content, hashlib.sha256(content).hexdigest(), item_ids=item_ids, **fields)
    return import_model(surface=surface, upload=upload, by="a test")


def test_vectors_rank_the_catalogue_and_stay_while_a_version_needs_them(learner, monkeypatch):
    items = [*ITEMS[::-1][1:], "i41"]  # one is missing, one is of no item of the catalogue
    run = ended(send(learner, vectors_of(items), items, source={"from": "a notebook"}).pk)
    assert run.state == TrainingRun.State.PASSED, run.message
    ranker = Ranker(settings.BAKEOFF.artifacts, run.version.artifact_sha256)
    assert list(ranker.item_ids) == ITEMS
    (best,) = ranker.candidates([ranker.indices_of(["i12", "i17"])], [[]], 40)
    assert {ranker.item_ids[i] for i in best[:PER_GROUP]} == set(ITEMS[PER_GROUP : 2 * PER_GROUP])
    assert ranker.item_ids[best[-1]] == ITEMS[-1]  # which the file does not have
    monkeypatch.setattr("inference.actions.clean_artifacts.GRACE", -timedelta(days=1))
    nowhere = Path("nowhere")
    clean_artifacts(artifacts=settings.BAKEOFF.artifacts, checkpoints=nowhere, snapshots=nowhere)
    assert check_artifact(settings.BAKEOFF.artifacts, run.params["upload"])


@pytest.mark.parametrize(
    ("content", "items", "words"),
    [
        (b"\x08\x00\x00\x00\x00\x00\x00\x00nonsense", ["i1"], "cannot be read as safetensors"),
        (vectors_of(["i1", "i2"]), ["i1"], "shape of 'item_vectors' == (2, 4), must be (1, 4)"),
        (vectors_of(["i1"], bias=np.zeros(2, np.float32)), ["i1"], "shape of 'bias' == (2,), must be (1,)"),
        (vectors_of(["i1"], gram=np.zeros(2, np.float32)), ["i1"], "tensors == ['gram', 'item_vectors'], must"),
        (vectors_of(["i1", "i1"]), ["i1", "i1"], "item_ids name an item twice"),
        (save({"item_vectors": np.ones((1, 2), np.int64)}), ["i1"], "type of 'item_vectors' == int64, must be"),
        (save({"item_vectors": np.full((1, 2), np.nan, np.float32)}), ["i1"], "not finite (NaN or infinity)"),
        (save({"item_vectors": np.array(3, np.float32)}), ["i1"], "shape of 'item_vectors' == ()"),
    ],
)  # fmt: skip
def test_vectors_of_another_shape_are_refused(learner, content, items, words):
    with pytest.raises(RefusedError, match=re.escape(words)):
        send(learner, content, items)
    assert not learner.training_runs.exists()


def test_vectors_of_no_item_end_their_run_with_a_sentence(learner):
    run = ended(send(learner, vectors_of(["i77"]), ["i77"]).pk)
    assert run.state == TrainingRun.State.FAILED
    assert run.message.startswith("none of the model's 1 items is in the catalogue, which begins with")
