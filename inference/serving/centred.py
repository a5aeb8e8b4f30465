"""Vectors less what all share: of an image's that is most, and tells none from another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from inference.serving.artifact import Floats


def centred(vectors: Floats, mean: Floats) -> Floats:
    """Return vectors less their mean, of length 1; zeros stay zeros.

    Args:
        vectors: (n, width).
        mean: (width,), of those that are not zeros.
    """
    has = vectors.any(axis=1)
    moved = np.zeros_like(vectors)
    moved[has] = vectors[has] - mean
    return unit_length(moved)


def unit_length(vectors: Floats) -> Floats:
    """Return vectors, (n, width), scaled to length 1; one of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Floats = (vectors / np.maximum(lengths, 1e-9)).astype(np.float32)
    return scaled


def mean_of(vectors: Floats) -> Floats:
    """Return the mean of the vectors that are not zeros, (width,)."""
    has = vectors.any(axis=1)
    mean: Floats = vectors[has].mean(axis=0) if has.any() else np.zeros(vectors.shape[1], np.float32)
    return mean
