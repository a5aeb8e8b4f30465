"""What keeps a surface's autopilot from starting the next experiment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from experiments.models import Decision, Experiment

if TYPE_CHECKING:
    from datetime import datetime

    from experiments.models import Programme

ObstacleKind = Literal["off", "no_primary_metric", "paused", "running", "cooling_down"]


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What keeps it.

    Attributes:
        kind: for programs.
        sentence: in words.
        until: when it goes away by itself; None where that is not known.
        experiment: that runs, or ended last.
    """

    kind: ObstacleKind
    sentence: str
    until: datetime | None = None
    experiment: Experiment | None = None


def find_obstacle(programme: Programme, now: datetime) -> Obstacle | None:
    """Return what keeps the next experiment from starting, or None where nothing does."""
    surface = programme.surface
    running = Experiment.objects.running().tests().filter(surface=surface).first()
    if running is not None:
        return Obstacle("running", f"'{running.key}' runs.", experiment=running)
    if not surface.start_experiments:
        return Obstacle("off", "start_experiments is off: people start experiments.")
    if programme.primary_metric is None:
        return Obstacle("no_primary_metric", "No primary metric: no automatic experiment starts.")
    if programme.paused:
        return Obstacle("paused", "The autopilot is paused.")
    return _cooldown(programme, now)


def _cooldown(programme: Programme, now: datetime) -> Obstacle | None:
    # A screening that halted changed nothing either, but is done again, and would halt again at once.
    halted = Experiment.objects.tests().filter(decisions__action=Decision.Action.HALT)
    ended = (Experiment.objects.settling() | halted).filter(
        surface=programme.surface, ended_at__isnull=False
    )
    last = ended.order_by("-ended_at").first()
    if last is None or last.ended_at is None:
        return None
    until = last.ended_at + timedelta(days=programme.cooldown_days)
    if until <= now:
        return None
    return Obstacle(
        "cooling_down",
        f"Cool-down of {programme.cooldown_days:g} days after '{last.key}'.",
        until=until,
        experiment=last,
    )
