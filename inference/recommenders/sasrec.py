"""SASRec: what a unit likes next, by a causal transformer over what it liked, in order."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, ClassVar

from inference.options import read_params
from inference.recommenders.protocol import default_order
from inference.serving.sequence import draft_sequence
from inference.training.sasrec_params import SasrecParams

if TYPE_CHECKING:
    from inference.options import FitOptions
    from inference.serving.artifact import ArtifactDraft
    from inference.training.data import TrainingData


class Sasrec:
    """Attention over a unit's recent items; an item is a vector of its own plus what its text says."""

    name = "sasrec"
    params = SasrecParams
    reads = frozenset({"vectors", "images"})
    seeds = 3
    probe_params: ClassVar = {"passes": 1, "min_steps": 20, "max_steps": 60}

    def fit(self, data: TrainingData, options: FitOptions) -> ArtifactDraft:
        """Train the transformer.

        Raises:
            ValueError: no unit liked two items, or a parameter does not fit.
        """
        # torch is imported by the training subprocess alone, when it gets here.
        from inference.training.sasrec import export_sasrec, train_sasrec  # noqa: PLC0415

        params = read_params(SasrecParams, options.params)
        model = train_sasrec(data, params, options)
        arrays = export_sasrec(model, data.popularity)
        arrays["default_order"] = default_order(data.popularity, limit=len(data.item_ids))
        about = {"algorithm": self.name, "params": asdict(params), "seed": options.seed}
        return draft_sequence(arrays, data.item_ids, about)
