"""An encoder in torch, to be read from or trained: safetensors alone, in and out."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from inference.encoders.onnx_export import Pooled, export_onnx
from inference.serving.onnx_text import MAX_TOKENS, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from inference.serving.artifact import Floats

TOKENS_PER_BATCH = 2048


def pick_device(wanted: str) -> torch.device:
    """Return the device: a GPU for "auto" when there is one."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(wanted)


class TrainedEncoder:
    """Tokens to pooled vectors, with gradients where they are wanted.

    Attributes:
        model: the transformer.
        width: of its vectors.
    """

    def __init__(self, path: str, device: torch.device, model: torch.nn.Module | None = None) -> None:
        """Load the encoder from a directory or the hub; `model` stands in for its weights."""
        self._path = path
        self.tokenizer: Any = AutoTokenizer.from_pretrained(path)
        # The fused attention cannot be exported; the plain one gives the same numbers.
        loaded: Any = model or AutoModel.from_pretrained(
            path, use_safetensors=True, attn_implementation="eager"
        )
        self.model: Any = loaded.to(device)
        self.device = device
        self.width: int = self.model.config.hidden_size
        self._pooled = Pooled(self.model)

    def replace(self, model: Any) -> None:
        """Put another form of the same transformer in its place: with adapters, or without."""
        self.model = model.to(self.device)
        self._pooled = Pooled(self.model)

    def with_model(self, model: Any) -> TrainedEncoder:
        """Return an encoder with the same tokenizer and another transformer."""
        other: TrainedEncoder = copy.copy(self)
        other.replace(model)
        return other

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return token ids."""
        ids: list[list[int]] = self.tokenizer(list(texts), truncation=True, max_length=MAX_TOKENS)[
            "input_ids"
        ]
        return ids

    def forward(self, tokens: Sequence[list[int]]) -> torch.Tensor:
        """Return vectors (b, width), with gradients."""
        padded = self.tokenizer.pad({"input_ids": list(tokens)}, return_tensors="pt").to(self.device)
        vectors: torch.Tensor = self._pooled(padded["input_ids"], padded["attention_mask"])
        return vectors

    def encode(
        self, texts: Sequence[str], *, progress: Callable[[int], None] = lambda _count: None
    ) -> Floats:
        """Return vectors, float32 (len(texts), width)."""
        tokens = self.tokens(texts)
        vectors = np.zeros((len(texts), self.width), dtype=np.float32)
        was = self.model.training
        self.model.eval()
        for batch in pack([len(ids) for ids in tokens], TOKENS_PER_BATCH):
            with torch.inference_mode():
                vectors[batch] = self.forward([tokens[i] for i in batch]).float().cpu().numpy()
            progress(len(batch))
        self.model.train(was)
        return vectors

    def files(self) -> dict[str, bytes]:
        """Return what an artifact needs to serve the encoder, and to train or compress it again."""
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            model = self.model.to("cpu").eval()
            export_onnx(model, folder / "encoder.onnx")
            model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
            names = (
                "encoder.onnx",
                "config.json",
                "model.safetensors",
                "tokenizer.json",
                "tokenizer_config.json",
            )
            return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}
