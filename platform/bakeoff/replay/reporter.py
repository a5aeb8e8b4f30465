"""What a replay tells whoever started it: lines, and the progress of long steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


class Reporter(Protocol):
    """Takes what a replay says; a terminal is one, and a test may keep the lines."""

    def echo(self, line: str) -> None:
        """Take one line."""

    def progress(self, label: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """Begin a long step.

        Args:
            label: what is done.
            total: how many steps there are; None if that is not known.

        Returns:
            A context that gives a function to call with how many steps were done since its last call.
        """
