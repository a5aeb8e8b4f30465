"""Refreshing top-100 lists: `Ranker.candidates` beside one matrix product and a partial sort (the limit)."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np

from benchmarks.results import Row, write_result
from inference.serving.artifact import save_artifact
from inference.serving.ranker import Ranker
from inference.serving.scorers import draft_vectors

WIDTH, LIST, HISTORY = 64, 100, 30


def run(size: str, home: str) -> None:
    users = 2000 if size == "full" else 300
    rows = []
    for items in (1_000, 10_000, 50_000) if size == "full" else (1_000, 10_000):
        ours, limit = _compare(Path(home), items, users)
        at_target = items == 10_000
        rows.append(
            Row(
                f"top {LIST} of {items:,} items", ours, "users/s", None, limit,
                "share_of_limit >= 0.5" if at_target else "",
            )
        )  # fmt: skip
        if at_target:
            rows.append(Row("the same, beside the target", ours, "users/s", None, None, "ours >= 5000"))
    write_result(
        "refresh", size, rows, f"{users} users of {HISTORY} recent items; one thread; medians of 5.", ()
    )


def _compare(root: Path, items: int, users: int) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(items, WIDTH)).astype(np.float32)
    draft = draft_vectors(
        item_ids=[f"i{n}" for n in range(items)],
        item_vectors=vectors,
        context_vectors=vectors,
        bias=np.zeros(items, np.float32),
        default_order=np.arange(1000, dtype=np.int32),
        about={"algorithm": "bench"},
    )
    ranker = Ranker(root, save_artifact(root, draft))
    histories = [rng.integers(items, size=HISTORY).tolist() for _ in range(users)]
    units = np.stack([vectors[h].mean(0) for h in histories])
    timed = {"ours": [], "limit": []}
    for _ in range(5):
        start = time.perf_counter()
        for at in range(0, users, 500):
            ranker.candidates(histories[at : at + 500], histories[at : at + 500], LIST)
        timed["ours"].append(users / (time.perf_counter() - start))
        start = time.perf_counter()
        for at in range(0, users, 500):
            scores = units[at : at + 500] @ vectors.T
            top = np.argpartition(-scores, LIST, axis=1)[:, :LIST]
            np.take_along_axis(top, np.argsort(-np.take_along_axis(scores, top, 1), axis=1), 1)
        timed["limit"].append(users / (time.perf_counter() - start))
    return statistics.median(timed["ours"]), statistics.median(timed["limit"])
