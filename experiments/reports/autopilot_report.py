"""The autopilot of a surface as pages, the API and the shell show it: what `read_autopilot` reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from experiments.models import Experiment, Proposal
    from experiments.programme.queue_types import QueuedChallenger
    from experiments.programme.ramp_types import RampState
    from experiments.stats.cumulative_gain import Lift
    from inference.models import ModelVersion, Surface

Stage = Literal["trained", "gate", "shadow", "screening", "ramp", "verdict", "holdback"]
StageState = Literal["done", "now", "held", "stopped", "skipped", "none"]
ChallengerState = Literal[
    "training", "refused", "waiting", "on_hold", "shadow", "ramping", "held", "testing", "proposed",
    "champion", "confirmed", "rolled_back", "inconclusive", "superseded", "dropped", "retired",
    "screening", "not_preferred",
]  # fmt: skip
NowState = Literal[
    "no_primary_metric", "paused", "off", "held", "ramping", "testing", "proposed", "cooling_down",
    "ready", "idle", "screening",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class LiftEstimate:
    """A relative change of the primary metric, with its interval where there is one."""

    lift: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class HoldbackState:
    """A holdback after a promotion.

    Attributes:
        experiment: that compares.
        days: since the promotion.
        total_days: that it lasts.
        lift: of the promoted version against the former champion, so far.
        outcome: `running`, `confirm`, or what ended it.
    """

    experiment: Experiment
    days: float
    total_days: float
    lift: LiftEstimate | None
    outcome: str


@dataclass(frozen=True, slots=True)
class ChampionState:
    """A champion, now or before.

    Attributes:
        version: that served.
        since: when it became champion.
        until: when it was replaced; None of the present one.
        reason: why it became champion.
        experiment: that shipped it; None of a refit, a first version, or a person's promotion.
        shipped_at: the lift that it was shipped at.
        holdback: None where there was none.
    """

    version: ModelVersion
    since: datetime
    until: datetime | None
    reason: str
    experiment: Experiment | None
    shipped_at: LiftEstimate | None
    holdback: HoldbackState | None


@dataclass(frozen=True, slots=True)
class AutopilotNow:
    """What the autopilot does now.

    Attributes:
        state: for programs.
        sentence: in words: "Held at 20%: Latency within 10% (up to +11%)".
        experiment: that runs; None where none does.
        since: when this state began; None where that means nothing.
        until: when it ends by itself at the earliest; None where that is not known.
        next_step_at: when the next step of the ramp is to be expected; None where that is not known.
        verdict_at: when the planned users and the minimum duration are; None where that is not known.
    """

    state: NowState
    sentence: str
    experiment: Experiment | None = None
    since: datetime | None = None
    until: datetime | None = None
    next_step_at: datetime | None = None
    verdict_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PipelineStage:
    """How far a challenger is in one stage.

    Attributes:
        stage: which.
        state: done, now, held, stopped here, skipped, none (not come so far).
        label: in a few words: "Passed", "Held at 20%", "Breaker".
        detail: one more fact: "NDCG@10 +4.1%".
        at: when it was reached; None where that is not known.
        experiment: whose report tells more; only of a screening.
    """

    stage: Stage
    state: StageState
    label: str = ""
    detail: str = ""
    at: datetime | None = None
    experiment: Experiment | None = None


@dataclass(frozen=True, slots=True)
class PipelineRow:
    """The timeline of a challenger.

    Attributes:
        name: what people call it: the title of its experiment, or its label.
        version: None while it is trained.
        run: its training run's id; None of a registered version.
        algorithm: what is trained, also where there is no version yet.
        state: where it stands.
        stages: all, from left to right; a screening only where the surface screens or has screened.
        experiment: that tests or tested it; None where none did.
    """

    name: str
    version: ModelVersion | None
    run: int | None
    algorithm: str
    state: ChallengerState
    stages: tuple[PipelineStage, ...]
    experiment: Experiment | None = None


@dataclass(frozen=True, slots=True)
class MetricGain:
    """What promotions brought, adjusted, in the surface's metric; its key."""

    metric: str
    lift: Lift


@dataclass(frozen=True, slots=True)
class YearFigures:
    """What the autopilot did in the last 12 months.

    Attributes:
        tested: experiments that ended, without screenings.
        shipped: of these, those that shipped.
        rolled_back: of these, those that were rolled back.
        breaker_trips: of those, by the breaker.
        refreshed: refits that became champion without an experiment.
        screened: screenings by interleaving that ended.
        gain: of what was promoted, less what was taken back; None where nothing was tested.
    """

    tested: int
    shipped: int
    rolled_back: int
    breaker_trips: int
    refreshed: int
    screened: int = 0
    gain: MetricGain | None = None


@dataclass(frozen=True, slots=True)
class AutopilotReport:
    """Everything of a surface's autopilot.

    Attributes:
        surface: whose.
        settings: by name, as JSON: what `change_programme` takes.
        warnings: what a person should know of the settings, one sentence each.
        champion: None before the first.
        now: what it does.
        ramp: of the running experiment; None where none ramps.
        pipeline: challengers, the newest first.
        queue: those that wait, in their order; held ones at the end.
        champions: the newest first.
        proposals: that wait for a decision.
        year: figures of 12 months.
    """

    surface: Surface
    settings: Mapping[str, Any]
    warnings: Sequence[str]
    champion: ChampionState | None
    now: AutopilotNow
    ramp: RampState | None
    pipeline: Sequence[PipelineRow]
    queue: Sequence[QueuedChallenger]
    champions: Sequence[ChampionState]
    proposals: Sequence[Proposal]
    year: YearFigures
