"""What texts and images each add: the run's recipe without the one, and without the other.

All are judged on the same held-out likes; both together are the first seed of what goes to the gate.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from inference.runs.ranking_run import Catalogue, RankingRun
    from inference.runs.rankings import JudgedRankings
    from inference.training.data import TrainingData

MAX_SECONDS = 600.0  # of a fit: a dearer one is not repeated twice more
TEXT, IMAGE, BOTH = "text_only", "image_only", "text_and_image"
SHOWN = ("ndcg", "recall", "hit_rate")


def ablation(run: RankingRun, both: JudgedRankings) -> list[dict[str, Any]]:
    """Return a row for texts, images and both; none where there are no images to fuse."""
    if run.catalogue.images is None or "images" not in run.algorithm.reads:
        return []
    rows = []
    if both.fit_seconds <= MAX_SECONDS:
        past = run.data(run.split.past)
        for name, without in WITHOUT.items():
            rows.append(_row(name, run.judge(run.fit_probe(run.plan.recipe, without(past)))))
    return [*rows, _row(BOTH, both)]


def _row(reads: str, judged: JudgedRankings) -> dict[str, Any]:
    return {"reads": reads, "figures": {name: judged.scores.mean(name) for name in SHOWN}}


def notes_on_images(rows: Sequence[Mapping[str, Any]], metric: str) -> list[str]:
    """Return a note where texts alone do better than texts and images.

    Args:
        rows: of an ablation.
        metric: by which they are compared.
    """
    by_name = {row["reads"]: row["figures"][metric] for row in rows}
    text, both = by_name.get(TEXT), by_name.get(BOTH)
    if text is None or both is None or both >= text:
        return []
    return [f"images do not help here: {metric} is {both:.4f} with them, {text:.4f} by texts alone."]


def _without_images(data: TrainingData) -> TrainingData:
    return replace(data, image_vectors=None)


def _without_texts(data: TrainingData) -> TrainingData:
    """Zeros, and names alone, in place of what texts say: who reads them finds nothing there."""
    vectors, texts = data.item_vectors, data.item_texts
    return replace(
        data,
        item_vectors=None if vectors is None else np.zeros_like(vectors),
        item_texts=None if texts is None else list(data.item_ids),
    )


WITHOUT: dict[str, Callable[[TrainingData], TrainingData]] = {
    TEXT: _without_images,
    IMAGE: _without_texts,
}


def image_counts(catalogue: Catalogue) -> dict[str, Any]:
    """Return how many items have an image's vector, and why others have none; empty without images."""
    if catalogue.images is None and not catalogue.refused_images:
        return {}
    has = 0 if catalogue.images is None else int(catalogue.images.any(axis=1).sum())
    return {
        "items": len(catalogue.item_ids),
        "with_image": has,
        "refused": dict(sorted(catalogue.refused_images.items(), key=lambda one: -one[1])[:20]),
    }
