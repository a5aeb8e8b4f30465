"""How an encoder is adapted; without torch, so that forms and checks can read it."""

from __future__ import annotations

from dataclasses import dataclass

from inference.options import bounded

SIMCSE, TSDAE = "simcse", "tsdae"
OBJECTIVES = (SIMCSE, TSDAE)
VIEWS = ("dropout", "crop")
METHODS = ("full", "lora", "adalora")  # how many of a transformer's weights learn


@dataclass(frozen=True)
class AdaptParams:
    """Hyper-parameters.

    Attributes:
        objective: simcse or tsdae.
        views: of simcse: dropout or crop.
        method: full, lora or adalora.
        steps: of the optimiser.
        batch: texts a step; by simcse each has the others as negatives.
        rate: peak learning rate; of adapters ten times as much.
        temperature: of simcse: cosines are divided by it.
        rank: of adapters.
    """

    objective: str = bounded(SIMCSE, choices=OBJECTIVES)
    views: str = bounded("dropout", choices=VIEWS)
    method: str = bounded("full", choices=METHODS)
    steps: int = bounded(300, low=1, high=1_000_000)
    batch: int = bounded(64, low=2, high=65_536)
    rate: float = bounded(3e-5, above=0, high=1)
    temperature: float = bounded(0.05, above=0, high=10)
    rank: int = bounded(8, low=1, high=1024)
