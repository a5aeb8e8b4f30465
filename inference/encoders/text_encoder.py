"""Texts to unit vectors with a pre-trained transformer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from inference.encoders.locate import sha256_of_encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from inference.serving.artifact import Floats

TOKENS_PER_BATCH = 2048
MAX_TOKENS = 128


class TextEncoder:
    """Mean of the last hidden states over real tokens, normalised to length 1.

    Attributes:
        sha256: of the weights; names the vectors that it makes.
        width: of its vectors.
    """

    def __init__(self, path: str) -> None:
        """Load the encoder from a directory or the hub, safetensors only."""
        torch.set_num_threads(1)
        self.sha256 = sha256_of_encoder(path)
        self._tokenizer = AutoTokenizer.from_pretrained(path)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = AutoModel.from_pretrained(path, use_safetensors=True).eval().to(self._device)
        self.width: int = self._model.config.hidden_size

    def encode(
        self, texts: Sequence[str], *, progress: Callable[[int], None] = lambda _count: None
    ) -> Floats:
        """Return vectors, float32 (len(texts), width).

        Texts are packed by tokens, not by count: sorted by length, a batch holds about
        `TOKENS_PER_BATCH` of them with little padding.
        """
        tokens = self._tokenizer(list(texts), truncation=True, max_length=MAX_TOKENS)["input_ids"]
        order = sorted(range(len(texts)), key=lambda i: len(tokens[i]))
        vectors = np.zeros((len(texts), self.width), dtype=np.float32)
        batch: list[int] = []
        for position, i in enumerate(order):
            batch.append(i)
            longest = len(tokens[order[min(position + 1, len(order) - 1)]])
            if (len(batch) + 1) * longest > TOKENS_PER_BATCH or position == len(order) - 1:
                vectors[batch] = self._encode_batch([tokens[j] for j in batch])
                progress(len(batch))
                batch = []
        return vectors

    def _encode_batch(self, tokens: list[list[int]]) -> Floats:
        padded = self._tokenizer.pad({"input_ids": tokens}, return_tensors="pt").to(self._device)
        with torch.inference_mode():
            hidden = self._model(**padded).last_hidden_state
            mask = padded["attention_mask"][..., None].to(hidden.dtype)
            mean = (hidden * mask).sum(1) / mask.sum(1)
            vectors: Floats = torch.nn.functional.normalize(mean, dim=1).float().cpu().numpy()
        return vectors
