"""Read the autopilot of a surface: settings, champion, what it does now, queue, pipeline, figures."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Count, Q

from experiments.models import Decision, Experiment, Proposal, programme_of
from experiments.programme.queue import read_queue
from experiments.programme.ramp import next_step_sentence, read_ramp
from experiments.programme.settings import settings_of
from experiments.programme.start_conditions import find_obstacle
from experiments.reports.autopilot_report import AutopilotNow, AutopilotReport, YearFigures
from experiments.reports.champions import read_champions
from experiments.reports.expected_dates import next_step_at, verdict_at
from experiments.reports.impact import gain_since
from experiments.reports.pipeline import read_pipeline
from experiments.reports.programme_warnings import programme_warnings
from experiments.reports.screening_stage import is_screening

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from experiments.models import Programme
    from experiments.programme.queue_types import QueuedChallenger
    from experiments.programme.ramp_types import RampState
    from experiments.programme.start_conditions import ObstacleKind
    from experiments.reports.autopilot_report import NowState
    from inference.models import ModelVersion, Surface

YEAR = timedelta(days=365)
_STATES: dict[ObstacleKind, NowState] = {
    "off": "off",
    "no_primary_metric": "no_primary_metric",
    "paused": "paused",
    "cooling_down": "cooling_down",
}


def read_autopilot(surface: Surface, now: datetime) -> AutopilotReport:
    """Return everything of a surface's autopilot as of a time."""
    programme = programme_of(surface)
    test = Experiment.objects.running().tests().filter(surface=surface).first()
    ramp = read_ramp(test, now) if test is not None else None
    queue = read_queue(surface)
    proposals = list(
        Proposal.objects.open_now()
        .filter(surface=surface)
        .select_related("experiment", "version")
        .prefetch_related("approvals")
    )
    champions = read_champions(surface, now)
    present = surface.versions.champions().first()
    return AutopilotReport(
        surface=surface,
        settings=settings_of(programme),
        warnings=programme_warnings(programme),
        # A champion that no decision tells of, of a project that was loaded, has no history here.
        champion=next((one for one in champions[:1] if one.version == present), None),
        now=replace(
            _running_now(test, ramp, proposals),
            next_step_at=next_step_at(ramp, now),
            verdict_at=verdict_at(test, ramp, now),
        )
        if test is not None
        else _idle_now(programme, queue, now),
        ramp=ramp,
        pipeline=read_pipeline(surface, now),
        queue=queue,
        champions=champions,
        proposals=proposals,
        year=_year(surface, now),
    )


def _running_now(
    test: Experiment, ramp: RampState | None, proposals: Sequence[Proposal]
) -> AutopilotNow:
    since = test.started_at
    if any(one.experiment == test and one.kind == Proposal.Kind.SHIP for one in proposals):
        return AutopilotNow("proposed", f"'{test.key}' would ship: needs approval.", test, since)
    if is_screening(test):
        sentence = f"'{test.key}' screens challengers by interleaving."
        return AutopilotNow("screening", sentence, test, since, test.ends_at)
    if ramp is None or ramp.next_share is None:
        return AutopilotNow("testing", f"'{test.key}' runs until its verdict.", test, since)
    share, step = f"{100 * ramp.current.share:.3g}%", ramp.current
    if ramp.held_by:
        why = "; ".join(need.sentence for need in ramp.held_by)
        sentence = f"'{test.key}' is held at {share}: {why}."
        return AutopilotNow("held", sentence, test, step.started_at)
    sentence = f"'{test.key}' is at {share}: {next_step_sentence(ramp)}."
    until = (
        step.started_at + timedelta(seconds=step.minimum_seconds)
        if step.started_at is not None
        else None
    )
    return AutopilotNow("ramping", sentence, test, step.started_at, until)


def _idle_now(programme: Programme, queue: Sequence[QueuedChallenger], now: datetime) -> AutopilotNow:
    obstacle = find_obstacle(programme, now)
    following = next((row for row in queue if not row.held), None)
    if following is not None and _waits_for_person(following.version):
        label = following.version.label
        return AutopilotNow("ready", f"{label} waits for a person: its gate could not judge it.")
    waits = f" {following.version.label} waits." if following is not None else ""
    if obstacle is not None and obstacle.kind in _STATES:
        state = _STATES[obstacle.kind]
        return AutopilotNow(state, f"{obstacle.sentence}{waits}", until=obstacle.until)
    if following is not None:
        return AutopilotNow("ready", f"{following.version.label} starts its experiment next.")
    return AutopilotNow("idle", "No challenger waits.")


def _waits_for_person(version: ModelVersion) -> bool:
    """Whether a surface's first version, which needs no experiment, waits because nobody judged it."""
    return bool(version.why_not_judged) and not version.surface.versions.champions().exists()


def _year(surface: Surface, now: datetime) -> YearFigures:
    since = now - YEAR
    ended = Experiment.objects.filter(surface=surface, ended_at__gte=since)
    tests = ended.settling()
    decisions = Decision.objects.filter(surface=surface, created_at__gte=since)
    on_tests = decisions.filter(experiment__in=tests)
    counts = on_tests.aggregate(
        shipped=Count("experiment", filter=Q(action=Decision.Action.SHIP), distinct=True),
        rolled_back=Count("experiment", filter=Q(action=Decision.Action.ROLL_BACK), distinct=True),
        trips=Count("experiment", filter=Q(evidence__has_key="breaker"), distinct=True),
    )
    return YearFigures(
        tested=tests.count(),
        shipped=counts["shipped"],
        rolled_back=counts["rolled_back"],
        breaker_trips=counts["trips"],
        refreshed=decisions.filter(evidence__has_key="refit").count(),
        screened=ended.tests().count() - tests.count(),
        gain=gain_since(surface, since, now),
    )
