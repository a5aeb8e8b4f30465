"""How much of the texts an encoder reads: what stands after its last token is cut silently."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference.serving.onnx_text import MAX_TOKENS

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_MEASURED = 2000  # texts, spread over all


def notes_on_length(encoder: str, texts: Sequence[str]) -> list[str]:
    """Return a note when most texts are longer than what the encoder reads."""
    # transformers enter the training subprocess alone, when it gets here.
    from transformers import AutoTokenizer  # noqa: PLC0415

    some = texts[:: max(1, len(texts) // MAX_MEASURED)]
    if not some:
        return []
    ids = AutoTokenizer.from_pretrained(encoder)(list(some), truncation=True, max_length=MAX_TOKENS + 1)
    cut = float(np.mean([len(one) > MAX_TOKENS for one in ids["input_ids"]]))
    if cut <= 0.5:
        return []
    return [
        f"{cut:.0%} of the texts are longer than the {MAX_TOKENS} tokens that the encoder reads: "
        "what stands after them is not learnt."
    ]
