"""A pre-trained transformer in torch, to embed texts or to train: safetensors alone, in and out."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save_model
from transformers import AutoModel, AutoTokenizer

from inference.encoders.device import pick_device, training_precision
from inference.encoders.onnx_export import Pooled, export_onnx, share_weights
from inference.encoders.parallel import shared
from inference.serving.onnx_text import MAX_TOKENS, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from inference.serving.artifact import Floats

TOKENS_PER_BATCH = 2048  # padding included; more gains nothing on a core and takes memory


class TextEncoder:
    """Texts to vectors: the mean of the last hidden states over real tokens, normalised to length 1.

    `encode` reads; `tokens` and `forward` are for training, with gradients.

    Attributes:
        model: the transformer.
        width: of its vectors.
    """

    def __init__(self, path: str, device: torch.device | None = None) -> None:
        """Load it from a directory or the hub, onto a device; None for a GPU when there is one."""
        self.device = device or pick_device("auto")
        self.tokenizer: Any = AutoTokenizer.from_pretrained(path)
        self.replace(AutoModel.from_pretrained(path, use_safetensors=True))
        self.width: int = self.model.config.hidden_size

    def replace(self, model: Any) -> None:
        """Put another form of the same transformer in its place: with adapters, or without."""
        self.model: Any = model.to(self.device)
        self._pooled = Pooled(self.model)

    def with_model(self, model: Any) -> TextEncoder:
        """Return an encoder with the same tokenizer and another transformer."""
        other: TextEncoder = copy.copy(self)
        other.replace(model)
        return other

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return token ids."""
        ids: list[list[int]] = self.tokenizer(list(texts), truncation=True, max_length=MAX_TOKENS)[
            "input_ids"
        ]
        return ids

    def forward(self, tokens: Sequence[list[int]]) -> torch.Tensor:
        """Return vectors (b, width), with gradients; processes that train together share the texts."""
        return shared(self._vectors, tokens)

    def _vectors(self, tokens: Sequence[list[int]]) -> torch.Tensor:
        padded = self.tokenizer.pad({"input_ids": list(tokens)}, return_tensors="pt").to(self.device)
        with training_precision(self.device):
            vectors: torch.Tensor = self._pooled(padded["input_ids"], padded["attention_mask"])
        return vectors.float()

    def encode(
        self, texts: Sequence[str], *, progress: Callable[[int], None] = lambda _count: None
    ) -> Floats:
        """Return vectors, float32 (len(texts), width); texts are cut after `MAX_TOKENS`.

        Texts of like length share a batch, so that little of it is padding.
        """
        tokens = self.tokens(texts)
        vectors = np.zeros((len(texts), self.width), dtype=np.float32)
        was_training = self.model.training
        self.model.eval()
        for batch in pack([len(ids) for ids in tokens], TOKENS_PER_BATCH):
            with torch.inference_mode():
                vectors[batch] = self.forward([tokens[i] for i in batch]).float().cpu().numpy()
            progress(len(batch))
        self.model.train(was_training)
        return vectors

    def files(self, *, keeps_weights: bool = True) -> dict[str, bytes]:
        """Return what an artifact needs to serve the encoder.

        Args:
            keeps_weights: and to compress it again; the graph then reads its weights from them.
        """
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            model = self.model.to("cpu").eval()
            # With the plain attention: the numbers are the same, and the graph does not depend on how
            # torch decomposes its fused one.
            model.set_attn_implementation("eager")
            export_onnx(model, folder / "encoder.onnx")
            self.tokenizer.save_pretrained(folder)
            if keeps_weights:
                # Not `save_pretrained`, which writes in the first of several processes alone.
                model.config.save_pretrained(folder)
                save_model(model, str(folder / "model.safetensors"), metadata={"format": "pt"})
                share_weights(folder / "encoder.onnx", folder / "model.safetensors")
            self.replace(model)  # back to its device
            names = (
                "encoder.onnx",
                "config.json",
                "model.safetensors",
                "tokenizer.json",
                "tokenizer_config.json",
            )
            return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}
