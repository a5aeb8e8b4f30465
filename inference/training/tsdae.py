"""TSDAE: a text of which most words were deleted is written anew from its vector alone.

A small decoder sees the words before each place and the one vector (Wang, Reimers & Gurevych 2021), so
the vector has to say what the text is about. The words' embeddings are the encoder's own, in and out.
The decoder is left behind when the encoder is adapted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from inference.serving.onnx_text import MAX_TOKENS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from inference.encoders.text_encoder import TextEncoder

DELETED = 0.6  # of a text's words, as the authors found best
MAX_PLACES = 1024  # of a step that are predicted: each takes a number for every word of the vocabulary
RATE = 1e-3  # of the decoder, which begins with nothing


class Decoder(nn.Module):
    """One causal layer with attention to a vector; words' embeddings come from outside."""

    def __init__(self, width: int, heads: int) -> None:
        """Make it.

        Args:
            width: of vectors and of words' embeddings.
            heads: of its attention.
        """
        super().__init__()
        self.places = nn.Embedding(MAX_TOKENS, width)
        nn.init.normal_(self.places.weight, std=0.02)
        self.memory = nn.Linear(width, width)
        self.layer = nn.TransformerDecoderLayer(
            width, heads, 2 * width, batch_first=True, activation="gelu", norm_first=True
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, vectors: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """Return the state at each place, (b, length, width).

        Args:
            vectors: of texts, of length 1, (b, width).
            words: embeddings of their words, (b, length, width).
        """
        length, width = words.shape[1:]
        # As long as a state of unit variance is, whatever the width.
        memory = self.memory(vectors * width**0.5)[:, None, :]
        mask = torch.triu(torch.ones(length, length, dtype=torch.bool, device=words.device), diagonal=1)
        states = self.layer(
            words + self.places.weight[:length], memory, tgt_mask=mask, tgt_is_causal=True
        )
        out: torch.Tensor = self.norm(states)
        return out


def decoder_of(encoder: TextEncoder) -> Decoder:
    """Return a new decoder for an encoder.

    Raises:
        ValueError: its words have another width than its vectors.
    """
    width = encoder.model.get_input_embeddings().weight.shape[1]
    if width != encoder.width:
        raise ValueError(f"width of the encoder's words == {width}, must be {encoder.width} for tsdae.")
    return Decoder(width, encoder.model.config.num_attention_heads).to(encoder.device)


def denoising_loss(
    encoder: TextEncoder, decoder: Decoder, tokens: Sequence[list[int]], rng: np.random.Generator
) -> torch.Tensor:
    """Return the mean cross-entropy of some texts' words, each predicted from those before it.

    Args:
        encoder: of what is left of a text.
        decoder: writes the text.
        tokens: of whole texts, with their marks at both ends.
        rng: draws what is deleted, and which places are predicted where there are many.
    """
    vectors = encoder.forward([delete_words(text, rng) for text in tokens])
    padded = encoder.tokenizer.pad({"input_ids": list(tokens)}, return_tensors="pt")
    ids = padded["input_ids"].to(encoder.device)
    real = padded["attention_mask"][:, 1:].nonzero()  # places whose next token is no padding
    if len(real) > MAX_PLACES:
        real = real[torch.from_numpy(rng.choice(len(real), MAX_PLACES, replace=False))]
    rows, places = real.to(encoder.device).T
    words = encoder.model.get_input_embeddings()
    states = decoder(vectors, words(ids[:, :-1]))
    logits = states[rows, places] @ words.weight.T
    return functional.cross_entropy(logits, ids[rows, places + 1])


def delete_words(tokens: list[int], rng: np.random.Generator) -> list[int]:
    """Return the tokens that are left, in order: the marks at both ends, and at least one word."""
    inner = tokens[1:-1]
    if len(inner) < 2:
        return tokens
    stays = rng.random(len(inner)) >= DELETED
    stays[rng.integers(len(inner))] = True
    return [tokens[0], *(token for token, one in zip(inner, stays, strict=True) if one), tokens[-1]]
