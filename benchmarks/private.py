"""Differential privacy on CLINC150: ε against accuracy of the linear head, each example a user of its own.

CLINC150 (Larson et al. 2019, CC BY 3.0) is read from `../shared/data`, where it is there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.classify import data_file
from benchmarks.results import Row, write_result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

EPSILONS = (0.5, 1.0, 3.0, 8.0)
SEEDS = {"full": 3, "small": 1}


def run(size: str, home: str) -> None:
    file = data_file("clinc150_small.json")
    if file is None:
        print("shared/data/clinc150_small.json is not there: nothing to measure.")
        return
    data = json.loads(file.read_text(encoding="utf-8"))
    parts = {name: _part(data[name], Path(home)) for name in ("train", "test")}
    rows = list(_rows(parts["train"], parts["test"], SEEDS[size]))
    users = len(parts["train"][1])
    notes = (
        f"CLINC150 (small) without its out-of-scope texts: {users} examples of 150 intents, each of a user of its own; "
        f"δ is {0.1 / users:.1e}. The frozen encoder's vectors, the linear head by DP-SGD with its defaults, "
        f"{SEEDS[size]} seeds (ends in brackets). The peer is the same head without privacy."
    )  # fmt: skip
    write_result("private", size, rows, notes, ("torch", "opacus"))


def _part(pairs: list[list[str]], home: Path) -> tuple[NDArray[np.float32], list[str]]:
    from bakeoff.environment import DEFAULT_ENCODER
    from inference.encoders.locate import locate_encoder
    from inference.encoders.text_encoder import TextEncoder

    encoder = TextEncoder(locate_encoder(DEFAULT_ENCODER, home / "encoders"))
    return encoder.encode([text for text, _ in pairs]), [label for _, label in pairs]


def _rows(
    train: tuple[NDArray[np.float32], list[str]],
    test: tuple[NDArray[np.float32], list[str]],
    seeds: int,
) -> Iterator[Row]:
    from inference.classifiers.frozen_head import FrozenHeadParams
    from inference.classifiers.protocol import HeadOptions, fit_head
    from inference.options import FitOptions
    from inference.training.private_sgd import PrivateParams, fit_private_head

    (rows, names), (held_out, wanted) = train, test
    labels = sorted(set(names))
    truth, later = (np.array([labels.index(name) for name in one]) for one in (names, wanted))

    def accuracy(head) -> float:
        return float(((held_out @ head.weights + head.offset).argmax(1) == later).mean())

    params = FrozenHeadParams()
    plain = accuracy(fit_head(rows, truth, len(labels), HeadOptions(params.inverse_l2)))
    for epsilon in EPSILONS:
        accuracies = []
        for seed in range(seeds):
            head = fit_private_head(
                rows, truth, len(labels), np.arange(len(truth)),
                params=PrivateParams(epsilon=epsilon), options=FitOptions(seed=seed),
            )  # fmt: skip
            accuracies.append(accuracy(head))
        what = f"clinc150: accuracy at ε = {epsilon:g} (noise {head.noise:.2f})"
        spread = f"{min(accuracies):.3f} to {max(accuracies):.3f}"
        yield Row(what, float(np.mean(accuracies)), "share", plain, None, spread=spread)
