"""What the units of a simulated experiment are like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Epoch:
    """A stretch of looks with one split and one base rate.

    Attributes:
        looks: how many looks fall into it.
        share: the treatment's share of the units.
        base: factor on the base level: drift.
    """

    looks: int
    share: float = 0.5
    base: float = 1.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the units of a simulated experiment are like.

    Attributes:
        kind: `proportion`; `mean` of normal values; `revenue`: zero-inflated log-normal values;
            `ratio` of clicks to views, each unit with a rate of its own; `covariate`: a mean with a
            covariate of correlation .7; `median` of log-normal values; `whales`: revenue in which one
            buyer in a hundred spends a hundred times as much.
        level: the control's proportion, mean, share of buyers, or rate.
        lift: the treatment's relative gain.
        sd: of a mean's values.
        epochs: in order; one by default.
        step: to which a median's values are rounded; 0 for not at all.
    """

    kind: str
    level: float = 0.1
    lift: float = 0.0
    sd: float = 1.0
    epochs: Sequence[Epoch] = ()
    step: float = 0.0
