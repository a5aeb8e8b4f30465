"""The ways to compress, by name; each says what it needs and what it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.compression.project_vectors import project_vectors
from inference.compression.quantise import quantise
from inference.serving.text_classifiers import ENCODER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from inference.options import FitOptions
    from inference.serving.artifact import ArtifactDraft

    Shrink = Callable[[ArtifactDraft, Sequence[str], int, FitOptions], ArtifactDraft]


def _needs_encoder(draft: ArtifactDraft) -> None:
    if draft.form != ENCODER:
        raise ValueError(f"form == '{draft.form}', must be '{ENCODER}': nothing encodes here.")


def _int8(
    draft: ArtifactDraft, _texts: Sequence[str], _size: int, options: FitOptions
) -> ArtifactDraft:
    _needs_encoder(draft)
    options.report(0.1, "quantising")
    return quantise(draft)


def _distil(
    draft: ArtifactDraft, texts: Sequence[str], size: int, options: FitOptions
) -> ArtifactDraft:
    _needs_encoder(draft)
    from inference.compression.distil import distil_layers, read_teacher  # noqa: PLC0415  torch

    return distil_layers(read_teacher(draft, texts, options), size, options)


def _prune(draft: ArtifactDraft, texts: Sequence[str], size: int, options: FitOptions) -> ArtifactDraft:
    _needs_encoder(draft)
    from inference.compression.distil import prune_heads, read_teacher  # noqa: PLC0415  torch

    return prune_heads(read_teacher(draft, texts, options), size, options)


def _project(
    draft: ArtifactDraft, _texts: Sequence[str], size: int, options: FitOptions
) -> ArtifactDraft:
    options.report(0.1, f"projecting to {size} dimensions")
    return project_vectors(draft, size)


COMPRESSIONS: Mapping[str, Shrink] = {
    "int8": _int8,
    "distil": _distil,
    "prune": _prune,
    "project": _project,
}
