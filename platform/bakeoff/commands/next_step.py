"""What a version that passed its gate waits for, and the command that changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from experiments.programme.start_conditions import Obstacle
    from inference.models import ModelVersion


def waits_for(version: ModelVersion) -> str:
    """Return what a challenger waits for: its experiment, or what keeps that from starting."""
    from django.utils import timezone

    from experiments.models import Metric
    from experiments.models.programme import programme_of
    from experiments.programme.start_conditions import find_obstacle

    surface = version.surface
    obstacle = find_obstacle(programme_of(surface), timezone.now())
    if obstacle is None:
        return f"{version.label} waits for its experiment: `bakeoff experiments list` shows it."
    keys = list(
        Metric.objects.unarchived().filter(project=surface.project).values_list("key", flat=True)[:1]
    )
    return f"{version.label} waits. {obstacle.sentence} {_way_out(version, obstacle, keys)}".rstrip()


def _way_out(version: ModelVersion, obstacle: Obstacle, metrics: list[str]) -> str:
    """Return how to change what keeps an experiment from starting; nothing where time does."""
    surface = version.surface.key
    if obstacle.kind == "no_primary_metric":
        # A project without metrics has to create one first, which the pages and the API do.
        first = "" if metrics else "Create a metric (POST /v1/metrics). "
        metric = metrics[0] if metrics else "KEY"
        return f"{first}`bakeoff autopilot {surface} --primary-metric {metric}` says what decides."
    if obstacle.kind == "off":
        return f"`bakeoff promote {surface} {version.label}` serves it without one."
    if obstacle.kind == "paused":
        return f"`bakeoff autopilot {surface} --resume` goes on."
    return f"`bakeoff autopilot {surface}` shows what it does."
