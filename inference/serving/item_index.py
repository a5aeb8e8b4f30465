"""An approximate index over a version's item vectors: what a unit would like best of a million items.

A form that scores an item by V[i] · u + b[i] asks for the largest inner products with (u, 1) among the
points (V[i], b[i]). One more coordinate, √(M² − |V[i]|² − b[i]²), gives all of them the same length M;
then the largest product is the nearest by angle (Bachrach et al. 2014), which a graph of neighbours
(HNSW, Malkov & Yashunin 2018, by the library `usearch`) finds after a few hundred comparisons.

The index lies beside the artifact, in `.indexes/<digest>` of the store, and is made of nothing else: it
can be lost or damaged, and made again. Guarantees: a file that is not what its description says is not
opened, and scoring all items serves; an index that finds less than `MIN_RECALL` of the best items, as
measured when it is built (`inference.serving.index_building`), is never used.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from inference.serving.artifact import ArtifactError, Floats, Indices

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from usearch.index import Index

FOLDER = ".indexes"  # of a store
MIN_RECALL = 0.98
RECALL_AT = 100


class VectorForm(Protocol):
    """A form that scores an item by its vector, the unit's, and a bias."""

    item_vectors: Floats
    bias: Floats

    def unit_vector(self, recent: Sequence[int]) -> Floats:
        """Return the unit's vector (d,) of its recent items, newest first."""


@dataclass(frozen=True, slots=True)
class IndexDescription:
    """What is known of an index without opening it; lies beside it as JSON.

    Attributes:
        sha256: of the file; empty when there is none, because none found enough.
        items: how many items are in it; the others have no vector.
        width: of its points.
        length: M, of all points.
        breadth: candidates that a search holds on to.
        recall: share of the 100 best items that it found, on average over sampled units.
        build_seconds: that it took.
    """

    sha256: str
    items: int
    width: int
    length: float
    breadth: int
    recall: float
    build_seconds: float


class ItemIndex:
    """An open index of a form's items.

    Attributes:
        about: what is known of it.
    """

    def __init__(self, index: Index, about: IndexDescription) -> None:
        """Search in an index that is open."""
        self.about = about
        self._index = index
        # A search for more items is as broad as these. The stub knows no setter, the class has one.
        index.expansion_search = about.breadth  # type: ignore[misc]

    def search(self, units: Floats, count: int) -> list[Indices]:
        """Return for each unit about the best items, best first, at most `count`.

        Args:
            units: their vectors, (u, d).
            count: of items.
        """
        from usearch.index import Matches  # noqa: PLC0415  small catalogues do without

        count = min(count, self.about.items)
        matches = self._index.search(_queries(units), count, threads=1)
        if isinstance(matches, Matches):  # of one unit
            return [matches.keys.astype(np.int32)]
        keys = matches.keys.astype(np.int32)
        return [row[:many] for row, many in zip(keys, matches.counts.tolist(), strict=True)]


def index_folder(root: Path, digest: str) -> Path:
    """Return where the indexes of an artifact lie."""
    return root / FOLDER / digest


def open_index(root: Path, digest: str, name: str, form: VectorForm) -> ItemIndex | None:
    """Return an index of an artifact, mapped from disk; None when there is none that finds enough.

    What is damaged is deleted, so that it is made anew.

    Args:
        root: the store.
        digest: of the artifact.
        name: of the form within it.
        form: whose items they are.

    Raises:
        ArtifactError: it is damaged, or belongs to other vectors; the message says how.
    """
    folder = index_folder(root, digest)
    try:
        about = _read_description(folder / f"{name}.json")
        return (
            None
            if about is None or not about.sha256
            else _open(folder / f"{name}.usearch", about, form)
        )
    except ArtifactError:
        (folder / f"{name}.json").unlink(missing_ok=True)
        raise


def _read_description(path: Path) -> IndexDescription | None:
    try:
        content = json.loads(path.read_bytes())
        return IndexDescription(**content)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ArtifactError(f"index description {path.name} cannot be read: {error}.") from error


def _open(path: Path, about: IndexDescription, form: VectorForm) -> ItemIndex:
    from usearch.index import Index  # noqa: PLC0415  small catalogues do without

    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(f"index {path.name} cannot be read: {error}.") from error
    # Before the library maps it: it believes every offset that it reads.
    if digest != about.sha256:
        raise ArtifactError(
            f"index {path.name} was changed: SHA-256 == {digest[:12]}, must be {about.sha256[:12]}."
        )
    try:
        index = Index.restore(path, view=True)
    except (ValueError, RuntimeError, OSError) as error:
        raise ArtifactError(f"index {path.name} cannot be opened: {error}.") from error
    width = form.item_vectors.shape[1] + 2
    if index is None or about.width != width or index.ndim != width:
        raise ArtifactError(
            f"width of index {path.name} == {about.width}, must be {width}, as its vectors have."
        )
    if len(index) != about.items or about.items > len(form.item_vectors):
        raise ArtifactError(f"items of index {path.name} == {len(index)}, must be {about.items}.")
    return ItemIndex(index, about)


def _queries(units: Floats) -> Floats:
    """Return units' vectors as points of the same space, of length 1."""
    queries = np.zeros((len(units), units.shape[1] + 2), dtype=np.float32)
    queries[:, :-2], queries[:, -2] = units, 1.0
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    return queries
