"""Images beside a text: the feature `image_url` names one, and its vector travels with the features.

Who looks an image up, a run or the answering worker, puts its vector under `IMAGE`. A model that reads
images takes it from there; others pass over it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from inference.serving.centred import centred

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference.serving.artifact import Floats

IMAGE_URL = "image_url"  # a feature of an example, and of a request
# A vector under this name is the platform's own.
IMAGE = "$image"


def address_of(features: Mapping[str, Any]) -> str:
    """Return where the image of a text lies; empty for none."""
    address = features.get(IMAGE_URL)
    return address if isinstance(address, str) else ""


def with_images(features: Sequence[Mapping[str, Any]], vectors: Floats) -> list[dict[str, Any]]:
    """Return features with their images' vectors, (n, width); a row of zeros is none."""
    return [
        {**row, IMAGE: vector} if vector.any() else dict(row)
        for row, vector in zip(features, vectors, strict=True)
    ]


def without_images(features: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return features without vectors of images."""
    return [{name: value for name, value in row.items() if name != IMAGE} for row in features]


def width_of(features: Sequence[Mapping[str, Any]]) -> int:
    """Return the width of the images' vectors; 0 where no row has one."""
    vectors = (row.get(IMAGE) for row in features)
    return next((len(one) for one in vectors if isinstance(one, np.ndarray)), 0)


def image_rows(features: Sequence[Mapping[str, Any]], width: int) -> Floats:
    """Return the vectors of the images as they came, float32 (n, width); zeros where there is none.

    One of another width, of an encoder that was configured since, is none.
    """
    rows = np.zeros((len(features), width), dtype=np.float32)
    for row, known in zip(rows, features, strict=True):
        vector = known.get(IMAGE)
        # What a request or a file calls so is a number or a text, and no vector.
        if isinstance(vector, np.ndarray) and len(vector) == width:
            row[:] = vector
    return rows


def centred_rows(features: Sequence[Mapping[str, Any]], mean: Floats) -> Floats:
    """Return what a head reads of the images: less the mean of those learnt from, of length 1."""
    return centred(image_rows(features, len(mean)), mean)
