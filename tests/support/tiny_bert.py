"""A real BERT small enough for tests: two layers, hidden 64, its vocabulary made of a few words."""

from __future__ import annotations

import string
from pathlib import Path
from typing import TYPE_CHECKING

import torch
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
CHARACTERS = string.ascii_lowercase + string.digits


def make_tiny_bert(folder: Path, words: Sequence[str] = WORDS) -> None:
    """Make a model whose vocabulary is these words and single letters; save it as safetensors and JSON.

    The vocabulary is written, not trained: the order of a trained one, and so the model, differs by run.
    """
    folder.mkdir(parents=True)
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens = [*marks, *dict.fromkeys(words), *CHARACTERS, *(f"##{one}" for one in CHARACTERS)]
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(tokens) + "\n")
    BertTokenizerFast(vocab=str(vocabulary)).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
    )
    BertModel(config).save_pretrained(folder)
