"""Supervised fine-tuning: accepted answers are made more probable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.generators.adapter_params import AdapterParams
from inference.options import FitOptions, read_params

if TYPE_CHECKING:
    import numpy as np
    import torch

    from inference.serving.artifact import ArtifactDraft
    from inference.training.preferences import PreferenceData


class Sft:
    """Cross-entropy of the answers' tokens, conversations apart."""

    name = "sft"
    params = AdapterParams
    parallel = True
    reads_pairs = False
    primary = "log_likelihood"

    def fit(self, data: PreferenceData, options: FitOptions) -> ArtifactDraft:
        """Train adapters on the better answers."""
        # torch enters the training subprocess alone, when it gets here.
        from inference.generators.adapters import load_base, train_adapters  # noqa: PLC0415

        params = read_params(AdapterParams, options.params)
        model = load_base(options)
        rows = [
            model.encode(messages, answer, max_tokens=params.max_tokens)
            for messages, answer in zip(data.messages, data.chosen, strict=True)
        ]

        def loss_of(rng: np.random.Generator) -> torch.Tensor:
            chosen = rng.choice(len(rows), min(params.batch, len(rows)), replace=False)
            batch = [rows[i] for i in chosen]
            return -model.log_probabilities(batch).sum() / sum(len(answer) for _, answer in batch)

        return train_adapters(model, params, len(rows), loss_of, options)
