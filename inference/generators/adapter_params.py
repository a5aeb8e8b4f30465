"""Hyper-parameters of adapters of a causal model; without torch, so that forms can read them."""

from __future__ import annotations

from dataclasses import dataclass

from inference.options import bounded

METHODS = ("lora", "adalora")


@dataclass(frozen=True)
class AdapterParams:
    """Hyper-parameters that every way to train adapters has.

    Attributes:
        base: name of the local model that is trained; empty: the first one.
        method: lora or adalora.
        epochs: passes over the rows.
        most_steps: passes are cut short of this many steps.
        batch: rows a step.
        rate: peak learning rate of the adapters.
        rank: of the adapters.
        max_tokens: of a conversation with its answer.
    """

    base: str = ""
    method: str = bounded("lora", choices=METHODS)
    epochs: float = bounded(3.0, above=0, high=100_000)
    most_steps: int = bounded(500, low=1, high=1_000_000)
    batch: int = bounded(4, low=1, high=65_536)
    rate: float = bounded(2e-4, above=0, high=1)
    rank: int = bounded(8, low=1, high=1024)
    max_tokens: int = bounded(512, low=16, high=1_000_000)


@dataclass(frozen=True)
class DpoParams(AdapterParams):
    """Those, and how far the model may go from where it was: the smaller, the farther."""

    beta: float = bounded(0.1, above=0, high=100)
