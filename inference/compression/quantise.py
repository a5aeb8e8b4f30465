"""int8: weights with a scale a channel, activations quantised as they come (ONNX Runtime)."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.serving.artifact import ArtifactDraft


def quantise(draft: ArtifactDraft) -> ArtifactDraft:
    """Return a draft whose encoder computes in int8; its float32 weights are left behind."""
    from inference.encoders.onnx_export import quantise_onnx  # noqa: PLC0415  torch comes with it

    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch) / "encoder.onnx", Path(scratch) / "small.onnx"
        for name, data in draft.files.items():  # the graph reads its weights from the file beside it
            (Path(scratch) / name).write_bytes(data)
        quantise_onnx(source, target)
        files = {
            name: data
            for name, data in draft.files.items()
            if name not in {"model.safetensors", "config.json"}
        }
        files["encoder.onnx"] = target.read_bytes()
    return replace(draft, files=files)
