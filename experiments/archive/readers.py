"""What still reads old rows: a month that somebody reads is not archived.

Experiments, holdbacks and measurements of holdouts that run, with their metrics' look-backs; metrics,
which the next experiment looks back with; trainings that are active; policies whose
decisions have not been counted; exports that are behind. A
training has no look-back of its own: it learns from whatever PostgreSQL has, so the age at which months
are archived is what it looks back.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from experiments.metrics.freeze import spec_of
from experiments.models import DataExport, Experiment, Metric, Slate
from experiments.sql import time_of_uuid7
from inference.models import PolicyCount, Surface, TrainingRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_WORDS = {
    Experiment.Purpose.TEST: "experiment",
    Experiment.Purpose.HOLDBACK: "holdback",
    Experiment.Purpose.HOLDOUT: "measurement of the holdout",
}
_START = datetime(1, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who reads a project's rows.

    Attributes:
        project_id: whose rows.
        since: from which moment on.
        why: who that is, as the subject and verb of a sentence.
    """

    project_id: int
    since: datetime
    why: str


def read_readers(now: datetime) -> dict[int, list[Reader]]:
    """Return who reads rows of the past, by project."""
    readers: dict[int, list[Reader]] = defaultdict(list)
    for reader in (*_experiments(now), *_metrics(now), *_trainings(), *_policies()):
        readers[reader.project_id].append(reader)
    return readers


def _experiments(now: datetime) -> Iterator[Reader]:
    for experiment in Experiment.objects.running().select_related("project"):
        specs = [spec_of(one, experiment) for one in experiment.metrics.select_related("metric")]
        lookback = max((spec.lookback_seconds or 0.0 for spec in specs), default=0.0)
        started = experiment.started_at or now
        more = f" and looks back {_days(lookback)}" if lookback else ""
        yield Reader(
            experiment.project_id,
            started - timedelta(seconds=lookback),
            f"{_WORDS[Experiment.Purpose(experiment.purpose)]} '{experiment.key}' of "
            f"{experiment.project.slug} runs since {started:%Y-%m-%d}{more}",
        )


def _metrics(now: datetime) -> Iterator[Reader]:
    metrics = Metric.objects.filter(lookback_seconds__isnull=False).select_related("project")
    for metric in metrics:
        lookback = metric.lookback_seconds or 0.0
        yield Reader(
            metric.project_id,
            now - timedelta(seconds=lookback),
            f"metric '{metric.key}' of {metric.project.slug} looks back {_days(lookback)}",
        )


def _trainings() -> Iterator[Reader]:
    runs = TrainingRun.objects.filter(state__in=TrainingRun.ACTIVE).select_related("surface__project")
    for run in runs:
        surface = run.surface
        yield Reader(
            surface.project_id,
            _START,
            f"training run {run.pk} of {surface.project.slug}/{surface.key} reads all rows",
        )


def _policies() -> Iterator[Reader]:
    counts = {one.surface_id: one for one in PolicyCount.objects.all()}
    for surface in Surface.objects.filter(kind=Surface.Kind.RANK).select_related("project"):
        if not Slate.objects.filter(surface=surface).exists():
            continue
        since = _counted_until(counts.get(surface.pk))
        until = f" from {since:%Y-%m-%d} on" if since > _START else ""
        yield Reader(
            surface.project_id,
            since,
            f"the policy of {surface.project.slug}/{surface.key} has not counted its decisions{until}",
        )


def _counted_until(count: PolicyCount | None) -> datetime:
    if count is None or count.counted_until is None:
        return _START
    again, stored = count.recount_from, count.stored_from
    if again is None:
        return count.counted_until
    # Nothing is counted anew from further back than what is kept.
    return min(count.counted_until, time_of_uuid7(max(again, stored) if stored else again))


def exports_behind(project_id: int, last_transaction: int) -> list[str]:
    """Return which exports have not read a transaction yet, as sentences without their period."""
    exports: Iterable[DataExport] = DataExport.objects.filter(project=project_id)
    return [
        f"export to {export.folder} has not read all of it"
        for export in exports
        if export.positions.get("events", 0) <= last_transaction
    ]


def _days(seconds: float) -> str:
    return f"{seconds / 86_400:g} days"
