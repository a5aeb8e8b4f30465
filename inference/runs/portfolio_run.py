"""What a portfolio and its search ask of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from inference.evaluation.gate import Rival
    from inference.runs.outcome import Recipe, RunPlan, RunProgress, Trial, Validation


class PortfolioRun(Protocol):
    """What a portfolio asks of a run, whatever it trains."""

    @property
    def kind(self) -> str:
        """Of the surface."""
        ...

    @property
    def plan(self) -> RunPlan:
        """What is trained, and against which champion."""
        ...

    def with_plan(self, plan: RunPlan) -> Self:
        """Return a run of the same rows."""
        ...

    def try_recipe(self, recipe: Recipe, progress: RunProgress) -> Trial:
        """Fit a recipe on what is learnt from, once, and judge it on what is held out."""
        ...

    def first_rival(self) -> Rival | None:
        """Return whom the gate judges a first version against; None for nobody."""
        ...

    def validation_of(self, default: Recipe) -> Validation | None:
        """Return what judges draws of a recipe's hyper-parameters; None where rows are too few."""
        ...
