"""Build the indexes of a version's items, and measure what they find.

Guarantees: of several processes one builds; a description is written last, so that it never stands for
half a file. A graph costs some hundred microseconds an item, of every thread that builds.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inference.serving.file_lock import try_lock
from inference.serving.item_index import (
    MIN_RECALL,
    RECALL_AT,
    IndexDescription,
    ItemIndex,
    VectorForm,
    index_folder,
)
from inference.serving.ranker import Ranker
from inference.serving.scorers import DENSE_ITEMS, vector_forms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from usearch.index import Index

    from inference.serving.artifact import Floats, Indices

logger = logging.getLogger(__name__)
SAMPLED_UNITS = 200  # for which the recall is measured
SAMPLED_HISTORY = 10
# How many candidates a search holds on to; the first with enough recall serves. The narrowest finds
# enough for units that like what has little in common too; above the last, scoring all is as fast.
BREADTHS = (256, 512, 1024)
CONNECTIVITY, BUILD_BREADTH = (
    16,
    64,
)  # a wider build takes twice as long, and finds a tenth of a percent more
BLOCK = 8  # units that are scored against all items at once while the recall is measured
LOCK = ".lock"


def lacks_index(root: Path, digest: str) -> bool:
    """Whether an artifact is large and an index of its vectors was never built, or is gone."""
    for path in (root / digest).glob("*item_*.npy"):
        name, _, array = path.stem.rpartition(".")
        if array not in {"item_vectors", "item_factors"}:
            continue
        items, width = np.load(path, mmap_mode="r", allow_pickle=False).shape
        description = index_folder(root, digest) / f"{name}.items.json".removeprefix(".")
        if items > DENSE_ITEMS and width and not description.exists():
            return True
    return False


def build_indexes(
    root: Path, digest: str, *, histories: Sequence[Sequence[int]] = ()
) -> Mapping[str, IndexDescription]:
    """Build the indexes that a version lacks, and return what is known of them, by their names.

    Nothing happens where the version is small, or while another process builds.

    Args:
        root: the store.
        digest: of the artifact.
        histories: recent items of units, newest first, for which the recall is measured; drawn among
            items that stand near each other where there are none.

    Raises:
        ArtifactError: the artifact is missing or damaged.
    """
    if not lacks_index(root, digest):
        return {}
    with try_lock(index_folder(root, digest) / LOCK) as is_mine:
        if not is_mine or not lacks_index(root, digest):
            return {}
        # Half of the machine: it serves meanwhile.
        threads = max(1, len(os.sched_getaffinity(0)) // 2)
        ranker = Ranker(root, digest)
        return {
            name: build_index(root, digest, name, form, histories=histories, threads=threads)
            for name, form in vector_forms(ranker.scorer).items()
            if form.index is None
        }


def build_index(
    root: Path,
    digest: str,
    name: str,
    form: VectorForm,
    *,
    histories: Sequence[Sequence[int]] = (),
    threads: int = 1,
) -> IndexDescription:
    """Build an index, measure what it finds, and keep it beside the artifact.

    Args:
        root: the store.
        digest: of the artifact.
        name: of the form within it.
        form: whose items they are.
        histories: recent items of units, newest first, for which the recall is measured; drawn among
            items that stand near each other where there are none.
        threads: that build.
    """
    from usearch.index import Index  # noqa: PLC0415  small catalogues do without

    started = time.perf_counter()
    points, rows, length = _points(form)
    index = Index(
        ndim=points.shape[1],
        metric="ip",  # all points and all queries have the length 1
        dtype="f16",
        connectivity=CONNECTIVITY,
        expansion_add=BUILD_BREADTH,
    )
    index.add(rows, points, threads=threads)
    seconds = time.perf_counter() - started
    about = IndexDescription("", len(rows), points.shape[1], length, 0, 0.0, round(seconds, 1))
    about = _choose_breadth(index, about, form, histories or draw_histories(form))
    return _keep(index_folder(root, digest), name, index, about)


def _points(form: VectorForm) -> tuple[Floats, NDArray[np.int64], float]:
    """Return the points of the items that have a vector, their rows, and the length M they had."""
    rows = np.flatnonzero(form.item_vectors.any(axis=1))
    points = np.empty((len(rows), form.item_vectors.shape[1] + 2), dtype=np.float32)
    points[:, :-2], points[:, -2] = form.item_vectors[rows], form.bias[rows]
    squares = np.einsum("nd,nd->n", points[:, :-1], points[:, :-1])
    max_square = float(squares.max(initial=1e-12))
    points[:, -1] = np.sqrt(np.maximum(max_square - squares, 0.0))
    points /= np.float32(max_square**0.5)
    return points, rows, max_square**0.5


def _choose_breadth(
    index: Index, about: IndexDescription, form: VectorForm, histories: Sequence[Sequence[int]]
) -> IndexDescription:
    """Return the description of the narrowest search that finds enough, or of the widest."""
    units = np.stack([form.unit_vector(history) for history in histories])
    best = best_by_product(form, units, RECALL_AT)
    for breadth in BREADTHS:
        about = replace(about, breadth=breadth)
        near = ItemIndex(index, about).search(units, RECALL_AT)
        shares = [
            len(np.intersect1d(one, other)) / len(one) for one, other in zip(best, near, strict=True)
        ]
        about = replace(about, recall=round(float(np.mean(shares)), 4))
        if about.recall >= MIN_RECALL:
            break
    return about


def best_by_product(form: VectorForm, units: Floats, count: int) -> list[Indices]:
    """Return the best items of units, `count` of each, unordered, by the scores of all."""
    best: list[Indices] = []
    for start in range(0, len(units), BLOCK):  # a line of scores is as long as the catalogue
        scores = units[start : start + BLOCK] @ form.item_vectors.T + form.bias
        top = np.argpartition(-scores, min(count, scores.shape[1] - 1), axis=1)[:, :count]
        best += list(top.astype(np.int32))
    return best


def draw_histories(form: VectorForm, units: int = SAMPLED_UNITS) -> list[list[int]]:
    """Return histories of items that stand together: some of the best for a random one."""
    rng = np.random.default_rng(0)
    rows = np.flatnonzero(form.item_vectors.any(axis=1))
    seeds = rng.choice(rows, min(units, len(rows)), replace=False)
    seeded = np.stack([form.unit_vector([int(seed)]) for seed in seeds])
    best = best_by_product(form, seeded, 5 * SAMPLED_HISTORY)
    return [rng.choice(near, min(SAMPLED_HISTORY, len(near)), replace=False).tolist() for near in best]


def _keep(folder: Path, name: str, index: Index, about: IndexDescription) -> IndexDescription:
    """Write an index beside its artifact; the description last: it never stands for half a file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.usearch"
    if about.recall >= MIN_RECALL:
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as aside:
            new = Path(aside) / path.name
            index.save(new)
            with new.open("rb") as file:
                os.fsync(file.fileno())
                about = replace(about, sha256=hashlib.file_digest(file, "sha256").hexdigest())
            new.replace(path)
    else:
        path.unlink(missing_ok=True)
        logger.warning(
            "an index over %s items finds %.4f of the best %s, must be at least %s: all are scored",
            about.items, about.recall, RECALL_AT, MIN_RECALL,
        )  # fmt: skip
    new = folder / f".{name}.json"
    new.write_text(json.dumps(asdict(about)))
    new.replace(folder / f"{name}.json")
    return about
