"""The queue of a surface's challengers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.models import ModelVersion


class LeftQueue(StrEnum):
    """What a move's evidence says of a version that left the queue without an experiment."""

    SUPERSEDED = "superseded"
    OLDER_DATA = "older_data"
    LOST_BEFORE = "lost_before"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class QueuedChallenger:
    """A version that waits for its experiment.

    Attributes:
        version: that waits.
        place: 1 is the next; 0 of one that is held by a person.
        priority: what a person gave it; None where value and gate order it.
        held: whether a person holds it.
        reason: what that person said.
        expected_change: relative, from what was served with exploration; None where that is not known.
        expected_interval: of the expected change.
        gate_change: relative, of the gate's first metric; None without a rival.
        preference: clicks per user by which interleaving preferred it; None where it was not screened.
    """

    version: ModelVersion
    place: int
    priority: int | None
    held: bool
    reason: str
    expected_change: float | None
    expected_interval: tuple[float, float] | None
    gate_change: float | None
    preference: float | None = None
