"""Train a transformer with a head on top, step by step. In reading order: parameters, adapters, loop.

The ladder: `lora` trains low-rank updates of the attention (Hu et al. 2022), `adalora` gives them the
ranks they need as it goes (Zhang et al. 2023), `full` trains every weight. Each step draws from
generators seeded by (seed, step), so a run that resumes ends as if it had not stopped.
"""

from __future__ import annotations

import math
import os
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from inference.training.checkpoint import Checkpoint, keep

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference.encoders.text_encoder import TextEncoder
    from inference.options import FitOptions

CHECKPOINT_SECONDS = float(os.environ.get("BAKEOFF_CHECKPOINT_SECONDS") or 20)
CURVE_POINTS = 200
METHODS = ("full", "lora", "adalora")


@dataclass(frozen=True)
class Schedule:
    """How long, how fast.

    Attributes:
        method: full, lora or adalora.
        steps: of the optimiser.
        rate: peak learning rate of the encoder; of adapters ten times as much.
        head_rate: of what stands on it.
        decay: weight decay.
        warmup: share of the steps in which rates rise.
        rank: of adapters.
    """

    method: str
    steps: int
    rate: float
    head_rate: float
    decay: float = 0.01
    warmup: float = 0.1
    rank: int = 8

    def factor(self, step: int) -> float:
        """Return the share of the peak rate at a step: up in a line, down on a cosine."""
        rise = max(1, int(self.warmup * self.steps))
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, self.steps - rise)))


def add_adapters(encoder: TextEncoder, schedule: Schedule) -> None:
    """Freeze the encoder and add adapters, as the method says.

    Raises:
        ValueError: an unknown method.
    """
    if schedule.method not in METHODS:
        raise ValueError(f"method == '{schedule.method}', must be one of {list(METHODS)}.")
    if schedule.method == "full":
        return
    from peft import AdaLoraConfig, LoraConfig, get_peft_model  # noqa: PLC0415  slow to import

    shared: dict[str, Any] = {
        "target_modules": ["query", "value"],
        "lora_alpha": 2 * schedule.rank,
        "lora_dropout": 0.0,
    }
    config: Any
    if schedule.method == "lora":
        config = LoraConfig(r=schedule.rank, **shared)
    else:
        config = AdaLoraConfig(
            init_r=schedule.rank + schedule.rank // 2,
            target_r=schedule.rank,
            tinit=schedule.steps // 10,
            tfinal=schedule.steps // 5,
            deltaT=max(1, schedule.steps // 50),
            total_step=schedule.steps,
            **shared,
        )
    encoder.replace(get_peft_model(encoder.model, config))


def merge_adapters(encoder: TextEncoder, schedule: Schedule) -> None:
    """Add what adapters have learnt to the weights, so that the plain transformer is left."""
    if schedule.method != "full":
        encoder.replace(encoder.model.merge_and_unload())


def tune(
    encoder: TextEncoder,
    head: torch.nn.Module,
    schedule: Schedule,
    loss_of: Callable[[np.random.Generator], torch.Tensor],
    options: FitOptions,
) -> None:
    """Run the loop; the adapters must have been added, and are still there after it.

    Args:
        encoder: what is trained.
        head: what stands on it.
        schedule: how long, how fast.
        loss_of: draws a batch and returns its loss.
        options: seed, checkpoint, and who is told.
    """
    scale = 1.0 if schedule.method == "full" else 10.0
    trained = {
        **{f"encoder.{n}": p for n, p in encoder.model.named_parameters() if p.requires_grad},
        **{f"head.{n}": p for n, p in head.named_parameters()},
    }
    of_encoder = [p for name, p in trained.items() if name.startswith("encoder.")]
    of_head = [p for name, p in trained.items() if name.startswith("head.")]
    peaks = (schedule.rate * scale, schedule.head_rate)
    optimiser = torch.optim.AdamW(
        [{"params": of_encoder, "lr": peaks[0]}, {"params": of_head, "lr": peaks[1]}],
        weight_decay=schedule.decay,
    )
    allocator = getattr(getattr(encoder.model, "base_model", None), "rankallocator", None)
    first = _resume(options, trained, optimiser, allocator)
    encoder.model.train()
    kept, recent = time.monotonic(), []
    for step in range(first, schedule.steps):
        torch.manual_seed(options.seed * 1_000_003 + step)  # for the dropout
        for group, peak in zip(optimiser.param_groups, peaks, strict=True):
            group["lr"] = peak * schedule.factor(step)
        loss = loss_of(np.random.default_rng((options.seed, step)))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*of_encoder, *of_head], 1.0)
        optimiser.step()
        if allocator is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                encoder.model.base_model.update_and_allocate(step)
        recent.append(loss.item())
        if (step + 1) % max(1, schedule.steps // CURVE_POINTS) == 0:
            options.curve(step + 1, sum(recent) / len(recent))
            options.report((step + 1) / schedule.steps, f"step {step + 1}: loss {np.mean(recent):.3f}")
            recent = []
        if time.monotonic() - kept > CHECKPOINT_SECONDS or step + 1 == schedule.steps:
            keep(options.checkpoint, step + 1, trained, optimiser, _remembered(allocator))
            kept = time.monotonic()
    encoder.model.eval()


def _remembered(allocator: Any) -> dict[str, torch.Tensor]:
    """Return what AdaLoRA weighs its ranks by; its masks are zeros in the weights themselves."""
    if allocator is None:
        return {}
    return {
        f"{kind}|{name}": value
        for kind in ("ipt", "exp_avg_ipt", "exp_avg_unc")
        for name, value in getattr(allocator, kind).items()
    }


def _resume(
    options: FitOptions, trained: dict[str, Any], optimiser: torch.optim.Optimizer, allocator: Any
) -> int:
    """Go back to the last checkpoint; return how many steps are behind."""
    found = Checkpoint.find(options.checkpoint)
    if found is None:
        return 0
    with torch.no_grad():
        for name, value in found.part("model").items():
            trained[name].copy_(value)
    found.restore(optimiser)
    for key, value in found.part("extra").items():
        kind, name = key.split("|", 1)
        getattr(allocator, kind)[name] = value
    return found.step
