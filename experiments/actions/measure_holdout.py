"""Measure a project's standing holdout: what do all promotions bring together?

Per surface that serves models and has a primary metric, an experiment of purpose `holdout` runs for a
quarter: `holdout` gets the first champion of the quarter, or the static list where there was none,
`everyone` is a slice of the same width that lives as everybody does. Its units are those of the
holdout by their hash: its salt is the holdout's, hashed GrowthBook's way, so that its first
variant is exactly who is held out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.actors import PLATFORM
from experiments.actions.close_holdback import close_holdback
from experiments.actions.free_keys import free_key
from experiments.actions.start_experiment import begin
from experiments.assignment.holdouts import HELD, REFERENCE
from experiments.metrics.freeze import freeze_metrics
from experiments.metrics.spec import MetricError
from experiments.models import Decision, Experiment, ExperimentMetric, Holdout, programme_of
from experiments.stats.policy import MAX_OVERRUN
from inference.actions.check_servable import check_artifact_of
from inference.actions.move_champion import CannotPromoteError
from inference.cache import cache_client
from inference.models import AliasMove, ModelVersion, Surface
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from experiments.models import Metric

# A quarter is slow: an analysis an hour.
POLICY = {
    "rule": "always_valid",
    "promote": False,
    "overrun": MAX_OVERRUN,
    "minimum_run_seconds": 0.0,
    "look_every_seconds": 3600.0,
}


def measure_holdout(*, surface: Surface, now: datetime | None = None) -> Experiment | None:
    """Open the measurement that is missing, and end one that no longer fits.

    One ends by another share, metric or quarter, or because its version was rejected.

    Returns:
        What was opened, or None.
    """
    if surface.kind == Surface.Kind.FLAG:
        return None
    now = now or timezone.now()
    with transaction.atomic():
        # A change of the share holds this row too: it waits here, or this waits for it.
        holdout = Holdout.objects.select_for_update().filter(project=surface.project_id).first()
        # An archive of the surface holds the holdout's row too: it is read after that.
        if not Surface.objects.unarchived().filter(pk=surface.pk).exists():
            return None
        metric = programme_of(surface).primary_metric
        if (running := _running_on(surface)) is not None:
            why = _why_over(running, holdout, metric, now)
            if not why:
                return None
            close_holdback(holdback=running, by=PLATFORM, why=why)
        if holdout is None or holdout.share <= 0 or metric is None:
            return None
        experiment = _open(surface, holdout, metric, now)
        transaction.on_commit(lambda: announce_change(cache_client()))
    return experiment


def quarter_of(at: datetime) -> tuple[datetime, datetime]:
    """Return the first moment, in UTC, of the quarter of a moment and of the quarter after it."""
    at = at.astimezone(UTC)
    month = at.month - (at.month - 1) % 3
    start = datetime(at.year, month, 1, tzinfo=UTC)
    end = datetime(at.year + month // 10, (month + 2) % 12 + 1, 1, tzinfo=UTC)
    return start, end


def first_champion(surface: Surface, since: datetime) -> ModelVersion | None:
    """Return the version that was champion at a moment; if there was none, the first since then."""
    moves = AliasMove.objects.filter(version__surface=surface, after=ModelVersion.Alias.CHAMPION)
    move = (
        moves.filter(moved_at__lte=since).order_by("-id").first()
        or moves.filter(moved_at__gt=since).order_by("id").first()
    )
    first = move.version if move is not None else None
    current = surface.versions.champions().first()
    if first is None or first.alias == ModelVersion.Alias.REJECTED:
        return current  # a version that did harm must not serve, whenever it was champion
    try:
        check_artifact_of(first)
    except CannotPromoteError:
        return current
    return first


def _running_on(surface: Surface) -> Experiment | None:
    running = Experiment.objects.running().filter(surface=surface, purpose=Experiment.Purpose.HOLDOUT)
    return running.first()


def _why_over(
    running: Experiment, holdout: Holdout | None, metric: Metric | None, now: datetime
) -> str:
    """Return why a measurement ends, or nothing."""
    if holdout is None or holdout.share <= 0:
        return "there is no holdout any more"
    if running.salt != holdout.salt or running.allocation != 2 * holdout.share:
        return "the holdout's share changed"
    if metric is None or running.primary.metric_id != metric.pk:
        return "the surface's primary metric changed"
    if running.ends_at is not None and now >= running.ends_at:
        return "the quarter is over"
    version = running.control.model_version
    if version is not None and version.alias == ModelVersion.Alias.REJECTED:
        return f"{version.label} was rejected"
    return ""


def _open(surface: Surface, holdout: Holdout, metric: Metric, now: datetime) -> Experiment | None:
    start, end = quarter_of(now)
    quarter = Experiment.objects.filter(
        surface=surface, purpose=Experiment.Purpose.HOLDOUT, ends_at=end
    )
    # What some process could not serve is not tried again and again.
    last = quarter.order_by("-id").first()
    if last is not None and last.decisions.filter(action=Decision.Action.HALT).exists():
        return None
    name = f"{surface.key}-holdout-{start.year}q{(start.month + 2) // 3}"
    experiment = Experiment.objects.create(
        project_id=surface.project_id,
        surface=surface,
        key=free_key(surface.project_id, name),
        purpose=Experiment.Purpose.HOLDOUT,
        owner=PLATFORM,
        salt=holdout.salt,
        hashing=Experiment.Hashing.GROWTHBOOK,
        allocation=2 * holdout.share,
        exclusive=False,
        against_gate=True,
        policy=POLICY,
        breaker_alpha=0.0,  # it only measures
        ends_at=end,
    )
    experiment.variants.create(
        key=HELD, is_control=True, weight=0.5, model_version=first_champion(surface, start)
    )
    experiment.variants.create(key=REFERENCE, weight=0.5)
    experiment.metrics.create(metric=metric, role=ExperimentMetric.Role.PRIMARY)
    try:
        freeze_metrics(experiment)
    except MetricError:
        experiment.delete()  # its definition breaks a rule: nothing could be measured
        return None
    begin(experiment)
    return experiment
