"""What a search for a better prompt is to do: who proposes, what compares proposals, its budget."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from inference.options import read_params

if TYPE_CHECKING:
    from collections.abc import Mapping

OPTIMISE = "gepa"  # the algorithm of its runs
EXTRA = "optimise"  # what of this package installs it
MAX_PROPOSALS, MAX_ROWS = 100, 500
MAX_TOKENS, MAX_MONEY = 10**10, 1e6


@dataclass(frozen=True, slots=True)
class PromptSearch:
    """A search's parameters.

    Attributes:
        provider: of the model that proposes: one of the operator's.
        model: its name there.
        data_set: key of the data set by which proposals are compared.
        proposals: how many are asked for at most.
        rows: of the data set that each is tried on: a random sample.
        budget_tokens: of the whole search, sent and received.
        budget_money: of the whole search.
        judge: artifact of the judge; empty: assertions alone compare.
        judge_label: its name.
        rubric: what makes an answer good.
        points: of the judge's scale.
    """

    provider: str = ""
    model: str = ""
    data_set: str = ""
    proposals: int = 5
    rows: int = 50
    budget_tokens: int = 1_000_000
    budget_money: float = 5.0
    judge: str = ""
    judge_label: str = ""
    rubric: str = ""
    points: int = 5

    @classmethod
    def parse(cls, params: Mapping[str, Any]) -> PromptSearch:
        """Read and check the parameters of a run.

        Raises:
            ValueError: one is unknown or out of range.
        """
        search = read_params(cls, params)
        for name, value, maximum in (
            ("proposals", search.proposals, MAX_PROPOSALS),
            ("rows", search.rows, MAX_ROWS),
            ("budget_tokens", search.budget_tokens, MAX_TOKENS),
        ):
            if not 1 <= value <= maximum:
                raise ValueError(f"{name} == {value}, must be in [1, {maximum}].")
        money = search.budget_money
        if not (math.isfinite(money) and 0 < money <= MAX_MONEY):
            raise ValueError(f"budget_money == {money:g}, must be in (0, {MAX_MONEY:g}].")
        return search

    def as_params(self) -> dict[str, Any]:
        """Return what `parse` reads."""
        return asdict(self)
