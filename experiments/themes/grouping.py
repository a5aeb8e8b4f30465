"""Texts in groups, by the density of their vectors.

In some hundred dimensions all texts are about equally far from each other, so the vectors are first
reduced to their principal components. HDBSCAN then finds groups of any form and number and leaves what
belongs to none apart; a text that lies close to a group's centre is added to it afterwards.

References:
    Campello, Moulavi, Sander (2013), Density-based clustering based on hierarchical density estimates,
    PAKDD. Grootendorst (2022), BERTopic, arXiv 2203.05794 (the order of the steps).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from experiments.themes.identity import MIN_COSINE, centred
from experiments.themes.text_vectors import CHARACTERS
from inference.serving.centred import unit_length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MIN_TEXTS = 40  # of a space: fewer have no density to speak of
MIN_UNITS = 5  # who write about a theme: one busy user is none
SHARE = 0.01  # of all texts that a group has at least
COMPONENTS, TEXTS_PER_COMPONENT = 15, 10  # of few texts, later components are single texts
NEIGHBOURS = 3  # of a text: how dense its place is
MIN_RELATIVE = 0.5  # of a group's median cosine with its centre, which a text of it has at least
MIN_CLOSENESS = 0.5  # in the reduced space: what is farther from every centre belongs to none


@dataclass(frozen=True, slots=True)
class Group:
    """Texts that belong together.

    Attributes:
        rows: of the texts, the closest to the centre first, int64 (n,).
        closeness: of each row: cosine with the centre, float32 (n,).
        centre: mean of the vectors, float32 (width,).
    """

    rows: NDArray[np.int64]
    closeness: NDArray[np.float32]
    centre: NDArray[np.float32]


def group_texts(
    vectors: NDArray[np.float32],
    unit_ids: Sequence[str],
    *,
    space: str,
    origin: NDArray[np.float32],
    seed: int = 0,
) -> list[Group]:
    """Return the groups of texts, the largest first; none where there are too few texts.

    Args:
        vectors: of length 1, float32 (n, width).
        unit_ids: who wrote each, n of them.
        space: of the vectors.
        origin: from which centres are compared (`origin_of`), float32 (width,).
        seed: of the components' solver.
    """
    if len(vectors) < MIN_TEXTS:
        return []
    reduced = _reduce(vectors, space=space, seed=seed)
    labels = _adopt(reduced, _merge(vectors, _densities(reduced), origin))
    units = np.array(unit_ids)
    overall = _resemblance(vectors)
    groups = []
    for label in range(labels.max(initial=-1) + 1):
        group = _group(vectors, np.flatnonzero(labels == label))
        # What is left over may look dense in the reduced space alone.
        is_alike = _resemblance(vectors[group.rows]) > overall
        if is_alike and len(set(units[group.rows].tolist())) >= MIN_UNITS:
            groups.append(group)
    return sorted(groups, key=lambda one: -len(one.rows))


def _reduce(vectors: NDArray[np.float32], *, space: str, seed: int) -> NDArray[np.float32]:
    from sklearn.decomposition import PCA  # noqa: PLC0415  a second of import; workers alone group

    if space == CHARACTERS:
        # What nearly every text has says little; an encoder has learnt that, counts have not.
        frequency = (vectors > 0).mean(0)
        vectors = unit_length((vectors * -np.log(np.maximum(frequency, 1e-6))).astype(np.float32))
    components = min(COMPONENTS, len(vectors) // TEXTS_PER_COMPONENT, vectors.shape[1])
    reduced = PCA(components, svd_solver="randomized", random_state=seed).fit_transform(vectors)
    return unit_length(reduced.astype(np.float32))


def _densities(reduced: NDArray[np.float32]) -> NDArray[np.int64]:
    from sklearn.cluster import HDBSCAN  # noqa: PLC0415  likewise

    min_size = max(MIN_UNITS, round(SHARE * len(reduced)))
    model = HDBSCAN(min_size, min_samples=NEIGHBOURS, cluster_selection_method="leaf", copy=True)
    labels: NDArray[np.int64] = model.fit_predict(reduced).astype(np.int64)
    return labels


def _merge(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], origin: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Make one group of those whose centres are as near as those of one theme at two times."""
    while (count := labels.max(initial=-1) + 1) > 1:
        centres = np.stack([vectors[labels == label].mean(0) for label in range(count)])
        apart = centred(centres, origin)
        cosines = np.triu(apart @ apart.T, k=1)
        first, second = divmod(int(cosines.argmax()), count)
        if cosines[first, second] < MIN_COSINE:
            break
        labels = np.where(labels == second, first, labels)
        labels = np.where(labels > second, labels - 1, labels)  # without a gap
    return labels


def _adopt(reduced: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Add texts of no group to the one whose centre is close."""
    count = labels.max(initial=-1) + 1
    if count == 0:
        return labels
    centres = unit_length(np.stack([reduced[labels == label].mean(0) for label in range(count)]))
    cosines = reduced @ centres.T
    nearest = cosines.argmax(1)
    close = cosines.max(1) >= MIN_CLOSENESS
    return np.where((labels < 0) & close, nearest, labels)


def _resemblance(vectors: NDArray[np.float32]) -> float:
    """Return the mean cosine of two of these vectors of length 1; that of one alone is 0."""
    n = len(vectors)
    total = float(np.square(vectors.sum(0, dtype=np.float64)).sum())
    return (total - n) / (n * (n - 1)) if n > 1 else 0.0


def _group(vectors: NDArray[np.float32], rows: NDArray[np.int64]) -> Group:
    """Return the group without texts that only the reduced space shows close to it."""
    closeness = vectors[rows] @ unit_length(vectors[rows].mean(0, keepdims=True))[0]
    rows = rows[closeness >= MIN_RELATIVE * np.median(closeness)]
    centre = vectors[rows].mean(0)
    closeness = (vectors[rows] @ unit_length(centre[None])[0]).astype(np.float32)
    order = np.argsort(-closeness, kind="stable")
    return Group(rows[order], closeness[order], centre.astype(np.float32))
