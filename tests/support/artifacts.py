"""Artifacts of random numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from inference.serving.artifact import ArtifactDraft
from inference.serving.scorers import draft_vectors


def draft_artifact(items=6, width=4, seed=0, **fields) -> ArtifactDraft:
    rng = np.random.default_rng(seed)

    def array(*shape):
        return rng.normal(size=shape).astype(np.float32)

    drawn = draft_vectors(
        item_ids=[f"i{n}" for n in range(items)],
        item_vectors=array(items, width),
        context_vectors=array(items, width),
        bias=array(items),
        attention=array(width),
        recency=array(3),
        default_order=np.arange(items, dtype=np.int32),
        about={"algorithm": "a test"},
    )
    return replace(drawn, arrays=drawn.arrays | fields)
