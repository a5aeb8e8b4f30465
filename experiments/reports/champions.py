"""The champions of a surface, the newest first: since when, by what, and what became of the gain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.models import Decision, Experiment
from experiments.reports.autopilot_report import ChampionState, HoldbackState, LiftEstimate
from experiments.reports.holdback_gain import gain_of
from experiments.reports.read_together import read_together, variant_of
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
    # What ten champions need is read together: the page has a query of each kind, not ten.
    read_together(one.experiment for one in decisions if one.experiment is not None)
    holdbacks = _holdbacks([one.promoted for one in decisions if one.promoted is not None])
    untils: list[datetime | None] = [None, *(one.created_at for one in decisions)]
    return [
        _champion(decision, until, holdbacks.get(decision.promoted_id or 0), now)
        for decision, until in zip(decisions, untils, strict=False)
    ]


def _champion(
    decision: Decision, until: datetime | None, holdback: Experiment | None, now: datetime
) -> ChampionState:
    version, experiment = decision.promoted, decision.experiment
    assert version is not None  # noqa: S101  filtered
    return ChampionState(
        version=version,
        since=decision.created_at,
        until=until,
        reason=decision.reason,
        experiment=experiment,
        shipped_at=_shipped_at(experiment),
        holdback=_holdback(holdback, now) if holdback is not None else None,
    )


def _shipped_at(experiment: Experiment | None) -> LiftEstimate | None:
    if experiment is None:
        return None
    verdict = summarise_verdict(experiment)
    return LiftEstimate(verdict.effect, verdict.interval) if verdict.effect is not None else None


def _holdbacks(versions: list[ModelVersion]) -> dict[int, Experiment]:
    """Return the last holdback of each version, by the version's primary key."""
    started = Experiment.objects.filter(
        purpose=Experiment.Purpose.HOLDBACK,
        variants__key="promoted",
        variants__model_version__in=versions,
    ).exclude(state=Experiment.State.DRAFT)
    rows = read_together(started.order_by("id"))
    return {variant_of(one, "promoted").model_version_id or 0: one for one in rows}


def _holdback(holdback: Experiment, now: datetime) -> HoldbackState | None:
    if holdback.started_at is None:
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
