"""Who pays for what language models are asked off the request path, and says when to stop."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Protocol

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


@dataclass(slots=True)
class RunPurse:
    """What one run may spend, from the budgets of the day.

    Attributes:
        limit: of the run.
        day: the budgets that hold for everybody, or None.
        spent: by the run so far, earlier attempts included.
    """

    limit: Spending
    day: Purse | None = None
    spent: Spending = field(default_factory=Spending)
    _lock: threading.Lock = field(default_factory=threading.Lock)  # several requests at a time pay

    def check(self) -> None:
        """Let a request be made; those that are on their way may end a little above the limit.

        Raises:
            BudgetSpentError: nothing is left.
        """
        for what, spent, limit in (
            ("tokens", self.spent.tokens, self.limit.tokens),
            ("money", self.spent.money, self.limit.money),
        ):
            if spent >= limit:
                raise BudgetSpentError(f"the run's {what} are spent: {spent:g} of {limit:g}.")
        if self.day is not None:
            self.day.check()

    def pay(self, spending: Spending) -> None:
        """Count what a request cost."""
        with self._lock:
            self.spent += spending
        if self.day is not None:
            self.day.pay(spending)
