"""Bodies and answers of the autopilot's operations."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Field, Schema

from bakeoff.api.request_schema import RequestSchema

MAX_REASON = 1000


class GuardrailIn(RequestSchema):
    """A metric that must not become worse, and the relative loss that is still accepted."""

    metric: str = Field(max_length=64)
    margin: float


class RampStepOf(RequestSchema):
    """A step: the treatment's share of all users, and how long it lasts at least."""

    share: float
    minimum_seconds: float
    units: int | None = Field(
        None,
        description="Users in the treatment before it is left; null: as many as show its harm.",
    )


class ProgrammePatch(RequestSchema):
    """Settings that change; one that is not named stays as it is."""

    primary_metric: str | None = Field(None, max_length=64)
    guardrails: list[GuardrailIn] = Field(default_factory=list, max_length=100)
    ramp: list[RampStepOf] = Field(default_factory=list, max_length=100)
    ship_when: str = Field("", max_length=16)
    holdback_share: float = 0.03
    holdback_days: float = 28.0
    cooldown_days: float = 1.0
    approval: str = Field("automatic", max_length=16)
    breaker_alpha: float = 0.001
    interleave_first: int = 0
    refresh: str = Field("non_inferior", max_length=16)
    paused: bool = False


class NoteIn(RequestSchema):
    """Why, for the audit trail."""

    reason: str = Field("", max_length=MAX_REASON)


class PriorityIn(NoteIn):
    """A place before those of lower priority; null: by its value and gate again."""

    priority: int | None


class ContinueIn(NoteIn):
    """Whether the next step is taken at once, whatever holds it, or only a person's hold is lifted."""

    at_once: bool = True


class SettingsOut(Schema):
    """The programme of a surface."""

    primary_metric: str | None
    guardrails: list[dict[str, Any]]
    ramp: list[dict[str, Any]]
    ship_when: str
    holdback_share: float
    holdback_days: float
    cooldown_days: float
    approval: str
    breaker_alpha: float
    interleave_first: int
    refresh: str
    paused: bool


class ProgrammeOut(Schema):
    """Settings after a change, and what a person should know of them."""

    settings: SettingsOut
    warnings: list[str]


class NowOut(Schema):
    """What the autopilot does now."""

    state: str
    sentence: str
    experiment: str | None
    since: datetime | None
    until: datetime | None
    next_step_about: datetime | None
    verdict_about: datetime | None


class GainOut(Schema):
    """What promotions brought, adjusted, in the surface's metric."""

    metric: str
    lift: float
    ci: tuple[float, float]


class YearOut(Schema):
    """The last 12 months."""

    tested: int
    shipped: int
    rolled_back: int
    breaker_trips: int
    refreshed: int
    screened: int
    gain: GainOut | None


class QueuedOut(Schema):
    """A challenger that waits; `place` 0 is held by a person."""

    version: str
    place: int
    priority: int | None
    held: bool
    reason: str
    expected_change: float | None
    expected_ci: tuple[float, float] | None
    gate_change: float | None


class ApprovalOut(Schema):
    """One person's approval."""

    by: str
    note: str
    at: datetime


class ProposalOut(Schema):
    """A change of the champion, of settings or of who meets a test: it waits for people, or is decided.

    `changed` has the value before and after by setting, or by field of the experiment.
    """

    id: int
    kind: str
    state: str
    experiment: str | None
    variant: str
    version: str | None
    changed: dict[str, list[Any]]
    reason: str
    required_approvals: int
    approvals: list[ApprovalOut]
    refusal: str
    outcome: str
    created_at: datetime
    decided_at: datetime | None


class AutopilotOut(Schema):
    """Everything of a surface's autopilot: docs/autopilot.md says what each part means."""

    surface: str
    settings: SettingsOut
    warnings: list[str]
    champion: dict[str, Any] | None
    now: NowOut
    ramp: dict[str, Any] | None
    queue: list[QueuedOut]
    pipeline: list[dict[str, Any]]
    champions: list[dict[str, Any]]
    proposals: list[ProposalOut]
    year: YearOut
