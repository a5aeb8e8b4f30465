"""What a recommender must do: learn from liked items and export to a form that serving knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from inference.serving.centred import unit_length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inference.options import FitOptions
    from inference.serving.artifact import ArtifactDraft, Floats, Indices
    from inference.training.data import TrainingData


class Recommender(Protocol):
    """One way to learn.

    Attributes:
        name: how commands and versions call it.
        reads: what it needs of the items besides their ids: some of "vectors" and "texts"; and
            "images", where it fuses their vectors if there are any.
        seeds: how many seeds the gate asks for; 1 for what has no randomness.

    A class may have `probe_params` too: parameters of a cheap fit, for the check on shuffled likes.
    And `params`: the dataclass of its hyper-parameters, which are read and checked by it.
    And `check_params`: called before a run is queued, it raises ValueError for what no fit could take.
    And `parallel`, where `inference.training.tune` takes all of its steps: processes may share them.
    """

    name: str
    reads: frozenset[str]
    seeds: int

    def fit(self, data: TrainingData, options: FitOptions) -> ArtifactDraft:
        """Learn and return what is to be exported.

        Raises:
            ValueError: the data or a hyper-parameter does not allow it.
        """
        ...


def default_order(popularity: NDArray[Any], limit: int = 1000) -> Indices:
    """Return the most liked items, for a unit of whom nothing is known."""
    return np.argsort(-popularity, kind="stable")[:limit].astype(np.int32)


# Warm items among which a cold one's nearest are looked for, the most liked: the work grows with the
# catalogue, and not with its square.
MAX_WARM = 20_000


def nearest_by_content(data: TrainingData, limit: int = 20) -> tuple[Indices, Indices, Floats] | None:
    """Return for each cold item the warm items whose texts and images are nearest.

    A cold item is one that nobody liked yet: behaviour says nothing of it, its text and image may.

    Returns:
        The cold items (c,), their nearest warm ones (c, m), and cosines (c, m), negative ones cut to
        0: the mean of those of texts, of images and of the user's own vectors, where both items have
        one; None without vectors, or when every item is warm or none is.
    """
    warm = np.flatnonzero(data.popularity > 0)
    if len(warm) > MAX_WARM:
        warm = np.sort(np.argsort(-data.popularity, kind="stable")[:MAX_WARM])
    cold = np.flatnonzero(data.popularity == 0)
    if not data.sides or not len(warm) or not len(cold):
        return None
    limit, warm_units = min(limit, len(warm)), [unit_length(side[warm]) for side in data.sides]
    nearest = np.empty((len(cold), limit), dtype=np.int32)
    cosines = np.empty((len(cold), limit), dtype=np.float32)
    for start in range(0, len(cold), 1024):  # cosines are cold × warm items
        some = cold[start : start + 1024]
        close = _mean_cosines([unit_length(side[some]) for side in data.sides], warm_units)
        top = np.argpartition(-close, limit - 1, axis=1)[:, :limit]
        nearest[start : start + len(some)] = warm[top]
        cosines[start : start + len(some)] = np.maximum(np.take_along_axis(close, top, axis=1), 0)
    return cold.astype(np.int32), nearest, cosines


def _mean_cosines(some: Sequence[Floats], others: Sequence[Floats]) -> Floats:
    """Return the mean over the sides that both items have, (s, o); 0 where there is none.

    Args:
        some: of each side vectors of length 1 or 0, (s, d).
        others: likewise, (o, d).
    """
    total = np.zeros((len(some[0]), len(others[0])), dtype=np.float32)
    count = np.zeros_like(total)
    for mine, theirs in zip(some, others, strict=True):
        total += mine @ theirs.T
        count += np.outer(mine.any(axis=1), theirs.any(axis=1))
    return np.asarray(total / np.maximum(count, 1), dtype=np.float32)
