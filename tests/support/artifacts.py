"""Artifacts of random numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from inference.serving.artifact import ArtifactDraft
from inference.serving.scorers import draft_vectors

if TYPE_CHECKING:
    from collections.abc import Callable


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


def draft_large(form: str, *, items: int) -> tuple[ArtifactDraft, Callable[[str], list[str]]]:
    """A large catalogue `l0`, `l1`, …, and what returns the three nearest of an item, nearest first."""
    names = [f"l{n}" for n in range(items)]
    common = {"bias": np.zeros(items, np.float32), "default_order": np.arange(1000, dtype=np.int32)}
    if form == "neighbours":
        steps = np.array([300, 7, 21])
        nearest = (np.arange(items)[:, None] + steps) % items
        arrays = {
            "starts": np.arange(0, 3 * items + 1, 3, dtype=np.int64),
            "nearest": nearest.ravel().astype(np.int32),
            "weights": np.tile(np.array([3, 2, 1], np.float32), items),
        }
        draft = ArtifactDraft(form=form, arrays={**common, **arrays}, item_ids=names, about={})
        return draft, lambda name: [names[n] for n in nearest[int(name[1:])]]
    vectors = np.random.default_rng(7).normal(size=(items, 8)).astype(np.float32)
    draft = draft_vectors(
        item_ids=names, item_vectors=vectors, context_vectors=vectors, about={}, **common
    )

    def three(name: str) -> list[str]:
        own = int(name[1:])
        close = vectors @ vectors[own]
        close[own] = -np.inf
        return [names[n] for n in np.argsort(-close)[:3]]

    return draft, three
