"""A recommender whose vectors came from elsewhere, as safetensors: it learns nothing here."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from inference.recommenders.protocol import default_order
from inference.serving.artifact import load_draft
from inference.serving.models import IMPORTED
from inference.serving.scorers import draft_vectors
from inference.training.custom_params import read_imported

if TYPE_CHECKING:
    from inference.options import FitOptions
    from inference.serving.artifact import ArtifactDraft, Floats
    from inference.training.data import TrainingData

UNKNOWN_BIAS = -1e9  # of an item that the file does not have: behind all that it has


class Imported:
    """Scores by the file's vectors, in the order of the catalogue's items."""

    name = IMPORTED
    reads: frozenset[str] = frozenset()
    seeds = 1
    check_params = staticmethod(read_imported)

    def fit(self, data: TrainingData, options: FitOptions) -> ArtifactDraft:
        """Put the file's items in the catalogue's order; the others score below all of them.

        Raises:
            ValueError: the file and the catalogue have no item in common.
            ArtifactError: the upload is missing or damaged.
        """
        params = read_imported(options.params)
        assert options.artifacts is not None  # noqa: S101  every run has a store
        upload = load_draft(options.artifacts, params.upload)
        place = {item_id: row for row, item_id in enumerate(upload.item_ids)}
        rows = np.array([place.get(item_id, -1) for item_id in data.item_ids], dtype=np.int64)
        known = rows >= 0
        if not known.any():
            raise ValueError(
                f"none of the model's {len(place)} items is in the catalogue, which begins with "
                f"{list(data.item_ids[:3])}: items go by their ids."
            )
        options.report(1.0, f"{int(known.sum())} of {len(rows)} items are the model's")

        def aligned(name: str, fill: float) -> Floats:
            array = upload.arrays[name]
            of_items = np.full((len(rows), *array.shape[1:]), fill, dtype=np.float32)
            of_items[known] = array[rows[known]]
            return of_items

        return draft_vectors(
            item_ids=data.item_ids,
            item_vectors=aligned("item_vectors", 0),
            context_vectors=aligned("context_vectors", 0),
            bias=aligned("bias", UNKNOWN_BIAS),
            default_order=default_order(data.popularity, limit=len(data.item_ids)),
            about={"algorithm": self.name, "params": asdict(params), "source": params.source},
        )
