"""A real BERT small enough for tests: two layers, hidden 64, its vocabulary made of a few words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertModel, BertTokenizerFast

if TYPE_CHECKING:
    from collections.abc import Sequence

WORDS = [
    "heat",
    "rain",
    "sun",
    "night",
    "day",
    "city",
    "road",
    "war",
    "love",
    "star",
    "deep",
    "red",
    "blue",
    "lost",
    "last",
    "first",
    "black",
    "river",
]


def make_tiny_bert(folder: Path, words: Sequence[str] = WORDS) -> None:
    """Train a vocabulary of some words, make the model, and save both as safetensors and JSON."""
    folder.mkdir(parents=True)
    tokenizer = BertWordPieceTokenizer()
    tokenizer.train_from_iterator(
        [" ".join(words)] * 20, vocab_size=max(200, 3 * len(words)), min_frequency=1
    )
    tokenizer.save_model(str(folder))
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
    )
    BertModel(config).save_pretrained(folder)
