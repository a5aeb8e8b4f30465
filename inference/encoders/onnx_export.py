"""A text encoder as ONNX: pooling and normalisation are part of the graph."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

OPSET = 17  # the first with layer normalisation; older runtimes read it too


class Pooled(nn.Module):
    """Mean of the last hidden states over real tokens, normalised to length 1."""

    def __init__(self, encoder: nn.Module) -> None:
        """Wrap an encoder."""
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return vectors (b, width) of token ids and mask, both (b, tokens)."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask[..., None].to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(mean, dim=1)


def export_onnx(encoder: nn.Module, target: Path) -> None:
    """Write an encoder's graph in float32; any batch, any length."""
    wrapper = Pooled(encoder).eval()
    ids = torch.ones((2, 8), dtype=torch.int64)
    with _quiet(), torch.inference_mode():
        torch.onnx.export(
            wrapper,
            (ids, torch.ones_like(ids)),
            str(target),
            input_names=["input_ids", "attention_mask"],
            output_names=["vectors"],
            dynamic_axes={
                "input_ids": {0: "batch", 1: "tokens"},
                "attention_mask": {0: "batch", 1: "tokens"},
                "vectors": {0: "batch"},
            },
            opset_version=OPSET,
            dynamo=False,
        )


def quantise_onnx(source: Path, target: Path) -> None:
    """Write a graph whose weights are int8, a scale a channel; activations as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415  slow to import
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    with _quiet(), tempfile.TemporaryDirectory() as scratch:
        prepared = Path(scratch) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_dynamic(
            prepared, Path(scratch) / "small.onnx", per_channel=True, weight_type=QuantType.QInt8
        )
        shutil.copyfile(Path(scratch) / "small.onnx", target)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep exporters from warning about what they do by design."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.root.setLevel(level)
