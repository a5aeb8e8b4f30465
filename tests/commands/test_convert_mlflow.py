"""Models of scikit-learn and PyTorch that MLflow stored: converted, with equal answers; and what is refused."""

from __future__ import annotations

import os
import pathlib
import re

import numpy as np
import pytest
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from bakeoff.commands.mlflow_conversion import MlflowModelError
from bakeoff.commands.mlflow_model import read_mlflow_model
from inference.serving.onnx_model import SOFTMAX, OnnxModel, OnnxSpec
from tests.support.mlflow_folder import save_sklearn, save_torch

TEXTS = ["my bill is wrong", "the parcel is late again", "reset my password", "où est le colis"] * 4
LABELS = ["billing", "delivery", "account", "delivery"] * 4
NEW = ["Où est LE COLIS?", "parcel, parcel: parcel!", "", "don't charge 100 % twice"]


def fitted(vectorizer, classifier):
    return make_pipeline(vectorizer, classifier).fit(TEXTS, LABELS)


@pytest.mark.parametrize(
    ("vectorizer", "classifier"),
    [
        (TfidfVectorizer(), LogisticRegression()),
        (TfidfVectorizer(ngram_range=(1, 2)), CalibratedClassifierCV(LinearSVC(), cv=2)),
        (CountVectorizer(lowercase=False), MultinomialNB()),
    ],
    ids=["tf-idf and logistic regression", "pairs of words and a calibrated SVM", "counts and Bayes"],
)
def test_a_text_classifier_of_scikit_learn_answers_as_before(tmp_path, vectorizer, classifier):
    model = fitted(vectorizer, classifier)
    folder = save_sklearn(tmp_path / "model", model)
    stored = read_mlflow_model(str(folder), tmp_path, texts=TEXTS)
    assert stored.labels == ("account", "billing", "delivery")
    assert (stored.source["flavour"], stored.source["sklearn_version"]) == ("sklearn", "1.9.1")
    scores = OnnxModel(stored.graph, OnnxSpec({})).scores(NEW, [{}] * len(NEW))
    np.testing.assert_allclose(scores, model.predict_proba(NEW), atol=1e-5)


def test_a_classifier_of_named_columns_says_what_it_reads(tmp_path):
    model = LogisticRegression().fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])
    wanted = model.predict_proba([[1.0, 0.0], [0.0, 2.0]])
    model.feature_names_in_ = np.array(["age", "income"], dtype=object)
    stored = read_mlflow_model(str(save_sklearn(tmp_path / "model", model)), tmp_path)
    assert stored.inputs == {"row": ["age", "income"]}
    assert stored.labels == ("0", "1")
    rows = [{"age": 1, "income": 0}, {"income": 2}]
    scores = OnnxModel(stored.graph, OnnxSpec(stored.inputs)).scores(["", ""], rows)
    np.testing.assert_allclose(scores, wanted, atol=1e-5)


class Trap:
    """What runs when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (pathlib.Path.touch, (self.path,))


REFUSED = [
    (lambda: fitted(TfidfVectorizer(analyzer="char_wb"), LogisticRegression()), "skl2onnx cannot convert it: "),
    (lambda: fitted(TfidfVectorizer(strip_accents="unicode"), LogisticRegression()), "skl2onnx cannot convert it: "),
    (lambda: fitted(TfidfVectorizer(), LinearSVC()), "Pipeline has no probabilities: put it in a CalibratedClassifierCV"),
    # What a converter gets wrong without a word: logarithms of counts of pairs.
    (lambda: fitted(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression()), "the graph answers otherwise than the model: by "),
    (lambda: fitted(TfidfVectorizer(token_pattern=r"(?u)\w+'?\w+"), LogisticRegression()), "the runtime does not take the graph of skl2onnx: "),
    (lambda: make_pipeline(FunctionTransformer(os.system), LogisticRegression()), "it holds code, or types that may run some."),
]  # fmt: skip


@pytest.mark.parametrize(("make", "words"), REFUSED, ids=range(len(REFUSED)))
def test_what_a_graph_cannot_carry_is_refused_by_its_reason(tmp_path, make, words):
    folder = save_sklearn(tmp_path / "model", make())
    with pytest.raises(MlflowModelError, match=re.escape(words)):
        read_mlflow_model(str(folder), tmp_path, texts=TEXTS)


def test_a_list_of_trusted_types_that_comes_with_a_model_is_not_believed(tmp_path):
    model = make_pipeline(FunctionTransformer(os.system), LogisticRegression())
    folder = save_sklearn(tmp_path / "model", model)
    about = (folder / "MLmodel").read_text()
    named = about.replace("skops_trusted_types: null", "skops_trusted_types: [posix.system]")
    assert named != about
    (folder / "MLmodel").write_text(named)
    with pytest.raises(MlflowModelError, match=r"it holds code, or types that may run some\."):
        read_mlflow_model(str(folder), tmp_path, trusted=True)


@pytest.mark.parametrize("serialization", ["pickle", "cloudpickle"])
def test_a_pickle_runs_only_where_the_operator_trusts_it(tmp_path, serialization):
    trap = tmp_path / "ran"
    folder = save_sklearn(tmp_path / "trap", Trap(trap), serialization=serialization)
    words = f"serialization_format == '{serialization}', must be 'skops': to load a pickle runs code"
    with pytest.raises(MlflowModelError, match=re.escape(words)):
        read_mlflow_model(str(folder), tmp_path)
    assert not trap.exists()
    with pytest.raises(MlflowModelError, match="NoneType has no probabilities"):
        read_mlflow_model(str(folder), tmp_path, trusted=True)
    assert trap.exists()  # as the option says

    model = fitted(TfidfVectorizer(), LogisticRegression())
    folder = save_sklearn(tmp_path / "model", model, serialization=serialization)
    stored = read_mlflow_model(str(folder), tmp_path, trusted=True, texts=TEXTS)
    assert stored.labels == ("account", "billing", "delivery")


def test_a_conversion_gets_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    seen = tmp_path / "seen"

    class Reader:
        def __reduce__(self):
            words = f"open({str(seen)!r}, 'w').write(str(dict(__import__('os').environ)))"
            return (eval, (words,))

    folder = save_sklearn(tmp_path / "model", Reader(), serialization="pickle")
    with pytest.raises(MlflowModelError, match="has no probabilities"):
        read_mlflow_model(str(folder), tmp_path, trusted=True)
    assert "'PATH'" in seen.read_text()
    assert "secret" not in seen.read_text()


def network(width=2):
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(width, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3)).eval()


@pytest.mark.parametrize("exported", [True, False], ids=["pt2", "pickle"])
def test_a_network_is_exported_where_the_operator_trusts_it(tmp_path, exported):
    module = network()
    folder = save_torch(tmp_path / "model", module, width=2, exported=exported)
    with pytest.raises(MlflowModelError, match="to load a network runs code of whoever wrote it"):
        read_mlflow_model(str(folder), tmp_path)
    stored = read_mlflow_model(str(folder), tmp_path, trusted=True)
    assert stored.source["pytorch_version"] == "2.13.0"
    (name,) = _inputs_of(stored.graph)
    spec = OnnxSpec({name: ["age", "income"]}, activation=SOFTMAX)
    rows = [{"age": 1, "income": -2}, {"age": 0.5}, {}]
    scores = OnnxModel(stored.graph, spec).scores([""] * 3, rows)
    wanted = module(torch.tensor([[1.0, -2.0], [0.5, 0.0], [0.0, 0.0]])).softmax(1)
    np.testing.assert_allclose(scores, wanted.detach().numpy(), atol=1e-5)


def _inputs_of(graph):
    import onnx

    return [one.name for one in onnx.load_model_from_string(graph).graph.input]


def test_a_network_that_takes_no_rows_is_refused(tmp_path):
    folder = save_torch(tmp_path / "one", network(), width=2, rows=1)
    with pytest.raises(MlflowModelError, match="must take any number of rows of one width"):
        read_mlflow_model(str(folder), tmp_path, trusted=True)
    folder = save_torch(tmp_path / "unsigned", network(), width=2, exported=False, signature=None)
    with pytest.raises(MlflowModelError, match="has no signature that gives the width of its rows"):
        read_mlflow_model(str(folder), tmp_path, trusted=True)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"pickled_model": "../secret"}, "'../secret' lies outside of the model's folder."),
        ({"pickled_model": "lost.skops"}, "lost.skops is missing."),
        ({"pickled_model": "MLmodel"}, "MLmodel cannot be read as skops: "),
        (
            {"serialization_format": "marshal"},
            "serialization_format == 'marshal', must be one of ['skops'",
        ),
    ],
)
def test_a_folder_that_names_another_file_is_refused(tmp_path, changed, words):
    import yaml

    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    folder = save_sklearn(tmp_path / "model", model)
    about = yaml.safe_load((folder / "MLmodel").read_text())
    about["flavors"]["sklearn"] |= changed
    (folder / "MLmodel").write_text(yaml.safe_dump(about))
    with pytest.raises(MlflowModelError, match=re.escape(words)):
        read_mlflow_model(str(folder), tmp_path)
