"""A text encoder as ONNX: pooling and normalisation are part of the graph."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import struct
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
            # Weights stay as they are, under their names: `share_weights` finds them by these, and the
            # runtime folds what follows from them when it loads the graph.
            do_constant_folding=False,
            dynamo=False,
        )


def share_weights(graph: Path, weights: Path) -> None:
    """Let a graph read its weights from the safetensors file beside it, which holds the same numbers.

    Without this an artifact holds an encoder twice: to be served, and to be compressed again.
    """
    import onnx  # noqa: PLC0415  slow to import

    content = weights.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])  # of the JSON header; tensors stand behind it
    places, start = json.loads(content[8 : 8 + length]), 8 + length
    model = onnx.load(str(graph))
    for tensor in model.graph.initializer:
        place = places.get(tensor.name.removeprefix("encoder."))
        if place is None:
            continue
        first, end = (start + offset for offset in place["data_offsets"])
        if tensor.raw_data == content[first:end]:
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            for key, value in (("location", weights.name), ("offset", first), ("length", end - first)):
                tensor.external_data.add(key=key, value=str(value))
    graph.write_bytes(model.SerializeToString())


def quantise_onnx(source: Path, target: Path) -> None:
    """Write a graph whose weights are int8, a scale a channel; activations as they come."""
    import onnx  # noqa: PLC0415  slow to import
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415  slow to import
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    with _quiet(), tempfile.TemporaryDirectory() as scratch:
        whole, prepared = Path(scratch) / "whole.onnx", Path(scratch) / "prepared.onnx"
        onnx.save(onnx.load(str(source)), str(whole))  # with the weights that it reads from beside it
        quant_pre_process(str(whole), str(prepared), skip_symbolic_shape=True)
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
