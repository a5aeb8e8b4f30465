"""Where a running training run is: what it does, which step of how many, the loss, the time left."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class RunStage:
    """What a run reported last.

    Attributes:
        phase: what it does: a seed's fit, the champion's, the last one on all rows, judging.
        step: of this fit, from 1; None where it has no steps.
        steps: how many it takes; None likewise.
        loss: of the last step; None likewise.
        seconds_left: of the whole run, at its pace so far; None until there is one.
    """

    phase: str
    step: int | None = None
    steps: int | None = None
    loss: float | None = None
    seconds_left: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return every field."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> RunStage | None:
        """Read what `as_json` wrote; None of a run that has reported nothing."""
        return cls(**stored) if stored else None

    @property
    def line(self) -> str:
        """All of it in a few words, for a terminal."""
        step = f"step {self.step}" if self.step is not None else ""
        if step and self.steps is not None:
            step = f"{step} of {self.steps}"
        loss = f"loss {self.loss:.3f}" if self.loss is not None else ""
        return ", ".join(part for part in (self.phase, step, loss) if part)
