"""Every training path keeps to its device: each runs whole on one that is not the CPU."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from inference.classifiers import CLASSIFIERS, LabelledData
from inference.compression import COMPRESSIONS
from inference.encoders.device import pick_device, training_precision
from inference.generators import GENERATORS
from inference.options import FitOptions
from inference.recommenders import RECOMMENDERS
from inference.training.adapt_params import OBJECTIVES, SIMCSE, VIEWS
from inference.training.data import TrainingData
from tests.support.learning import ITEMS, PER_GROUP
from tests.support.other_device import MixedDevicesError, OneDevice
from tests.support.preferring import QUICK, preference_data
from tests.support.tiny_bert import WORDS

STEPS = {"steps": 10, "batch": 4, "history": 2, "rank": 2}
TOWERS = {**STEPS, "head_epochs": 1}
BRIEF = {"epochs": 0.1, "batch": 4}
LABELS = LabelledData(
    [f"{word} {other}" for word in WORDS for other in WORDS[:4]],
    [{"amount": float(n)} for n in range(4 * len(WORDS))],
    np.arange(4 * len(WORDS)) % 3,
    ["a", "b", "c"],
)


def behaviour() -> TrainingData:
    rng = np.random.default_rng(0)
    texts = [f"{WORDS[n // PER_GROUP]} {n}" for n in range(len(ITEMS))]
    liked = [rng.permutation(len(ITEMS))[:6] for _ in range(30)]
    return TrainingData(
        ITEMS, rng.normal(size=(len(ITEMS), 8)).astype(np.float32), liked, item_texts=texts
    )


def fit_recommender(name, params):
    return lambda options: RECOMMENDERS[name].fit(behaviour(), replace(options, params=params))


def fit_classifier(name, params):
    return lambda options: CLASSIFIERS[name].fit(LABELS, replace(options, params=params))


def fit_private_head(options):
    # Texts of its own: those that another path has encoded are not encoded again.
    texts = [f"{text} private" for text in LABELS.texts]
    users = np.arange(len(texts)) % 7
    data = replace(LABELS, texts=texts, features=[{} for _ in texts], users=users)
    return CLASSIFIERS["private-head"].fit(data, options)


def shrink(how, size):
    def fit(options):
        parent = CLASSIFIERS["frozen-head"].fit(LABELS, replace(options, device="cpu"))
        return COMPRESSIONS[how](parent, LABELS.texts[:20], size, options)

    return fit


def fit_generator(name, params):
    def fit(options):
        data = preference_data(conversations=8, each=1)
        return GENERATORS[name].fit(data, replace(options, params={**QUICK, "most_steps": 2, **params}))

    return fit


PATHS = {
    "two-tower": fit_recommender("two-tower", {"epochs": 2, "hidden": 8, "width": 4}),
    "sasrec": fit_recommender("sasrec", {"max_steps": 3, "width": 4, "batch": 4}),
    "tuned-two-tower by lora": fit_recommender(
        "tuned-two-tower", {**TOWERS, "steps": 2, "method": "lora"}
    ),
    "tuned-two-tower by adalora": fit_recommender("tuned-two-tower", {**TOWERS, "method": "adalora"}),
    "pretrain by dropout": fit_recommender("pretrain", {"steps": 2, "batch": 4}),
    "pretrain by crop": fit_recommender("pretrain", {"steps": 2, "batch": 4, "views": "crop"}),
    "pretrain by tsdae": fit_recommender("pretrain", {"steps": 2, "batch": 4, "objective": "tsdae"}),
    "bert over items": fit_recommender("bert", {**STEPS, "steps": 2, "method": "full"}),
    "bert over labels": fit_classifier("bert", {**BRIEF, "class_weight": "balanced"}),
    "bert over labels by adalora": fit_classifier("bert", {**BRIEF, "method": "adalora"}),
    "frozen-head": fit_classifier("frozen-head", {}),
    "private-head": fit_private_head,
    "distil": shrink("distil", 1),
    "prune": shrink("prune", 1),
    "sft": fit_generator("sft", {}),
    "dpo": fit_generator("dpo", {"method": "adalora", "most_steps": 10}),
}


RESUMED = ("two-tower", "sasrec", "tuned-two-tower by adalora", "dpo")


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
@pytest.mark.parametrize("path", PATHS)
def test_a_training_path_keeps_to_its_device(tmp_path, tiny_bert, tiny_base, path):
    options = FitOptions(
        device="meta",
        encoder=str(tiny_bert),
        language_model=str(tiny_base),
        checkpoint=tmp_path / "checkpoint",
    )
    with OneDevice() as check:
        draft = PATHS[path](options)
        if path in RESUMED:  # from the last checkpoint: what it holds goes to the device too
            draft = PATHS[path](options)
    assert check.operations > 30
    assert draft.arrays or draft.files
    assert all(isinstance(array, np.ndarray) for array in draft.arrays.values())


def test_what_trains_in_torch_is_among_the_paths():
    sources = {
        **{
            name: inspect.getmodule(type(one))
            for name, one in {**RECOMMENDERS, **CLASSIFIERS, **GENERATORS}.items()
        },
        **COMPRESSIONS,
    }
    in_torch = {name for name, one in sources.items() if "torch" in inspect.getsource(one)}
    assert in_torch - {path.split()[0] for path in PATHS} == set()
    # What has a loss of its own is a path of its own.
    adaptations = {f"pretrain by {one}" for one in (*VIEWS, *OBJECTIVES) if one != SIMCSE}
    assert adaptations <= PATHS.keys()


@pytest.mark.parametrize(
    "mix",
    [
        lambda there, here: there @ here,
        lambda there, here: there.masked_fill(here > 0, 0.0),
        lambda there, here: torch.nn.functional.cross_entropy(there, here[0].long()),
        lambda there, here: here[there[0].long()],
    ],
)
def test_the_check_refuses_what_a_gpu_refuses(mix):
    with OneDevice(), pytest.raises(MixedDevicesError):
        mix(torch.ones(3, 3, device="meta"), torch.ones(3, 3))


def test_the_device_is_chosen_in_one_place(monkeypatch):
    monkeypatch.delenv("BAKEOFF_DEVICE", raising=False)
    automatic = "cuda" if torch.cuda.is_available() else "cpu"
    assert pick_device("auto").type == automatic
    monkeypatch.setenv("BAKEOFF_DEVICE", "meta")
    assert pick_device("auto").type == "meta"
    assert pick_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match="device == 'gpu', must be"):
        pick_device("gpu")
    if automatic == "cpu":
        with pytest.raises(ValueError, match="torch sees no GPU here"):
            pick_device("cuda")


def test_half_precision_is_for_training_on_a_gpu():
    with training_precision(torch.device("cpu")):
        assert not torch.is_autocast_enabled("cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that there is no GPU here
        there = training_precision(torch.device("cuda"))
    assert isinstance(there, torch.autocast)
    assert there.fast_dtype == torch.bfloat16
    with torch.inference_mode():  # what only reads computes as serving does
        assert not isinstance(training_precision(torch.device("cuda")), torch.autocast)
