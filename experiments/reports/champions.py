"""The champions of a surface, the newest first: since when, by what, and what became of the gain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.models import Decision, Experiment
from experiments.reports.autopilot_report import ChampionState, HoldbackState, LiftEstimate
from experiments.reports.holdback_gain import gain_of
from experiments.reports.verdict import summarise_verdict

if TYPE_CHECKING:
    from datetime import datetime

    from inference.models import ModelVersion, Surface

MAX_CHAMPIONS = 10
DAY_SECONDS = 86_400.0


def read_champions(surface: Surface, now: datetime) -> list[ChampionState]:
    """Return the champions that decisions tell of, at most the last ten."""
    moved = Decision.objects.filter(surface=surface, promoted__isnull=False)
    # A verdict for the control ships what is champion already: nothing moved.
    moved = moved.exclude(action=Decision.Action.SHIP, replaced__isnull=True)
    decisions = list(moved.select_related("promoted", "experiment").order_by("-id")[:MAX_CHAMPIONS])
    untils: list[datetime | None] = [None, *(one.created_at for one in decisions)]
    return [_champion(decision, until, now) for decision, until in zip(decisions, untils, strict=False)]


def _champion(decision: Decision, until: datetime | None, now: datetime) -> ChampionState:
    version, experiment = decision.promoted, decision.experiment
    assert version is not None  # noqa: S101  filtered
    return ChampionState(
        version=version,
        since=decision.created_at,
        until=until,
        reason=decision.reason,
        experiment=experiment,
        shipped_at=_shipped_at(experiment),
        holdback=_holdback(version, now),
    )


def _shipped_at(experiment: Experiment | None) -> LiftEstimate | None:
    if experiment is None:
        return None
    verdict = summarise_verdict(experiment)
    return LiftEstimate(verdict.effect, verdict.interval) if verdict.effect is not None else None


def _holdback(version: ModelVersion, now: datetime) -> HoldbackState | None:
    holdbacks = Experiment.objects.filter(
        purpose=Experiment.Purpose.HOLDBACK, variants__key="promoted", variants__model_version=version
    )
    holdback = holdbacks.exclude(state=Experiment.State.DRAFT).order_by("-id").first()
    if holdback is None or holdback.started_at is None:
        return None
    gain = gain_of(holdback)
    decision = holdback.decisions.first()
    total = (holdback.ends_at - holdback.started_at) if holdback.ends_at is not None else None
    passed = (holdback.ended_at or now) - holdback.started_at
    return HoldbackState(
        experiment=holdback,
        days=passed.total_seconds() / DAY_SECONDS,
        total_days=total.total_seconds() / DAY_SECONDS if total is not None else 0.0,
        lift=LiftEstimate(gain.lift, gain.interval) if gain.lift is not None else None,
        outcome=decision.action if decision is not None else "running",
    )
