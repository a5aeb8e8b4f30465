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
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from inference.encoders import parallel
from inference.training.adapt_params import METHODS
from inference.training.checkpoint import Checkpoint, save_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference.options import FitOptions

CHECKPOINT_SECONDS = float(os.environ.get("BAKEOFF_CHECKPOINT_SECONDS") or 20)
CURVE_POINTS = 200  # as many as the chart of a run's page can show
MAX_GRADIENT_NORM = 1.0
IMPORTANCE = ("ipt", "exp_avg_ipt", "exp_avg_unc")  # peft's names for what AdaLoRA keeps by parameter


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
        targets: names of the layers that get adapters.
    """

    method: str
    steps: int
    rate: float
    head_rate: float
    decay: float = 0.01
    warmup: float = 0.1
    rank: int = 8
    targets: tuple[str, ...] = ("query", "value")

    def factor(self, step: int) -> float:
        """Return the share of the peak rate at a step: up in a line, down on a cosine."""
        rise = max(1, int(self.warmup * self.steps))
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, self.steps - rise)))


class Tuned(Protocol):
    """What can be trained: a text encoder, or a causal language model.

    Attributes:
        model: the transformer.
        device: where it is.
    """

    model: Any
    device: torch.device

    def replace(self, model: Any) -> None:
        """Put another form of the same transformer in its place: with adapters, or without."""
        ...


def add_adapters(encoder: Tuned, schedule: Schedule) -> None:
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
        "target_modules": list(schedule.targets),
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


def merge_adapters(encoder: Tuned, schedule: Schedule) -> dict[str, int]:
    """Add what adapters have learnt to the weights, so that the plain transformer is left.

    Returns:
        The rank that AdaLoRA left to each adapted layer, by the layer's name; nothing for others.
    """
    if schedule.method == "full":
        return {}
    # LoRA's configuration has a pattern too: a person's, of ranks by name. It is not used here.
    pattern = encoder.model.peft_config["default"].rank_pattern if schedule.method == "adalora" else {}
    encoder.replace(encoder.model.merge_and_unload())
    return {
        name.removeprefix("base_model.model.").split(".lora_E")[0]: sum(triplets)
        for name, triplets in sorted((pattern or {}).items())
    }


def orthogonality(model: torch.nn.Module) -> torch.Tensor:
    """Return how far AdaLoRA's factors are from orthogonal: the mean of ‖A Aᵀ − I‖ and ‖Bᵀ B − I‖.

    The update of a layer is B diag(E) A, and ranks are taken away by E's entries: only of orthogonal
    factors is such an entry a singular value (Zhang et al. 2023, equation 4). Frobenius norms, as peft
    computes them; peft adds the term only to a `loss` among the model's own outputs, which an encoder
    has none of.
    """
    gaps = []
    for name, factor in model.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            gram = factor @ factor.T if "lora_A" in name else factor.T @ factor
            gaps.append(torch.linalg.matrix_norm(gram - torch.eye(len(gram), device=gram.device)))
    return torch.stack(gaps).mean()


def tune(
    encoder: Tuned,
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
    optimisation = _Optimisation(encoder, head, schedule)
    first = optimisation.resume(options)
    parallel.same_start(optimisation.parameters)
    options.steps(schedule.steps)
    report_every = max(1, schedule.steps // CURVE_POINTS)
    encoder.model.train()
    saved_at, losses = time.monotonic(), []
    for step in range(first, schedule.steps):
        losses.append(optimisation.step(step, loss_of, options.seed))
        done = step + 1
        if done % report_every == 0:
            loss = sum(losses) / len(losses)
            options.curve(done, loss)
            options.report(done / schedule.steps, f"step {done}: loss {loss:.3f}")
            losses = []
        # By the clock: a checkpoint of a large encoder takes as long as many steps of a small one.
        if time.monotonic() - saved_at > CHECKPOINT_SECONDS or done == schedule.steps:
            optimisation.save(options, done)
            saved_at = time.monotonic()
    encoder.model.eval()


class _Optimisation:
    """The trained parameters of encoder and head, their AdamW, and AdaLoRA's ranks.

    Attributes:
        parameters: those of the encoder, then the head's.
    """

    def __init__(self, encoder: Tuned, head: torch.nn.Module, schedule: Schedule) -> None:
        self._encoder, self._schedule = encoder, schedule
        self._trained = {
            **{f"encoder.{n}": p for n, p in encoder.model.named_parameters() if p.requires_grad},
            **{f"head.{n}": p for n, p in head.named_parameters()},
        }
        of_encoder = [p for name, p in self._trained.items() if name.startswith("encoder.")]
        of_head = [p for name, p in self._trained.items() if name.startswith("head.")]
        # Adapters start as nothing and are few: they take ten times the rate of the weights themselves.
        scale = 1.0 if schedule.method == "full" else 10.0
        self._peaks = (schedule.rate * scale, schedule.head_rate)
        self.parameters = [*of_encoder, *of_head]
        self._optimiser = torch.optim.AdamW(
            [{"params": of_encoder, "lr": self._peaks[0]}, {"params": of_head, "lr": self._peaks[1]}],
            weight_decay=schedule.decay,
        )
        self._adalora: Any = None
        if schedule.method == "adalora":
            self._adalora = encoder.model.peft_config["default"]
            self._allocator = encoder.model.base_model.rankallocator

    def step(
        self, step: int, loss_of: Callable[[np.random.Generator], torch.Tensor], seed: int
    ) -> float:
        """Take one step; return its loss, without the penalty of AdaLoRA's factors."""
        # For the dropout. The factor, a prime, keeps the steps of two seeds apart.
        torch.manual_seed(parallel.seed_of(seed * 1_000_003 + step))
        for group, peak in zip(self._optimiser.param_groups, self._peaks, strict=True):
            group["lr"] = peak * self._schedule.factor(step)
        loss = loss_of(np.random.default_rng((seed, step)))
        self._optimiser.zero_grad()
        self._penalised(loss).backward()
        parallel.average_gradients(self.parameters)
        # One odd batch must not throw a pre-trained encoder off.
        torch.nn.utils.clip_grad_norm_(self.parameters, MAX_GRADIENT_NORM)
        self._optimiser.step()
        if self._adalora is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._encoder.model.base_model.update_and_allocate(step)
        return loss.item()

    def _penalised(self, loss: torch.Tensor) -> torch.Tensor:
        if self._adalora is None:
            return loss
        return loss + self._adalora.orth_reg_weight * orthogonality(self._encoder.model)

    def save(self, options: FitOptions, done: int) -> None:
        """Write a checkpoint after `done` steps."""
        extra = {}
        if self._adalora is not None:
            # What AdaLoRA weighs its ranks by, and the ranks: the last steps mask by them.
            extra = {
                f"{kind}|{name}": value
                for kind in IMPORTANCE
                for name, value in getattr(self._allocator, kind).items()
            }
            pattern = self._adalora.rank_pattern or {}
            extra |= {f"ranks|{name}": torch.tensor(ranks) for name, ranks in pattern.items()}
        save_checkpoint(options.checkpoint, done, self._trained, self._optimiser, extra)

    def resume(self, options: FitOptions) -> int:
        """Go back to the last checkpoint; return how many steps are behind."""
        checkpoint = Checkpoint.find(options.checkpoint)
        if checkpoint is None:
            return 0
        with torch.no_grad():
            for name, value in checkpoint.part("model").items():
                self._trained[name].copy_(value)
        checkpoint.restore(self._optimiser)
        for key, value in checkpoint.part("extra").items():
            kind, name = key.split("|", 1)
            if kind == "ranks":
                self._adalora.rank_pattern = {
                    **(self._adalora.rank_pattern or {}),
                    name: value.tolist(),
                }
            else:
                getattr(self._allocator, kind)[name] = value.to(self._encoder.device)
        return checkpoint.step
