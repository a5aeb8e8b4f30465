"""What workers spend on language models a day, in the counters of the door's budgets."""

from __future__ import annotations

from datetime import UTC, datetime

from inference.cache import cache_client
from inference.serving.keys import spent_key
from inference.serving.spending import KEEP_SECONDS, MONEY, TOKENS, Spending

CHECKS = "checks"  # of versions on data sets: what their judge costs, by surface


def add_spending(kind: str, name: str, spending: Spending) -> None:
    """Count what was spent now.

    Args:
        kind: whose counter: one of the door's budgets, or a worker's own.
        name: which of them.
        spending: tokens and money.
    """
    key = _key(kind, name)
    pipe = cache_client().pipeline(transaction=False)
    pipe.hincrbyfloat(key, TOKENS, spending.tokens)
    pipe.hincrbyfloat(key, MONEY, spending.money)
    pipe.expire(key, KEEP_SECONDS)
    pipe.execute()


def spending_today(kind: str, name: str) -> Spending:
    """Return what was counted since midnight (UTC)."""
    tokens, money = cache_client().hmget(_key(kind, name), [TOKENS, MONEY])
    return Spending(float(tokens or 0), float(money or 0))


def _key(kind: str, name: str) -> str:
    return spent_key(datetime.now(UTC).date().isoformat(), kind, name)
