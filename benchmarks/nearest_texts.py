"""What a version pays once so that similar items may be found by their texts, and how good the lists are.

Vectors are drawn: subjects of 50 items on average, and in each item as much of its own that two of a
subject have a cosine of about .7.
"""

from __future__ import annotations

import math

import numpy as np

from benchmarks.processor_time import processor_seconds
from benchmarks.results import Row, write_result
from inference.serving.near_items import MAX_NEAR
from inference.training.near_items import near_items

WIDTH = 128  # numbers of a vector: of 384, a million would be 1.5 GB
OF_A_SUBJECT, OWN = 50, 0.7
JUDGED = 500  # items whose lists are judged


def run(size: str, home: str) -> None:
    sizes = (10_000, 100_000, 1_000_000) if size == "full" else (10_000, 60_000)
    rows: list[Row] = []
    seconds = []
    for items in sizes:
        for row in _rows(items):
            print(f"{row.what}: {row.ours:.4g} {row.unit}", flush=True)
            rows.append(row)
        seconds.append(rows[-2].ours)
    exponent = math.log(seconds[-1] / seconds[-2]) / math.log(sizes[-1] / sizes[-2])
    rows.append(
        Row("slope of the seconds, the last two", exponent, "", None, None, "ours <= 1.5", higher_is_better=False)
    )  # fmt: skip
    notes = (
        f"Drawn vectors of {WIDTH} numbers, {OF_A_SUBJECT} items a subject. Up to 30,000 items all pairs are compared. Seconds are "
        f"the processor's, one thread. Recall is that of {JUDGED} items' lists of {MAX_NEAR} beside all cosines. Slope: exponent of "
        "the seconds over the items."
    )
    write_result("nearest_texts", size, rows, notes, ())


def _rows(items: int) -> list[Row]:
    rng = np.random.default_rng(0)
    subjects = rng.normal(size=(items // OF_A_SUBJECT, WIDTH)).astype(np.float32)
    texts = subjects[rng.integers(len(subjects), size=items)]
    texts += np.float32(OWN) * rng.standard_normal(texts.shape, dtype=np.float32)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    start = processor_seconds()
    lists = near_items([texts])
    seconds = processor_seconds() - start
    judged = rng.choice(items, JUDGED, replace=False)
    cosines = texts[judged] @ texts.T
    cosines[np.arange(JUDGED), judged] = -np.inf
    best = np.argpartition(-cosines, MAX_NEAR, axis=1)[:, :MAX_NEAR]
    shares = [len(np.intersect1d(*both)) / MAX_NEAR for both in zip(lists[judged], best, strict=True)]
    return [
        Row(f"{items:,} items: the nearest texts of all", seconds, "s", higher_is_better=False),
        Row(f"{items:,} items: recall@{MAX_NEAR}", float(np.mean(shares)), "share", None, None, "ours >= 0.8"),
    ]  # fmt: skip
