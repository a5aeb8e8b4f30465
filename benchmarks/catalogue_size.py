"""What a large catalogue costs: refreshing candidates, a training step, a web process's memory; by its size.

Vectors are drawn: groups of items whose spread falls from one coordinate to the next, as factors of behaviour
do, and a bias by popularity.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.results import Row, write_result
from inference.options import FitOptions
from inference.recommenders import RECOMMENDERS
from inference.serving.artifact import save_artifact
from inference.serving.catalogue_row import CatalogueRow
from inference.serving.index_building import build_indexes, draw_histories
from inference.serving.ranker import Ranker
from inference.serving.scorers import draft_vectors
from inference.serving.stored_catalogue import CatalogueWriter
from inference.training.data import TrainingData

WIDTH, UNITS, LIST = 64, 500, 100
TEXT_WIDTH = 64  # of the texts' vectors that training reads: of 384, a million would be 1.5 GB
LEARNERS = 2000


def run(size: str, home: str) -> None:
    sizes = (10_000, 100_000, 1_000_000) if size == "full" else (10_000, 60_000)
    rows: list[Row] = []
    measured: dict[str, list[float]] = {}
    steps = 40 if size == "full" else 8
    pieces = [partial(_serving, Path(home), items) for items in sizes]
    pieces += [partial(_training, items, steps) for items in sizes]
    for piece in pieces:
        for row in piece():
            # A million takes long: what is measured is seen at once.
            print(f"{row.what}: {row.ours:.4g} {row.unit}", flush=True)
            rows.append(row)
            measured.setdefault(row.what.split(":")[1], []).append(row.ours)
    growing = ("refresh of 500 units", "a training step of two-tower", "a training step of sasrec")
    rows += [_slope(what, sizes, measured[f" {what}"]) for what in growing]
    if size == "full":
        rows.append(_item_knn(50_000, "ours <= 60"))
    notes = (
        f"{UNITS} units of 10 recent items that stand near each other, lists of {LIST}, {WIDTH} numbers an item; one thread, "
        "except that an index is built on half of the cores. Seconds are the processor's, which other work on the machine "
        "hardly moves; building an index is by the clock. Recall is that of the lists beside all scores. Steps: median of "
        f"steps of {LEARNERS} units with 20 likes each. Memory: of a process that maps the version, its index and the "
        "catalogue (title, labels, price, brand), finds each item of the version in it, filters by price and answers 500 "
        "requests; beside that without either. Slope: exponent of the figure over the items, 0 where it does not grow."
    )
    write_result("catalogue_size", size, rows, notes, ("torch", "usearch"))


def _slope(what: str, sizes: tuple[int, ...], values: list[float]) -> Row:
    exponent = math.log(values[-1] / values[0]) / math.log(sizes[-1] / sizes[0])
    return Row(f"slope of {what}", exponent, "", None, None, "ours <= 0.5", higher_is_better=False)


def _draft(items: int):
    rng = np.random.default_rng(0)
    spread = np.arange(1, WIDTH + 1, dtype=np.float32) ** -1.0
    spread *= np.float32(2.4 / np.linalg.norm(spread))
    groups = rng.normal(size=(max(20, items // 200), WIDTH)).astype(np.float32)
    vectors = groups[rng.integers(len(groups), size=items)]
    vectors += rng.normal(size=(items, WIDTH)).astype(np.float32)
    vectors *= spread
    bias = (0.2 * np.log1p(rng.zipf(1.6, size=items).clip(max=10_000))).astype(np.float32)
    return draft_vectors(
        item_ids=[f"item-{n}" for n in range(items)],
        item_vectors=vectors,
        context_vectors=vectors,
        bias=bias,
        default_order=np.argsort(-bias, kind="stable").astype(np.int32),
        about={"algorithm": "bench"},
    )


def _timed(work, repeats: int = 3) -> tuple[float, object]:
    times, result = [], None
    for _ in range(repeats):
        start = time.process_time()
        result = work()
        times.append(time.process_time() - start)
    return min(times), result


def _serving(root: Path, items: int) -> list[Row]:
    digest = save_artifact(root, _draft(items))
    ranker = Ranker(root, digest)
    histories = draw_histories(ranker.scorer, UNITS)
    _, exact = _timed(lambda: ranker.candidates(histories, histories, LIST), 1)
    built = build_indexes(root, digest)
    ranker = Ranker(root, digest)
    seconds, ours = _timed(lambda: ranker.candidates(histories, histories, LIST))
    shares = [len(np.intersect1d(*both)) / LIST for both in zip(ours, exact, strict=True)]
    rows = [
        Row(f"{items:,} items: refresh of {UNITS} units", seconds, "s", higher_is_better=False),
        Row(
            f"{items:,} items: recall@{LIST}",
            float(np.mean(shares)),
            "share",
            None,
            None,
            "ours >= 0.98",
        ),
    ]
    for about in built.values():
        alone, _ = _timed(lambda: ranker.scorer.near(histories, LIST + 10))
        rows += [
            Row(f"{items:,} items: the refresh beside the index's own search (peer)", seconds, "s", alone, None,
                "ratio_to_peer >= 0.5", higher_is_better=False),
            Row(f"{items:,} items: building the index", about.build_seconds, "s", higher_is_better=False),
        ]  # fmt: skip
    one, _ = _timed(lambda: ranker.nearline(histories[0], LIST))
    rows.append(
        Row(f"{items:,} items: candidates of one new visitor", one * 1000, "ms", higher_is_better=False)
    )
    return [*rows, *_memory(root, digest, items)]


_CHILD = """
import gc, json, sys
from pathlib import Path
def private():
    lines = Path('/proc/self/smaps_rollup').read_text().splitlines()
    sizes = {line.split(':')[0]: int(line.split()[1]) / 1024 for line in lines[1:] if 'kB' in line}
    return sizes['Anonymous'], sizes['Rss']
import numpy as np, orjson
from bakeoff.gateway import app
from experiments.slate_rules.filters import Filters
from inference.serving.catalogue import Catalogue
from inference.serving.eligible import Eligible
from inference.serving.candidates import find_candidates
from inference.serving.ladder import SlateRequest, serve
from inference.serving.ranker import Ranker
from inference.serving.stored_catalogue import StoredCatalogue
root, digest, folder, stored = sys.argv[1:]
before = private()[0]
ranker = Ranker(Path(root), digest)
catalogue = Catalogue(StoredCatalogue(Path(folder)))
if stored == 'no':
    rows = list(catalogue.rows.each())
    catalogue = Catalogue(); catalogue.apply(rows, 1)
    ranker.item_ids = list(ranker.item_ids); ranker.index = {name: n for n, name in enumerate(ranker.item_ids)}
filters, rng = Filters(catalogue), np.random.default_rng(0)
for n in range(500):
    mask = filters.mask({'price': {'$lte': 50 + n % 20}}, {})
    recent = [f'item-{one}' for one in rng.integers(len(ranker.item_ids), size=10)]
    request = SlateRequest(k=10, recent=recent, precomputed=None, exclude=(), only=None, static_list=(), max_candidates=200,
        temperature=0.05, eligible=Eligible(catalogue, catalogue.shown()))
    slate = serve(ranker, request, rng=rng, no_model_reason='')
    shown = [catalogue.rows[catalogue.find(slot.item_id)].fields['title'] for slot in slate.slots]
gc.collect()
own, rss = private()
print(json.dumps([own - before, rss]))
"""


def _memory(root: Path, digest: str, items: int) -> list[Row]:
    writer = CatalogueWriter(root / "catalogues")
    for n in range(items):
        writer.add(
            CatalogueRow(
                item_id=f"item-{n}",
                fields={"title": f"Title of item {n}, a thing to buy", "price": float(n % 199), "labels": ("a", f"l{n % 50}"),
                        "url": f"https://shop.example/items/{n}"},
                properties={"brand": f"brand {n % 1000}"},
            )
        )  # fmt: skip
    writer.finish(1, 1)
    folder = root / "catalogues" / "1-1"

    def child(stored: str) -> list[float]:
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, str(root), digest, str(folder), stored],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return json.loads(done.stdout)

    own, _ = child("yes")
    peer = child("no")[0] if items <= 100_000 else None
    return [
        Row(f"{items:,} items: memory of a web process for them (peer: as objects)", own, "MiB", peer, higher_is_better=False)
    ]  # fmt: skip


def _training(items: int, steps: int) -> list[Row]:
    rng = np.random.default_rng(0)
    popular = np.cumsum(1 / np.arange(1, items + 1) ** 0.8)
    liked = [
        np.minimum(np.searchsorted(popular, rng.random(20) * popular[-1]), items - 1)
        for _ in range(LEARNERS)
    ]
    text = rng.normal(size=(items, TEXT_WIDTH)).astype(np.float32)
    data = TrainingData([f"item-{n}" for n in range(items)], text, liked)
    batch, rows = 64, []
    # One pass of two-tower is as many steps as batches; sasrec reports each step.
    passes = max(2, steps * batch // LEARNERS)
    fits = {
        "two-tower": (
            {"batch": batch, "epochs": passes, "most_steps": 10**6},
            math.ceil(LEARNERS / batch),
        ),
        "sasrec": ({"batch": batch, "min_steps": steps, "max_steps": steps}, 1),
    }
    for name, (params, per_report) in fits.items():
        times: list[float] = []
        options = FitOptions(
            params=params,
            device="cpu",
            curve=lambda _step, _loss, times=times: times.append(time.process_time()),
        )
        RECOMMENDERS[name].fit(data, options)
        step = float(np.median(np.diff(times))) / per_report * 1000
        rows.append(
            Row(f"{items:,} items: a training step of {name}", step, "ms", higher_is_better=False)
        )
    return rows


def _item_knn(items: int, target: str) -> Row:
    rng = np.random.default_rng(0)
    popular = np.cumsum(1 / np.arange(1, items + 1) ** 0.8)
    liked = [
        np.unique(np.minimum(np.searchsorted(popular, rng.random(50) * popular[-1]), items - 1))
        for _ in range(20_000)
    ]
    data = TrainingData([f"item-{n}" for n in range(items)], None, liked)
    seconds, _ = _timed(lambda: RECOMMENDERS["item-knn"].fit(data, FitOptions()), 1)
    what = f"item-knn fitted on {items:,} items, 20,000 units, {sum(map(len, liked)):,} likes"
    return Row(what, seconds, "s", None, None, target, higher_is_better=False)
