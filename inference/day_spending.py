"""What workers spend on language models a day, in the counters of the door's budgets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from inference.cache import cache_client
from inference.judging.purse import BudgetSpentError
from inference.serving.generate_settings import PROJECT, SHADOW, SURFACE, GenerateSettings
from inference.serving.keys import spent_key
from inference.serving.spending import KEEP_SECONDS, MONEY, TOKENS, Spending

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.models import Surface
    from inference.serving.generate_settings import Budget

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


@dataclass(frozen=True, slots=True)
class DayPurse:
    """A surface's budgets of the day, for what its workers ask.

    Attributes:
        budgets: by what they count.
        names: whose counter each is.
    """

    budgets: Mapping[str, Budget]
    names: Mapping[str, str]

    @classmethod
    def of(cls, surface: Surface) -> DayPurse:
        """Return those of a surface and of its project: there is no key, unit or address."""
        budgets = GenerateSettings.parse(surface.generate).budgets
        return cls(budgets, {SURFACE: str(surface.pk), PROJECT: str(surface.project_id)})

    @classmethod
    def of_shadows(cls, surface: Surface) -> DayPurse:
        """Return what its versions in shadow may cost, which no other budget counts."""
        budgets = GenerateSettings.parse(surface.generate).budgets
        return cls(budgets, {SHADOW: str(surface.pk)})

    def check(self) -> None:
        """Let a request be made.

        Raises:
            BudgetSpentError: a budget is spent for today.
        """
        for kind, name in self.names.items():
            limit = self.budgets.get(kind)
            if limit is None:
                continue
            spent = spending_today(kind, name)
            for what, amount, allowed in (
                (TOKENS, spent.tokens, limit.tokens),
                (MONEY, spent.money, limit.money),
            ):
                if allowed is not None and amount >= allowed:
                    raise BudgetSpentError(
                        f"the {what} of this {kind} are spent for today: the budget is {allowed:g}."
                    )

    def pay(self, spending: Spending) -> None:
        """Count what a request cost."""
        for kind, name in self.names.items():
            add_spending(kind, name, spending)
