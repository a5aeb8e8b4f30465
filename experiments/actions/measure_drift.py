"""Compare a surface's last days with the weeks before, and ask for a training run if they have moved.

Drift never promotes anything: what it asks for goes through the gate and an experiment like any run.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction

from bakeoff.alerts.models import Alert
from bakeoff.alerts.outbox import record_alert, resolve_alerts
from bakeoff.alerts.pages import surface_path
from experiments.actions.retrain_if_due import retrain_if_due
from inference.evaluation.drift import compare_numbers, compare_words
from inference.models import DriftReport, Surface

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from inference.evaluation.drift import Shift

RECENT, EARLIER = timedelta(days=2), timedelta(days=14)
PAUSE = timedelta(minutes=30)  # beat asks hourly, and at each start
# Enough for shares to half a per cent, and read in a second.
MAX_ROWS = 20_000
# What is served and what it is served for, newest first; a sample is enough for shares.
_SERVED = """
    SELECT served_at >= %(recent)s, (slots -> 0 ->> 1)::float8, slots -> 0 ->> 0, candidate_count,
        coalesce(fallback, 'none'), context -> 'features', length(context ->> 'text')
    FROM experiments_slate
    WHERE project_id = %(project)s AND surface_id = %(surface)s AND served_at >= %(earlier)s
        AND served_at < %(now)s AND NOT forced
    ORDER BY served_at DESC LIMIT %(limit)s"""
_HAPPENED = """
    SELECT occurred_at >= %(recent)s, name, value FROM experiments_event
    WHERE project_id = %(project)s AND occurred_at >= %(earlier)s AND occurred_at < %(now)s
        AND source = 'live'
    ORDER BY occurred_at DESC LIMIT %(limit)s"""


def measure_drift_if_due(*, surface: Surface, now: datetime) -> DriftReport | None:
    """Measure unless there is a report of the last half hour: beat asks at its start too."""
    # A report from a clock that ran ahead does not count: it would hold measuring up until then.
    if surface.drift.filter(measured_at__range=(now - PAUSE, now)).exists():
        return None
    return measure_drift(surface=surface, now=now)


def measure_drift(*, surface: Surface, now: datetime) -> DriftReport | None:
    """Measure, keep the report, retrain where the surface asks for it; None with too little data."""
    compared = [moved for moved in _compare(_gather(surface, now)) if moved is not None]
    if not compared:
        return None
    with transaction.atomic():
        report = DriftReport.objects.create(
            surface=surface,
            rows=[moved.as_json() for moved in compared],
            drifted=any(moved.drifted for moved in compared),
        )
        _alert(surface, compared)
    if report.drifted and surface.retrain_on_drift and surface.retrain_algorithm:
        # More often than its schedule, but not at each report.
        pause = timedelta(seconds=surface.retrain_every_seconds / 4)
        run = retrain_if_due(surface=surface, trigger="drift", pause=pause)
        report.retrained = run is not None
        report.save(update_fields=["retrained"])
    return report


def _alert(surface: Surface, compared: Sequence[Shift]) -> None:
    """Tell of drift once, until a report has none."""
    key = f"drift:{surface.pk}"
    drifted = [moved for moved in compared if moved.drifted]
    if not drifted:
        resolve_alerts(key, project_ids=[surface.project_id])
        return
    names = ", ".join(moved.name for moved in drifted)
    record_alert(
        surface.project_id,
        event=Alert.Event.DRIFT,
        subject=surface.key,
        summary=f"The last {RECENT.days} days of '{surface.key}' differ from before: {names}.",
        detail={"surface": surface.key, "drifted": [moved.as_json() for moved in drifted]},
        path=surface_path(surface.project.slug, surface.key),
        dedupe_key=key,
    )


def _gather(surface: Surface, now: datetime) -> dict[str, tuple[list[Any], list[Any]]]:
    """Return earlier and recent values of each quantity."""
    values: dict[str, tuple[list[Any], list[Any]]] = {}

    def add(name: str, recent: bool, value: Any) -> None:  # noqa: FBT001  a row's column
        if value is not None:
            values.setdefault(name, ([], []))[int(recent)].append(value)

    parameters: dict[str, Any] = {
        "project": surface.project_id,
        "surface": surface.pk,
        "recent": now - RECENT,
        "earlier": now - EARLIER,
        "now": now,
        "limit": MAX_ROWS,
    }
    classifies = surface.kind == Surface.Kind.CLASSIFY
    with connection.cursor() as cursor:
        cursor.execute(_SERVED, parameters)
        for recent, score, first, candidates, fallback, features, length in cursor.fetchall():
            add("prediction: first score", recent, score)
            add("prediction: first answer", recent, first if classifies else None)
            add("candidates", recent, None if classifies else float(candidates))
            add("rate: fallback", recent, fallback)
            add("feature: text length", recent, None if length is None else float(length))
            known = features if isinstance(features, dict) else {}
            for name, value in known.items():
                add(f"feature: {name}", recent, value)
        cursor.execute(_HAPPENED, parameters)
        for recent, name, value in cursor.fetchall():
            add("rate: event names", recent, name)
            add(f"value of {name}", recent, value)
    return values


def _compare(values: dict[str, tuple[list[Any], list[Any]]]) -> list[Shift | None]:
    compared = []
    for name, (earlier, recent) in sorted(values.items()):
        numbers = all(
            isinstance(v, int | float) and not isinstance(v, bool) for v in (*earlier, *recent)
        )
        if numbers:
            compared.append(compare_numbers(name, earlier, recent))
        else:
            compared.append(compare_words(name, [*map(str, earlier)], [*map(str, recent)]))
    return compared
