"""Fewer layers or fewer heads: a smaller encoder learns to give the larger one's vectors.

The student starts as the teacher without some of its layers (Sanh et al. 2019, DistilBERT) or without
the heads whose output weighs least (Michel et al. 2019), and is trained to give the teacher's vectors
of the texts that the teacher was trained on. The head that stands on the vectors is left as it is.
"""

from __future__ import annotations

import copy
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from inference.encoders.device import pick_device
from inference.encoders.text_encoder import TextEncoder
from inference.training.tune import Schedule, tune

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.options import FitOptions
    from inference.serving.artifact import ArtifactDraft

BATCH, EPOCHS, MAX_STEPS, RATE = 32, 3.0, 1500, 1e-4


@dataclass(frozen=True, slots=True)
class Teacher:
    """The parent's encoder, its draft, and the texts that it was trained on."""

    encoder: TextEncoder
    draft: ArtifactDraft
    texts: Sequence[str]


def read_teacher(draft: ArtifactDraft, texts: Sequence[str], options: FitOptions) -> Teacher:
    """Load the parent's weights.

    Raises:
        ValueError: they are not in the artifact: it was compressed before.
    """
    if "model.safetensors" not in draft.files:
        raise ValueError(
            "the artifact holds no float32 weights: compress the version that it came from."
        )
    with tempfile.TemporaryDirectory() as scratch:
        for name, data in draft.files.items():
            (Path(scratch) / name).write_bytes(data)
        encoder = TextEncoder(scratch, pick_device(options.device))
    return Teacher(encoder, draft, texts)


def distil_layers(teacher: Teacher, layers: int, options: FitOptions) -> ArtifactDraft:
    """Return a draft whose encoder has fewer layers, evenly chosen from the parent's.

    Raises:
        ValueError: not fewer than the parent has.
    """
    model = teacher.encoder.model
    full = len(model.encoder.layer)
    if not 1 <= layers < full:
        raise ValueError(f"layers == {layers}, must be in [1, {full}).")
    student = copy.deepcopy(model)
    chosen = np.linspace(0, full - 1, layers).round().astype(int)
    student.encoder.layer = torch.nn.ModuleList([student.encoder.layer[i] for i in chosen])
    student.config.num_hidden_layers = layers
    return _learn(teacher, student, options, keeps_weights=True)


def prune_heads(teacher: Teacher, heads: int, options: FitOptions) -> ArtifactDraft:
    """Return a draft whose encoder has `heads` fewer attention heads in each layer.

    Raises:
        ValueError: none would be left.
    """
    student = copy.deepcopy(teacher.encoder.model)
    full = student.config.num_attention_heads
    if not 1 <= heads < full:
        raise ValueError(f"heads == {heads}, must be in [1, {full}).")
    for layer in student.encoder.layer:
        _prune_layer(layer.attention, full, full - heads)
    # No configuration says heads of another size than width / heads, so the weights cannot be reloaded.
    return _learn(teacher, student, options, keeps_weights=False)


def _prune_layer(attention: Any, full: int, keep: int) -> None:
    """Drop the heads whose part of the output projection has the smallest norm."""
    inner, output = attention.self, attention.output.dense
    size = output.weight.shape[1] // full
    norms = output.weight.detach().reshape(-1, full, size).norm(dim=(0, 2))
    heads = torch.sort(torch.topk(norms, keep).indices).values
    places = (heads[:, None] * size + torch.arange(size, device=heads.device)).flatten()
    for name in ("query", "key", "value"):
        setattr(inner, name, _rows(getattr(inner, name), places))
    smaller = torch.nn.Linear(len(places), output.weight.shape[0])
    with torch.no_grad():
        smaller.weight.copy_(output.weight[:, places])
        smaller.bias.copy_(output.bias)
    attention.output.dense = smaller
    inner.num_attention_heads, inner.all_head_size = keep, keep * size


def _rows(linear: torch.nn.Linear, places: torch.Tensor) -> torch.nn.Linear:
    smaller = torch.nn.Linear(linear.weight.shape[1], len(places))
    with torch.no_grad():
        smaller.weight.copy_(linear.weight[places])
        smaller.bias.copy_(linear.bias[places])
    return smaller


def _learn(teacher: Teacher, model: Any, options: FitOptions, *, keeps_weights: bool) -> ArtifactDraft:
    """Train the student on the teacher's vectors and export it."""
    texts = list(dict.fromkeys(text for text in teacher.texts if text.strip())) or ["."]
    options.report(0.0, f"encoding {len(texts)} texts with the parent")
    wanted = torch.from_numpy(teacher.encoder.encode(texts)).to(teacher.encoder.device)
    student = teacher.encoder.with_model(model)
    tokens = student.tokens(texts)
    steps = min(MAX_STEPS, int(EPOCHS * len(texts) / BATCH) + 1)

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        chosen = rng.choice(len(texts), min(BATCH, len(texts)), replace=False)
        vectors = student.forward([tokens[i] for i in chosen])
        return (1 - (vectors * wanted[torch.from_numpy(chosen)]).sum(1)).mean()

    tune(student, torch.nn.Identity(), Schedule("full", steps, RATE, RATE), loss_of, options)
    return replace(teacher.draft, files=student.files(keeps_weights=keeps_weights))
