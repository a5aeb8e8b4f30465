"""The weekly digest: what was decided, what waits, the week's alerts. An alert like any other."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from django.db import transaction

from bakeoff.accounts.models import Project
from bakeoff.alerts.models import Alert, Subscription
from bakeoff.alerts.outbox import record_alert
from bakeoff.alerts.pages import alerts_path
from bakeoff.delivery.wording import event_title
from experiments.models import Decision, Experiment
from experiments.models.proposal import Proposal
from experiments.reports.holdback_gain import running_gains
from inference.models import ModelVersion

if TYPE_CHECKING:
    from collections.abc import Sequence

WEEK = timedelta(days=7)
HOUR = 8  # of Monday, UTC
MAX_LINES = 20  # of a part; the rest is counted


@dataclass(frozen=True, slots=True)
class Digest:
    """A week of a project, in lines.

    Attributes:
        decided: decisions, oldest first.
        waiting: experiments that run, proposals that wait for somebody, challengers in the queue.
        alerts: how many of each event.
    """

    decided: Sequence[str]
    waiting: Sequence[str]
    alerts: Sequence[str]

    def as_text(self) -> str:
        """Return it as the summary of an alert."""
        parts = (
            ("Decided", self.decided or ["nothing"]),
            ("Waiting", self.waiting or ["nothing"]),
            ("Alerts", self.alerts or ["none"]),
        )
        return "\n\n".join(
            "\n".join([title, *(f"- {line}" for line in lines)]) for title, lines in parts
        )


def write_digests(now: datetime) -> int:
    """Write the digests of the week that ended; return how many are new.

    A subscription that is younger than its Monday waits for the next.
    """
    until = last_monday(now)
    subscriptions = Subscription.objects.filter(enabled=True, created_at__lt=until)
    wanted = {one.project_id for one in subscriptions if one.wants(Alert.Event.DIGEST)}
    key = f"digest:{until:%Y-%m-%d}"
    written = Alert.objects.filter(dedupe_key=key).values("project_id")
    due = Project.objects.filter(pk__in=wanted).exclude(pk__in=written)
    return sum(_write(project, until, key) for project in due)


def last_monday(now: datetime) -> datetime:
    """Return the last moment at which digests were due."""
    utc = now.astimezone(UTC)
    monday = (utc - timedelta(days=utc.weekday())).replace(hour=HOUR, minute=0, second=0, microsecond=0)
    return monday if monday <= utc else monday - WEEK


def digest_of(project: Project, until: datetime) -> Digest:
    """Return a project's week that ended then."""
    week = (until - WEEK, until)
    decisions = Decision.objects.filter(project=project, created_at__range=week).order_by("created_at")
    events = Alert.objects.filter(project=project, created_at__range=week).exclude(
        event__in=(Alert.Event.TEST, Alert.Event.DIGEST)
    )
    counts = Counter(events.values_list("event", flat=True))
    return Digest(
        decided=_first([_decided(one) for one in decisions.select_related("surface", "experiment")]),
        waiting=_first(_waiting(project)),
        alerts=[f"{event_title(event)}: {count}" for event, count in counts.most_common()],
    )


def _decided(decision: Decision) -> str:
    subject = decision.experiment.title if decision.experiment else decision.surface.key
    return f"{subject}: {decision.action}. {decision.reason}"[:300]


def _waiting(project: Project) -> list[str]:
    proposals = Proposal.objects.filter(project=project, state="open").order_by("pk")
    running = Experiment.objects.running().filter(project=project).order_by("pk")
    challengers = ModelVersion.objects.filter(
        surface__project=project, alias=ModelVersion.Alias.CHALLENGER
    ).select_related("surface")
    return [
        *(
            f"needs a decision: {one.kind} on {one.surface.key}. {one.reason}"[:300]
            for one in proposals.select_related("surface")
        ),
        *(f"running: {one.title}" for one in running.tests()),
        *(f"{one.purpose}: {one.title}: {gain.stored}" for one, gain in running_gains(running)),
        *(f"challenger: {one.label} of {one.surface.key}" for one in challengers.order_by("pk")),
    ]


def _first(lines: list[str]) -> list[str]:
    rest = len(lines) - MAX_LINES
    return [*lines[:MAX_LINES], *([f"and {rest} more"] if rest > 0 else [])]


def _write(project: Project, until: datetime, key: str) -> bool:
    digest = digest_of(project, until)
    with transaction.atomic():
        return record_alert(
            project.pk,
            event=Alert.Event.DIGEST,
            subject=f"week to {until:%Y-%m-%d}",
            summary=digest.as_text(),
            detail={"decided": digest.decided, "waiting": digest.waiting, "alerts": digest.alerts},
            path=alerts_path(project.slug),
            dedupe_key=key,
        )
