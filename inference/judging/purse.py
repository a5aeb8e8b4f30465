"""Who pays for what language models are asked off the request path, and says when to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from inference.serving.spending import Spending


class BudgetSpentError(Exception):
    """Nothing more may be spent; the message names the budget."""


class Purse(Protocol):
    """A budget: asked before each request to a provider, charged after it."""

    def check(self) -> None:
        """Let a request be made.

        Raises:
            BudgetSpentError: nothing is left.
        """
        ...

    def pay(self, spending: Spending) -> None:
        """Count what a request cost."""
        ...
