"""Recommenders that fine-tune an encoder, on the split of recommenders.py; some ten minutes each fit."""

from __future__ import annotations

from pathlib import Path

from benchmarks.movielens import split_movielens
from benchmarks.recommenders import fit_seeds, rows_of
from benchmarks.results import write_result

ALGORITHMS = (
    ("tuned-two-tower", {"method": "lora"}),
    ("bert", {"method": "full", "steps": 300}),
)


def run(size: str, home: str) -> None:
    root = Path(home)
    stage = split_movielens(root)
    seeds = 5 if size == "full" else 1
    rows = [
        row
        for name, params in ALGORITHMS
        for row in rows_of(name, fit_seeds(root, stage, name, params, seeds))
    ]
    notes = (
        f"{len(stage.judged)} users with something to find, {seeds} seeds. Training is one fit, in "
        "processor seconds. The same split as of recommenders."
    )
    write_result("tuned_recommenders", size, rows, notes, ("torch", "transformers"))
