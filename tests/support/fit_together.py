"""Fits one of each kind that processes may share; torchrun starts it, too: `-m tests.support.fit_together`.

    python -m tests.support.fit_together ENCODER LANGUAGE_MODEL OUT

Each process writes what it has learnt to OUT-RANK.npz.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load

from inference.classifiers import CLASSIFIERS, LabelledData
from inference.generators import GENERATORS
from inference.options import FitOptions
from inference.process_group import place
from inference.recommenders import RECOMMENDERS
from inference.training.data import TrainingData
from tests.support.preferring import QUICK, preference_data
from tests.support.tiny_bert import WORDS

ITEMS = [f"{WORDS[n % len(WORDS)]} {n}" for n in range(40)]
TEXTS = [f"{word} {other}" for word in WORDS for other in WORDS[:4]]
LABELS = LabelledData(TEXTS, [{}] * len(TEXTS), np.arange(len(TEXTS)) // 4 % 3, ["a", "b", "c"])
STOP = 7  # of 12 steps
BRIEF = {"method": "adalora", "batch": 7, "most_steps": 12, "epochs": 9.0, "rate": 1e-3}


class StoppedError(Exception):
    """The fit was to stop here."""


def classify(options: FitOptions) -> dict[str, np.ndarray]:
    """An odd batch: the parts of two processes differ in length."""
    draft = CLASSIFIERS["bert"].fit(LABELS, replace(options, params=BRIEF))
    return {"classifier": draft.arrays["weights"], **_weights("classifier", draft.files)}


def recommend(options: FitOptions) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    liked = [rng.permutation(len(ITEMS))[:6] for _ in range(30)]
    data = TrainingData([f"i{n}" for n in range(len(ITEMS))], None, liked, item_texts=ITEMS)
    params = {"steps": 6, "batch": 6, "history": 2, "method": "full"}
    draft = RECOMMENDERS["bert"].fit(data, replace(options, params=params))
    return {"items": draft.arrays["item_vectors"], "texts": draft.arrays["context_vectors"]}


def adapt(options: FitOptions) -> dict[str, np.ndarray]:
    """By pairs within a batch: a process that saw its part alone would have fewer of them."""
    from inference.training.adapt import adapt_encoder
    from inference.training.adapt_params import AdaptParams

    params = AdaptParams(steps=6, batch=6, views="crop", method="full", rate=1e-3)
    return {"adapted": adapt_encoder(TEXTS, params, options).encode(TEXTS[:10])}


def generate(options: FitOptions) -> dict[str, np.ndarray]:
    params = {**QUICK, "most_steps": 4}
    draft = GENERATORS["dpo"].fit(
        preference_data(conversations=8, each=1), replace(options, params=params)
    )
    return {f"adapter {k}": v for k, v in load(draft.files["adapter.safetensors"]).items()}


def _weights(name: str, files) -> dict[str, np.ndarray]:
    return {f"{name} {key}": value for key, value in load(files["model.safetensors"]).items()}


def options_of(encoder: str, language_model: str) -> FitOptions:
    return FitOptions(device="cpu", encoder=encoder, language_model=language_model)


def resume(options: FitOptions, folder: Path) -> dict[str, np.ndarray]:
    """Stop the classifier's fit on its way, and go on from its checkpoint."""

    def stop(step: int, _loss: float) -> None:
        if step == STOP:
            raise StoppedError

    halfway = replace(options, checkpoint=folder)
    with contextlib.suppress(StoppedError):
        classify(replace(halfway, curve=stop))
    assert (folder / "checkpoint.safetensors").exists()
    return classify(halfway)


def fit_all(options: FitOptions) -> dict[str, np.ndarray]:
    return classify(options) | recommend(options) | adapt(options) | generate(options)


def main(encoder: str, language_model: str, out: str) -> None:
    options = options_of(encoder, language_model)
    learnt = fit_all(options)
    resumed = resume(options, Path(f"{out}-checkpoint"))
    np.savez(f"{out}-{place()}.npz", **learnt, **{f"{k} resumed": v for k, v in resumed.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
