"""The configured encoder as nothing trains it: a process encodes each text once, and exports it once.

A run fits several times on the same texts: the champion's recipe, each seed, parts of the rows for the
learning curve, and all rows at the end.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from inference.encoders.device import pick_device
from inference.encoders.text_encoder import TextEncoder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from inference.serving.artifact import Floats

MAX_TEXTS = 200_000  # texts: their vectors take about 300 MB of an encoder of width 384


class FrozenEncoder:
    """An encoder that remembers what it has encoded."""

    def __init__(self, encoder: TextEncoder) -> None:
        """Wrap an encoder that stays as it is."""
        self._encoder = encoder
        self._vectors: dict[str, Floats] = {}
        self._files: Mapping[str, bytes] | None = None

    def encode(
        self, texts: Sequence[str], *, progress: Callable[[int], None] = lambda _count: None
    ) -> Floats:
        """Return vectors, float32 (len(texts), width), computing those of new texts alone."""
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        vectors = self._encoder.encode(new, progress=progress) if new else ()
        encoded = dict(zip(new, vectors, strict=True))
        if len(self._vectors) + len(new) <= MAX_TEXTS:
            self._vectors |= encoded
        rows = [encoded[text] if text in encoded else self._vectors[text] for text in texts]
        return np.stack(rows) if rows else np.zeros((0, self._encoder.width), dtype=np.float32)

    def files(self) -> Mapping[str, bytes]:
        """Return what an artifact needs to serve the encoder."""
        if self._files is None:
            self._files = self._encoder.files()
        return self._files


@lru_cache(maxsize=1)  # a run has one encoder, and a process one run
def frozen_encoder(path: str, device: str) -> FrozenEncoder:
    """Return this process's encoder of a directory, on a device as `pick_device` names it."""
    return FrozenEncoder(TextEncoder(path, pick_device(device)))
