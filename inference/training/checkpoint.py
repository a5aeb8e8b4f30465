"""Checkpoints of a training loop: written beside the last one, synced, renamed; safetensors alone.

Guarantee: a loop whose randomness is seeded by its step, and that resumes from any checkpoint, ends
with the same bits as one that never stopped.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from safetensors import safe_open
from safetensors.torch import load_file, save_file

from inference.process_group import place

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

NAME = "checkpoint.safetensors"


def save_checkpoint(
    folder: Path | None,
    step: int,
    model: Mapping[str, torch.Tensor],
    optimiser: torch.optim.Optimizer,
    extra: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write a checkpoint after `step` steps.

    Args:
        folder: where; None writes nothing, and of processes that train together the first writes.
        step: how many steps are behind.
        model: its tensors.
        optimiser: its moments are saved too.
        extra: whatever else the loop must remember.
    """
    if folder is None or place():
        return
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"model.{name}": value for name, value in model.items()}
    tensors |= {f"extra.{name}": value for name, value in (extra or {}).items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{name}": value for name, value in state.items()}
    new = folder / "checkpoint.new"
    # Copies: the file format refuses tensors that share their memory.
    plain = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()}
    save_file(plain, new, metadata={"step": json.dumps(step)})
    with new.open("rb") as file:
        os.fsync(file.fileno())  # before the rename: a power cut must not leave an empty checkpoint
    new.replace(folder / NAME)


class Checkpoint:
    """A saved checkpoint.

    Attributes:
        step: how many steps are behind.
    """

    def __init__(self, path: Path) -> None:
        """Read it into memory."""
        with safe_open(path, "pt") as file:
            self.step: int = json.loads(file.metadata()["step"])
        self._tensors = load_file(path)

    @classmethod
    def find(
        cls, folder: Path | None, like: Mapping[str, torch.Tensor] | None = None
    ) -> Checkpoint | None:
        """Return the last one, or None.

        Args:
            folder: where; None where there are no checkpoints.
            like: the model's tensors. A checkpoint of others, which an older version of this program
                wrote, is none: the loop begins anew.
        """
        if folder is None or not (folder / NAME).exists():
            return None
        checkpoint = cls(folder / NAME)
        if like is None:
            return checkpoint
        saved = {name: tensor.shape for name, tensor in checkpoint.part("model").items()}
        return checkpoint if saved == {name: tensor.shape for name, tensor in like.items()} else None

    def part(self, name: str) -> dict[str, torch.Tensor]:
        """Return the tensors of `model` or `extra`."""
        prefix = f"{name}."
        return {k[len(prefix) :]: v for k, v in self._tensors.items() if k.startswith(prefix)}

    def restore(self, optimiser: torch.optim.Optimizer) -> None:
        """Put the moments back."""
        state = optimiser.state_dict()
        for key, value in self.part("adam").items():
            index, name = key.split(".", 1)
            state["state"].setdefault(int(index), {})[name] = value
        optimiser.load_state_dict(state)
