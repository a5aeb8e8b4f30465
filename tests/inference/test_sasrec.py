"""SASRec: learns an order, serves in numpy what torch computes, and resumes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from inference.options import FitOptions
from inference.recommenders import RECOMMENDERS
from inference.serving.artifact import save_artifact
from inference.serving.ranker import Ranker
from inference.training.data import TrainingData
from inference.training.sasrec import export_sasrec, train_sasrec
from inference.training.sasrec_params import SasrecParams
from tests.support.learning import ITEMS

QUICK = {"width": 16, "history": 8, "min_steps": 60, "batch": 16, "dropout": 0.0, "rate": 1e-2}
TEXT = np.random.default_rng(1).normal(size=(len(ITEMS), 6)).astype(np.float32)


def ordered(units=60) -> TrainingData:
    """Who likes 0 and then 1 goes on to 2; who likes 1 and then 0 goes on to 3."""
    liked = [np.array([0, 1, 2] if n % 2 else [1, 0, 3]) for n in range(units)]
    return TrainingData(ITEMS[:6], None, liked)


def fit(name, data, **params):
    return RECOMMENDERS[name].fit(data, FitOptions(params=params))


def test_it_learns_what_depends_on_the_order(tmp_path):
    def next_of(name, recent, **params) -> int:
        ranker = Ranker(tmp_path, save_artifact(tmp_path, fit(name, ordered(), **params)))
        return ranker.candidates([recent], [recent], 1)[0][0]

    assert next_of("sasrec", [1, 0], **QUICK) == 2  # newest first
    assert next_of("sasrec", [0, 1], **QUICK) == 3
    for name in ("item-knn", "ease"):  # which cannot tell them apart
        assert next_of(name, [1, 0]) == next_of(name, [0, 1])


@pytest.mark.parametrize("text", [None, TEXT])
def test_numpy_serves_what_torch_computes(tmp_path, text):
    rng = np.random.default_rng(0)
    liked = [rng.permutation(len(ITEMS) - 2)[:7] for _ in range(30)]
    data = TrainingData(ITEMS, text, liked)
    params = SasrecParams(width=16, history=8, blocks=2, min_steps=20, batch=16, rate=1e-2)
    model = train_sasrec(data, params, FitOptions())
    draft = replace(
        fit("sasrec", data, width=16, history=8, min_steps=1),
        arrays=export_sasrec(model, data.popularity) | {"default_order": np.arange(5, dtype=np.int32)},
    )
    scorer = Ranker(tmp_path, save_artifact(tmp_path, draft)).scorer
    for recent in ([3], [5, 1, 7], list(range(8)), list(range(12))):
        read = torch.tensor([recent[:8][::-1]])
        with torch.no_grad():
            state = model.states(read, torch.ones_like(read, dtype=torch.bool))[0, -1]
            theirs = (state @ model.items(torch.arange(len(ITEMS))).T).numpy() + draft.arrays["bias"]
        assert scorer.score_all([recent])[0] == pytest.approx(theirs, abs=1e-4)
        assert scorer.score(np.arange(4, dtype=np.int32), recent) == pytest.approx(theirs[:4], abs=1e-4)
    assert draft.arrays["bias"][-1] == draft.arrays["bias"][-2]  # what nobody liked
    if text is None:
        assert not draft.arrays["item_vectors"][-2:].any()
    else:  # a cold item is placed by its text alone
        alone = text[-2:] / np.linalg.norm(text[-2:], axis=1, keepdims=True)
        projected = alone @ model.projection.weight.detach().numpy().T
        assert draft.arrays["item_vectors"][-2:] == pytest.approx(projected, abs=1e-5)


class KilledError(Exception):
    pass


def test_a_killed_fit_resumes_and_ends_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("inference.training.sasrec.CHECKPOINT_SECONDS", 0.0)
    params = {**QUICK, "min_steps": 40, "dropout": 0.3}
    lines = []

    def kill(_share: float, line: str) -> None:
        lines.append(line)
        if len(lines) == 17:
            raise KilledError

    options = FitOptions(seed=1, params=params, checkpoint=tmp_path, report=kill)
    with pytest.raises(KilledError):
        RECOMMENDERS["sasrec"].fit(ordered(), options)
    resumed = RECOMMENDERS["sasrec"].fit(ordered(), replace(options, report=FitOptions().report))
    whole = RECOMMENDERS["sasrec"].fit(ordered(), FitOptions(seed=1, params=params))
    for name, array in whole.arrays.items():
        assert np.array_equal(resumed.arrays[name], array), name


def test_what_it_cannot_learn_from_is_refused():
    with pytest.raises(ValueError, match="units with two liked items == 0"):
        fit("sasrec", TrainingData(ITEMS, None, [np.array([1])]))
    with pytest.raises(ValueError, match="heads == 3, must divide the width, 16"):
        fit("sasrec", ordered(), width=16, heads=3)


@pytest.mark.parametrize(("units", "steps"), [(200, 400), (900, 1_500), (10**6, 20_000)])
def test_many_units_get_fewer_passes(units, steps):
    assert SasrecParams().steps_for(units) == steps
