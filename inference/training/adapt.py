"""Adapt an encoder to texts without any label: by contrast, or by writing damaged texts anew.

By `simcse` a text is read twice, and its two vectors are to be nearer to each other than to those of
the other texts of the step. By `dropout` both readings are the whole text, with other units dropped out
each time (SimCSE: Gao, Yao & Chen 2021): what tells these texts apart is learnt. By `crop` they are two
random spans of it (Izacard et al. 2022): which words go together in these texts is learnt too. `tsdae`
is in its own module. The loop is that of `tune`: checkpoints, killable, resumable with the same bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from inference.encoders.device import pick_device
from inference.encoders.text_encoder import TextEncoder
from inference.training.adapt_params import OBJECTIVES, TSDAE, VIEWS, AdaptParams
from inference.training.tsdae import RATE, decoder_of, denoising_loss
from inference.training.tune import Schedule, add_adapters, merge_adapters, tune

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from inference.options import FitOptions

MIN_SHARE, MAX_SHARE = 0.3, 0.8  # of a text's tokens that a span has
MIN_TEXTS = 20  # distinct ones; of fewer there is nothing to tell apart


def adapt_encoder(texts: Sequence[str], params: AdaptParams, options: FitOptions) -> TextEncoder:
    """Return the encoder of the options, adapted.

    Raises:
        ValueError: an unknown objective or view, or too few distinct texts.
    """
    for name, known in (("objective", OBJECTIVES), ("views", VIEWS)):
        if (value := getattr(params, name)) not in known:
            raise ValueError(f"{name} == '{value}', must be one of {list(known)}.")
    distinct = sorted({text for text in texts if text.strip()})
    if len(distinct) < MIN_TEXTS:
        raise ValueError(
            f"distinct texts to learn from == {len(distinct)}, must be at least {MIN_TEXTS}."
        )
    torch.manual_seed(options.seed)
    encoder = TextEncoder(options.encoder, pick_device(options.device))
    tokens = encoder.tokens(distinct)
    schedule = Schedule(params.method, params.steps, params.rate, RATE, rank=params.rank)
    decoder = decoder_of(encoder) if params.objective == TSDAE else None
    add_adapters(encoder, schedule)

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        chosen = rng.choice(len(tokens), min(params.batch, len(tokens)), replace=False)
        texts = [tokens[i] for i in chosen]
        if decoder is not None:
            return denoising_loss(encoder, decoder, texts, rng)
        return _contrast(encoder, texts, params, rng)

    tune(encoder, decoder or torch.nn.Identity(), schedule, loss_of, options)
    merge_adapters(encoder, schedule)
    return encoder


def _contrast(
    encoder: TextEncoder, tokens: Sequence[list[int]], params: AdaptParams, rng: np.random.Generator
) -> torch.Tensor:
    first, second = (
        encoder.forward([_view(text, params.views, rng) for text in tokens]) for _ in range(2)
    )
    places = torch.arange(len(tokens), device=encoder.device)
    return functional.cross_entropy(first @ second.T / params.temperature, places)


def _view(tokens: list[int], views: str, rng: np.random.Generator) -> list[int]:
    """Return the tokens of a reading; the first and the last, which mark the ends, stay."""
    inner = tokens[1:-1]
    if views == "dropout" or len(inner) < 2:
        return tokens
    length = max(1, round(rng.uniform(MIN_SHARE, MAX_SHARE) * len(inner)))
    start = int(rng.integers(0, len(inner) - length + 1))
    return [tokens[0], *inner[start : start + length], tokens[-1]]
