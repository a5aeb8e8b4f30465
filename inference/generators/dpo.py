"""Direct preference optimisation (Rafailov et al. 2023): the better answer is made more probable.

The loss is −log σ(β (Δ − Δ₀)): Δ is the difference of both answers' log-probabilities, Δ₀ the same
before training. Δ₀ does not change, so it is computed once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.generators.adapter_params import DpoParams
from inference.options import FitOptions, read_params

if TYPE_CHECKING:
    import numpy as np
    import torch

    from inference.serving.artifact import ArtifactDraft
    from inference.training.preferences import PreferenceData


class Dpo:
    """The pairs' preferences, beside where the model was before."""

    name = "dpo"
    params = DpoParams
    parallel = True
    reads_pairs = True
    primary = "preference_accuracy"

    def fit(self, data: PreferenceData, options: FitOptions) -> ArtifactDraft:
        """Train adapters on pairs.

        Raises:
            ValueError: no row has a worse answer.
        """
        # torch enters the training subprocess alone, when it gets here.
        import torch  # noqa: PLC0415

        from inference.generators.adapters import load_base, train_adapters  # noqa: PLC0415

        params = read_params(DpoParams, options.params)
        pairs = data.pairs
        if not len(pairs):
            raise ValueError("pairs == 0: no answer is known to be better than another one.")
        model = load_base(options)
        better, worse = (
            [
                model.encode(messages, answer, max_tokens=params.max_tokens)
                for messages, answer in zip(pairs.messages, answers, strict=True)
            ]
            for answers in (pairs.chosen, pairs.rejected)
        )
        options.report(0.0, f"reading {len(pairs)} pairs")
        before = torch.from_numpy(model.score(better) - model.score(worse)).to(model.device)

        def loss_of(rng: np.random.Generator) -> torch.Tensor:
            chosen = rng.choice(len(better), min(params.batch, len(better)), replace=False)
            both = model.log_probabilities([better[i] for i in chosen] + [worse[i] for i in chosen])
            margin = both[: len(chosen)] - both[len(chosen) :] - before[chosen]
            return -torch.nn.functional.logsigmoid(params.beta * margin).mean()

        return train_adapters(model, params, len(better), loss_of, options)
