"""Adapters of a causal model: trained by a loss, merged, and exported. What `sft` and `dpo` share."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save

from inference.encoders.device import pick_device
from inference.generators.causal_model import CausalModel
from inference.generators.protocol import ADAPTER_FILE, GGUF, MODEL_FILE
from inference.serving.artifact import ArtifactDraft
from inference.training.tune import Schedule, add_adapters, merge_adapters, tune

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from inference.generators.adapter_params import AdapterParams
    from inference.options import FitOptions

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def schedule_of(params: AdapterParams, rows: int) -> Schedule:
    """Return how long and how fast, for so many rows."""
    return Schedule(
        params.method,
        min(params.most_steps, int(params.epochs * rows / params.batch) + 1),
        params.rate / 10,  # `tune` gives adapters ten times the rate of the weights
        0.0,
        rank=params.rank,
        targets=TARGETS,
    )


def load_base(options: FitOptions) -> CausalModel:
    """Load the model that is trained.

    Raises:
        ValueError: none is configured.
    """
    if not options.language_model:
        raise ValueError("there is no language model to train: set BAKEOFF_LOCAL_MODELS.")
    torch.manual_seed(options.seed)  # of the adapters' first weights
    return CausalModel(Path(options.language_model), pick_device(options.device))


def train_adapters(
    model: CausalModel,
    params: AdapterParams,
    rows: int,
    loss_of: Callable[[np.random.Generator], torch.Tensor],
    options: FitOptions,
) -> ArtifactDraft:
    """Train adapters by a loss, and return the adapter and the merged model in 8 bits.

    Args:
        model: the base; merged afterwards.
        params: how long and how fast.
        rows: how many there are to learn from.
        loss_of: draws a batch and returns its loss.
        options: seed, checkpoint, and who is told.
    """
    schedule = schedule_of(params, rows)
    add_adapters(model, schedule)
    tune(model, torch.nn.Identity(), schedule, loss_of, options)
    adapter = _adapter_bytes(model)
    ranks = merge_adapters(model, schedule)
    options.report(1.0, "writing the model in 8 bits")
    about: Mapping[str, Any] = {"params": asdict(params), "seed": options.seed}
    return ArtifactDraft(
        form=GGUF,
        arrays={},
        about={**about, "ranks": ranks} if ranks else about,
        files={MODEL_FILE: model.gguf_bytes(), ADAPTER_FILE: adapter},
    )


def _adapter_bytes(model: CausalModel) -> bytes:
    from peft import get_peft_model_state_dict  # noqa: PLC0415  slow to import

    # Copied first: the library cuts AdaLoRA's ranks off where the tensors are, which costs a wait for
    # the device at each of them.
    here = {name: value.detach().cpu() for name, value in model.model.state_dict().items()}
    state = get_peft_model_state_dict(model.model, state_dict=here)
    return bytes(save({name: value.contiguous() for name, value in state.items()}))
