"""The judge's budget of the day, where it compares answers of a check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.actions.judge_answers import spent_today
from inference.day_spending import CHECKS, add_spending
from inference.judging.purse import BudgetSpentError

if TYPE_CHECKING:
    from experiments.models import JudgePlan
    from inference.serving.spending import Spending


@dataclass(frozen=True, slots=True)
class JudgePurse:
    """Pays a judge from the budget that live answers are judged by, too.

    Attributes:
        plan: whose budget it is.
    """

    plan: JudgePlan

    def check(self) -> None:
        """Let the judge be asked.

        Raises:
            BudgetSpentError: the day's budget is spent.
        """
        spent = spent_today(self.plan)
        if spent >= self.plan.daily_cost:
            raise BudgetSpentError(
                f"the judge's budget of the day is spent: {spent:g} of {self.plan.daily_cost:g}."
            )

    def pay(self, spending: Spending) -> None:
        """Count what it cost."""
        add_spending(CHECKS, str(self.plan.surface_id), spending)
