"""The form `sequence`: a causal transformer over a unit's recent items, in numpy.

With recent items h, oldest first, and L blocks

    x⁰ⱼ = E[hⱼ] + p[age of j]
    xˡ = y + W₂ relu(W₁ norm(y) + c₁) + c₂,   y = xˡ⁻¹ + Wₒ attention(norm(xˡ⁻¹)) + cₒ
    s(i) = E[i] · norm(xᴸ of the newest) + b[i]

so the order of the items counts, and an item is one vector E, whether it is read or scored. Only the
newest item's state is needed of the last block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.serving.artifact import ArtifactDraft
from inference.serving.vector_forms import ByVector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from inference.serving.artifact import Floats

    Load = Callable[[str], NDArray[Any]]  # returns an array of the artifact by its name

SEQUENCE = "sequence"
EPSILON = 1e-5  # as in torch's layer norm
NAMES = (
    "norm1_weight", "norm1_bias", "inward_weight", "inward_bias", "outward_weight", "outward_bias",
    "norm2_weight", "norm2_bias", "wide_weight", "wide_bias", "narrow_weight", "narrow_bias",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Block:
    """One block's weights; matrices are (out, in), `inward` makes query, key and value at once."""

    norm1_weight: Floats
    norm1_bias: Floats
    inward_weight: Floats
    inward_bias: Floats
    outward_weight: Floats
    outward_bias: Floats
    norm2_weight: Floats
    norm2_bias: Floats
    wide_weight: Floats
    wide_bias: Floats
    narrow_weight: Floats
    narrow_bias: Floats

    def apply(self, states: Floats, heads: int, *, last: bool) -> Floats:
        """Return the states after this block, (t, d); of the last block the newest item's, (1, d)."""
        t, d = states.shape
        width = d // heads
        inner = _norm(states, self.norm1_weight, self.norm1_bias)
        mixed = inner @ self.inward_weight.T + self.inward_bias
        query, key, value = (
            part.reshape(t, heads, width).transpose(1, 0, 2) for part in np.split(mixed, 3, axis=1)
        )
        first = t - 1 if last else 0
        weights = query[:, first:] @ key.transpose(0, 2, 1) / math.sqrt(width)
        # An item attends to itself and what was before it.
        weights += np.triu(np.full((t, t), -1e9, np.float32), k=1)[first:]
        weights = np.exp(weights - weights.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        read = (weights @ value).transpose(1, 0, 2).reshape(t - first, d)
        states = states[first:] + read @ self.outward_weight.T + self.outward_bias
        inner = _norm(states, self.norm2_weight, self.norm2_bias) @ self.wide_weight.T
        hidden = np.maximum(inner + self.wide_bias, 0)
        return np.asarray(states + hidden @ self.narrow_weight.T + self.narrow_bias, np.float32)


class Sequential(ByVector):
    """The state of the newest item, times the items, and a bias."""

    def __init__(self, load: Load) -> None:
        """Map the items, and read the blocks."""
        self.item_vectors: Floats = load("item_vectors")
        self.bias: Floats = np.array(load("bias"))
        self.positions: Floats = np.array(load("positions"))
        self.heads = int(load("heads")[0])
        self.blocks = [
            Block(*(np.array(load(f"block{place}.{name}")) for name in NAMES))
            for place in range(int(load("blocks")[0]))
        ]
        self.norm = (np.array(load("norm_weight")), np.array(load("norm_bias")))

    def unit_vector(self, recent: Sequence[int]) -> Floats:
        """Return the unit's vector (d,) of its recent items, newest first."""
        newest = np.asarray(recent[: len(self.positions)])
        states = np.asarray(self.item_vectors[newest] + self.positions[: len(newest)])[::-1]
        for place, block in enumerate(self.blocks, start=1):
            states = block.apply(states, self.heads, last=place == len(self.blocks))
        unit: Floats = _norm(states[-1:], *self.norm)[0]
        return unit


def _norm(states: Floats, weight: Floats, bias: Floats) -> Floats:
    centred = states - states.mean(-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON)
    return np.asarray(centred / spread * weight + bias)


def draft_sequence(
    arrays: Mapping[str, NDArray[Any]], item_ids: Sequence[str], about: Mapping[str, Any]
) -> ArtifactDraft:
    """Return a draft of the form `sequence`, of the arrays that `Sequential` reads."""
    return ArtifactDraft(form=SEQUENCE, arrays=arrays, item_ids=item_ids, about=about)
