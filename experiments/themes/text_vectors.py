"""Texts as vectors: by the platform's encoder, or by characters where it does not know the language.

Each text has a space beside its vector: vectors of two spaces are not compared. A multilingual encoder
puts all texts in one; an encoder of English leaves Chinese and Japanese texts to their characters.
"""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

from inference.serving.centred import unit_length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CHARACTERS = "characters"
WIDTH = 1024  # of vectors of characters: collisions of some hundred frequent pairs are rare
_IDEOGRAPHS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_LETTERS = re.compile(r"[^\W\d_]")
# Pairs that mean the same in other characters, and no two pairs the same: an encoder that knows
# Chinese finds each sentence's partner among all the others.
_PARAPHRASES = (
    ("价格太贵了", "收费过高"),
    ("快递什么时候到", "包裹几天能送达"),
    ("屏幕坏了", "显示器出现故障"),
    ("客服态度很差", "服务人员不友好"),
    ("我想退钱", "请办理退款"),
    ("忘记密码了", "无法登录账户"),
)
MIN_PAIRS = 5  # of them; a language that is unknown finds one or two by chance


class Encoder(Protocol):
    """What makes vectors of texts."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return vectors, float32 (len(texts), width)."""

    def __hash__(self) -> int:
        """What it knows is looked up by it."""


def is_ideographic(text: str) -> bool:
    """Whether most of a text is in Chinese or Japanese; a character says as much as three letters."""
    ideographs = len(_IDEOGRAPHS.findall(text))
    return 3 * ideographs > len(_LETTERS.findall(text)) - ideographs


@lru_cache(maxsize=4)
def knows_chinese(encoder: Encoder) -> bool:
    """Whether an encoder finds Chinese sentences that mean the same."""
    vectors = unit_length(encoder.encode([text for pair in _PARAPHRASES for text in pair]))
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    nearest = cosines.argmax(1)
    pairs = sum(
        nearest[2 * n] == 2 * n + 1 and nearest[2 * n + 1] == 2 * n for n in range(len(_PARAPHRASES))
    )
    return bool(pairs >= MIN_PAIRS)


def space_of(text: str, encoder: Encoder | None, name: str) -> str:
    """Return which space a text's vector is in.

    Args:
        text: the text.
        encoder: the platform's; None where it cannot be had.
        name: of the encoder's space: the hash of its weights.
    """
    if encoder is None or (is_ideographic(text) and not knows_chinese(encoder)):
        return CHARACTERS
    return name


def vectors_in(space: str, texts: Sequence[str], encoder: Encoder | None) -> NDArray[np.float32]:
    """Return vectors of length 1, float32 (len(texts), width), of texts of one space."""
    if space == CHARACTERS or encoder is None:
        return unit_length(np.stack([_characters(text) for text in texts]))
    return unit_length(encoder.encode(texts))


def _characters(text: str) -> NDArray[np.float32]:
    """Count characters, pairs and triples of a text, hashed: the same in every process."""
    vector = np.zeros(WIDTH, dtype=np.float32)
    joined = re.sub(r"[\W_]+", " ", text.casefold()).strip()
    grams = {joined[n : n + size] for size in (1, 2, 3) for n in range(len(joined) - size + 1)}
    for gram in grams:
        if gram.strip() == gram:  # none that begins or ends between two words
            vector[zlib.crc32(gram.encode()) % WIDTH] += 1.0
    return vector
