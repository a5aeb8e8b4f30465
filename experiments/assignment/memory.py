"""What an experiment does with units that met it before: keep, forget or block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container


@dataclass(frozen=True, slots=True)
class Memory:
    """An experiment's rule for units that met it before.

    Attributes:
        sticky: whether a unit keeps the variant that it met last.
        since: epoch from which on that is remembered; what was met before is forgotten.
        blocked_before: units that met it first in an epoch before this one are left out.
    """

    sticky: bool = False
    since: int = 0
    blocked_before: int = 0


@dataclass(frozen=True, slots=True)
class PastExposure:
    """What a unit met in an experiment.

    Attributes:
        variant: the one that it met last.
        first_epoch: number of the epoch in which it met the experiment first.
        last_epoch: number of the last epoch in which it met this variant.
    """

    variant: str
    first_epoch: int
    last_epoch: int


@dataclass(frozen=True, slots=True)
class Recall:
    """What follows from a past exposure.

    Attributes:
        blocked: whether the unit is left out.
        variant: the variant that the unit keeps, or None.
        why: in a few words, for who asks; empty when the unit never met the experiment.
    """

    blocked: bool = False
    variant: str | None = None
    why: str = ""


NO_MEMORY = Memory()
NOTHING_RECALLED = Recall()


def recall(memory: Memory, past: PastExposure | None, variants: Container[str]) -> Recall:
    """Apply an experiment's memory to what a unit met.

    Args:
        memory: the experiment's.
        past: what the unit met, or None.
        variants: keys that can be kept now: a variant that is gone cannot.
    """
    if past is None:
        return NOTHING_RECALLED
    # Before stickiness: who is blocked is left out even if a variant would be kept.
    if past.first_epoch < memory.blocked_before:
        return Recall(
            blocked=True,
            why=f"met it in epoch {past.first_epoch}, blocked before epoch {memory.blocked_before}",
        )
    history = f"met {past.variant} in epoch {past.last_epoch}"
    if not memory.sticky:
        return Recall(why=f"{history}; not sticky")
    if past.last_epoch < memory.since:
        return Recall(why=f"{history}, forgotten before epoch {memory.since}")
    # It was dropped from the experiment: the hash decides anew.
    if past.variant not in variants:
        return Recall(why=f"{history}, which is gone")
    return Recall(variant=past.variant, why=history)
