"""Texts to vectors with ONNX Runtime: no torch, one thread, batches packed by tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from inference.serving.artifact import Floats

TOKENS_PER_BATCH = 512
MAX_TOKENS = 128


class OnnxText:
    """An exported encoder and its tokenizer."""

    def __init__(self, model: Path, tokenizer: Path, max_tokens: int = MAX_TOKENS) -> None:
        """Load both."""
        # Only workers and training come here; a web process never loads the runtime.
        import onnxruntime  # noqa: PLC0415
        from tokenizers import Tokenizer  # noqa: PLC0415

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer: Any = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(max_tokens)
        self._tokenizer.no_padding()
        self.width: int = self._session.get_outputs()[0].shape[-1]

    def encode(
        self, texts: Sequence[str], *, progress: Callable[[int], None] = lambda _count: None
    ) -> Floats:
        """Return vectors, float32 (len(texts), width)."""
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        vectors = np.zeros((len(texts), self.width), dtype=np.float32)
        for batch in pack([len(ids) for ids in tokens], TOKENS_PER_BATCH):
            length = max(len(tokens[i]) for i in batch)
            ids = np.zeros((len(batch), length), dtype=np.int64)
            mask = np.zeros_like(ids)
            for row, i in enumerate(batch):
                ids[row, : len(tokens[i])], mask[row, : len(tokens[i])] = tokens[i], 1
            (vectors[batch],) = self._session.run(None, {"input_ids": ids, "attention_mask": mask})
            progress(len(batch))
        return vectors


def pack(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Return batches of indices of like length, each of about `max_tokens` tokens, padding included."""
    batches: list[list[int]] = []
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batch and (len(batch) + 1) * lengths[i] > max_tokens:
            batches.append(batch)
            batch = []
        batch.append(i)
    return [*batches, batch] if batch else batches
