"""Where torch computes: the one place that chooses a device, its threads and its precision.

Guarantees: whatever trains takes its device from `pick_device`, and makes or moves every tensor there.
`tests/inference/test_devices.py` runs each training path on a device that is not the CPU.
"""

from __future__ import annotations

import contextlib
import os

import torch

from inference.process_group import processes


def pick_device(name: str) -> torch.device:
    """Return the device: for "auto" what BAKEOFF_DEVICE says, or a GPU where there is one.

    From here on torch takes as many threads as BAKEOFF_TORCH_THREADS says, or one.

    Raises:
        ValueError: torch knows no such device, or sees no GPU here.
    """
    # Beside other work, two OpenMP threads were many times slower than one.
    torch.set_num_threads(int(os.environ.get("BAKEOFF_TORCH_THREADS") or 1))
    name = (os.environ.get("BAKEOFF_DEVICE") or "auto") if name == "auto" else name
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and processes() > 1:
        name = f"cuda:{os.environ.get('LOCAL_RANK') or 0}"  # each process has a GPU of its own
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device == '{name}', must be 'auto', 'cpu' or 'cuda'.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device == '{name}', but torch sees no GPU here: set BAKEOFF_DEVICE=cpu.")
    return device


def training_precision(device: torch.device) -> contextlib.AbstractContextManager[None]:
    """Return the context of a forward pass that is trained: bfloat16 on a GPU, float32 elsewhere.

    A pass that only reads stays in float32 everywhere, as serving computes.
    """
    if device.type == "cuda" and torch.is_grad_enabled():
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return contextlib.nullcontext()
