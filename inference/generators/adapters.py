"""Adapters of a causal model: trained by a loss, merged, and exported. What `sft` and `dpo` share."""

from __future__ import annotations

from dataclasses import asdict, dataclass
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

    from inference.options import FitOptions

METHODS = ("lora", "adalora")
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class AdapterParams:
    """Hyper-parameters that every way to train adapters has.

    Attributes:
        base: name of the local model that is trained; empty: the first one.
        method: lora or adalora.
        epochs: passes over the rows.
        most_steps: passes are cut short of this many steps.
        batch: rows a step.
        rate: peak learning rate of the adapters.
        rank: of the adapters.
        max_tokens: of a conversation with its answer.
    """

    base: str = ""
    method: str = "lora"
    epochs: float = 3.0
    most_steps: int = 500
    batch: int = 4
    rate: float = 2e-4
    rank: int = 8
    max_tokens: int = 512

    def __post_init__(self) -> None:
        """Check what the library would not."""
        if self.method not in METHODS:
            raise ValueError(f"method == '{self.method}', must be one of {METHODS}.")
        for name in ("epochs", "most_steps", "batch", "rate", "rank"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} == {getattr(self, name)}, must be above 0.")
        if self.max_tokens < 16:
            raise ValueError(f"max_tokens == {self.max_tokens}, must be at least 16.")

    def schedule(self, rows: int) -> Schedule:
        """Return how long and how fast, for so many rows."""
        return Schedule(
            self.method,
            min(self.most_steps, int(self.epochs * rows / self.batch) + 1),
            self.rate / 10,  # `tune` gives adapters ten times the rate of the weights
            0.0,
            rank=self.rank,
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
    schedule = params.schedule(rows)
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
