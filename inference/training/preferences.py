"""Preferences between answers as training data, and which of them are held out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from inference.training.snapshot import Preferences

Message = dict[str, Any]
HELD_OUT = 0.2  # of the conversations


@dataclass(frozen=True, slots=True)
class PreferenceData:
    """What a generator learns from, row by row.

    Attributes:
        messages: the conversation before the answer.
        chosen: the answer that was good, or better.
        rejected: the answer that was worse; empty where there is none.
    """

    messages: Sequence[Sequence[Message]]
    chosen: Sequence[str]
    rejected: Sequence[str]

    @classmethod
    def of(cls, rows: Preferences) -> PreferenceData:
        """Take a snapshot's rows."""
        return cls(rows.messages, rows.chosen, rows.rejected)

    def rows(self, chosen: NDArray[np.int64]) -> PreferenceData:
        """Return some of the rows."""
        return PreferenceData(
            [self.messages[i] for i in chosen],
            [self.chosen[i] for i in chosen],
            [self.rejected[i] for i in chosen],
        )

    @property
    def pairs(self) -> PreferenceData:
        """The rows that have a worse answer."""
        return self.rows(np.flatnonzero([bool(answer) for answer in self.rejected]))

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.chosen)


def conversation_key(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return what makes two conversations the same: what stands in them besides the instructions."""
    plain = [[one.get("role"), one.get("content")] for one in messages if one.get("role") != "system"]
    return json.dumps(plain, sort_keys=True, ensure_ascii=False)


def split_preferences(
    data: PreferenceData, *, held_out: float = HELD_OUT
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out whole conversations; return the rows to learn from and the rows held out.

    By a hash: a conversation that is held out once is held out always, and one that many users have had
    is on one side alone.
    """
    is_held = np.array([_place(messages) < held_out for messages in data.messages], dtype=bool)
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)


def _place(messages: Sequence[Message]) -> float:
    digest = hashlib.sha256(b"held out:" + conversation_key(messages).encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
