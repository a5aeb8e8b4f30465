"""What answers of language models cost: tokens, and money."""

from __future__ import annotations

from dataclasses import dataclass

TOKENS, MONEY = "tokens", "money"
KEEP_SECONDS = 2 * 86_400  # a day of UTC, and the answers that end after it


@dataclass(frozen=True, slots=True)
class Spending:
    """Tokens, and money."""

    tokens: float = 0.0
    money: float = 0.0

    def __add__(self, other: Spending) -> Spending:
        """Return both together."""
        return Spending(self.tokens + other.tokens, self.money + other.money)
