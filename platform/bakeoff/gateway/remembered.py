"""What a process remembers to ask less: bounded, and the oldest goes first."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Remembered(OrderedDict[K, V]):
    """A dictionary of at most `limit` entries; forgetting one costs a look-up, never a wrong answer."""

    def __init__(self, limit: int) -> None:
        """Remember nothing yet."""
        super().__init__()
        self._limit = limit

    def __setitem__(self, key: K, value: V) -> None:
        """Remember an entry, and forget the oldest beyond the limit."""
        super().__setitem__(key, value)
        if len(self) > self._limit:
            self.popitem(last=False)
