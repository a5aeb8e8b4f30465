"""A ramp as it stands: its steps, and what the next one needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

NeedKind = Literal["time", "users", "guardrail", "look", "person", "switched_off"]
StepState = Literal["done", "current", "held", "ahead"]


@dataclass(frozen=True, slots=True)
class RampNeed:
    """What the next step needs.

    Attributes:
        kind: time at this step, users in the treatment, a guardrail within its margin, a last look
            without trouble, no hold by a person, an experiment that is not switched off.
        holds: whether it is there.
        sentence: in words: "24 hours at this step", "Latency within 10%".
        subject: key of the metric, of a guardrail; else empty.
        required: seconds, users, or the margin; None of the others.
        actual: what there is of it; of a guardrail the worst relative change of its interval.
    """

    kind: NeedKind
    holds: bool
    sentence: str
    subject: str = ""
    required: float | None = None
    actual: float | None = None


@dataclass(frozen=True, slots=True)
class RampStepState:
    """A step of a ramp.

    Attributes:
        share: of all users who get the treatment.
        state: done, current, held (current, and something but time and users holds it), ahead.
        harm: the class of harm that must have shown before it is left, such as `total_failure`; empty
            where it is left by the clock.
        required_users: in the treatment before it is left; None where it is left by the clock.
        users: who came into the treatment during it.
        minimum_seconds: how long it lasts at least.
        started_at: None of steps ahead.
    """

    share: float
    state: StepState
    harm: str
    required_users: int | None
    users: int
    minimum_seconds: float
    started_at: datetime | None


@dataclass(frozen=True, slots=True)
class RampState:
    """A ramp.

    Attributes:
        steps: all of them, in their order.
        needs: of the next step; empty at the last one.
        next_share: of all users who get the treatment after the next step; None at the last one.
        hold: why a person holds it; or nothing.
    """

    steps: tuple[RampStepState, ...]
    needs: tuple[RampNeed, ...]
    next_share: float | None
    hold: str = ""

    @property
    def current(self) -> RampStepState:
        """The step at which it stands."""
        return next(step for step in self.steps if step.state in {"current", "held"})

    @property
    def missing(self) -> tuple[RampNeed, ...]:
        """What keeps it from the next step."""
        return tuple(need for need in self.needs if not need.holds)

    @property
    def held_by(self) -> tuple[RampNeed, ...]:
        """What keeps it from the next step beside time and users, which come by themselves."""
        return tuple(need for need in self.missing if need.kind not in {"time", "users"})
