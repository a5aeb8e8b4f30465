"""The issues of projects, and what to do about each."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Count, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from bakeoff.alerts.models import Delivery
from bakeoff.dashboard.store_health import is_artifact_missing
from experiments.actions.look_at_experiment import is_pending
from experiments.models import Experiment
from experiments.reports.quarantine import count_quarantined, describe_quarantined
from inference.isolation import read_failures
from inference.models import ModelVersion, TrainingRun
from inference.unreadable_rows import read_rows

if TYPE_CHECKING:
    from bakeoff.accounts.models import Project
    from experiments.models import Look

logger = logging.getLogger(__name__)
CARRY_OUT_WITHIN, EMBED_WITHIN = timedelta(minutes=1), timedelta(minutes=10)
MAX_ERRORS = 0.05  # share of a variant's answers that may fail before the page says so
LATE_LOOKS = 10  # times the pause between looks


@dataclass(frozen=True, slots=True)
class HealthIssue:
    """Something wrong: where, what, and what to do."""

    where: str
    what: str
    remedy: str
    link: str = ""


def health_issues(project: Project) -> list[HealthIssue]:
    """Return the health issues of a project."""
    now = timezone.now()
    running, unreadable = read_rows(Experiment.objects.running().filter(project=project))
    issues = [
        HealthIssue(row.name, f"it cannot be read: {row.error}", "Correct its row, or end it.")
        for row in unreadable
    ]
    for experiment in running:
        try:
            issues += _experiment_issues(experiment)
        # This page is where a broken row is looked for: it must not fail by it.
        except Exception as error:
            logger.exception("experiment '%s' cannot be judged", experiment)
            what = _("it cannot be read: %(error)s") % {"error": f"{type(error).__name__}: {error}"}
            issues.append(HealthIssue(experiment.title, what, _("Correct its row, or end it.")))
    runs = TrainingRun.objects.filter(
        surface__project=project, state=TrainingRun.State.FAILED, queued_at__gt=now - timedelta(days=2)
    )
    issues += [
        HealthIssue(
            _("training run %(number)s") % {"number": run.pk},
            run.message[:200],
            _("Open the run for details, then train again."),
            reverse("run", args=[run.pk]),
        )
        for run in runs[:5]
    ]
    for version in ModelVersion.objects.champions().filter(surface__project=project):
        if is_artifact_missing(version.artifact_sha256):
            issues.append(
                HealthIssue(
                    str(version.surface),
                    _("the artifact of %(version)s is missing") % {"version": version.label},
                    _("Promote another version, or train a new one."),
                )
            )
    return [
        *issues,
        *_texts_without_vectors(project),
        *_failed_work(project),
        *_undelivered_alerts(project),
    ]


def _experiment_issues(experiment: Experiment) -> list[HealthIssue]:
    now, issues = timezone.now(), []
    link = reverse("report", args=[experiment.project.slug, experiment.key])
    look = experiment.looks.last()
    if look is not None and look.action == "halt":
        issues.append(
            HealthIssue(
                experiment.title,
                look.reason,
                _("Its numbers cannot be trusted: see its report."),
                link,
            )
        )
    issues += _forged_exposures(experiment, link)
    issues += _waiting_verdict(experiment, look, link)
    pause = timedelta(seconds=LATE_LOOKS * experiment.parsed_policy.look_every_seconds + 60)
    if experiment.sequential_state and look is not None and now - look.taken_at > 30 * pause:
        issues.append(
            HealthIssue(
                experiment.title,
                _("no new data since %(at)s") % {"at": f"{look.taken_at:%Y-%m-%d %H:%M}"},
                _("Either there is no traffic, or the worker has stopped: see the health page."),
                link,
            )
        )
    for served in look.served_variants if look is not None else ():
        if served.errors > MAX_ERRORS:
            issues.append(
                HealthIssue(
                    experiment.title,
                    _("%(share)s of the answers of '%(variant)s' failed")
                    % {"share": f"{served.errors:.0%}", "variant": served.variant},
                    _("Its model fails: turn the experiment off, or roll the model back."),
                    link,
                )
            )
    return issues


def _texts_without_vectors(project: Project) -> list[HealthIssue]:
    late = timezone.now() - EMBED_WITHIN
    items = project.items.filter(vector_due_at__isnull=False, updated_at__lt=late).count()
    if not items:
        return []
    what = _("the texts of %(count)s items have waited for embedding for more than 10 minutes")
    remedy = _("See the log of the embed worker: the encoder may be missing.")
    return [HealthIssue("embed", what % {"count": items}, remedy)]


def _undelivered_alerts(project: Project) -> list[HealthIssue]:
    """Name subscriptions with dead letters: somebody believes that nothing happened."""
    dead = Count("deliveries", filter=Q(deliveries__state=Delivery.State.DEAD))
    what = _("alerts that could not be delivered: %(count)s")
    remedy = _("Correct the subscription's target, then resend its dead letters.")
    link = reverse("alerts", args=[project.slug])
    subscriptions = project.subscriptions.annotate(dead=dead).filter(dead__gt=0)
    return [
        HealthIssue(one.name, what % {"count": one.dead}, remedy, f"{link}?state=dead")
        for one in subscriptions
    ]


def _failed_work(project: Project) -> list[HealthIssue]:
    return [
        HealthIssue(
            failure.subject,
            _("%(work)s failed %(count)s times in a row: %(error)s")
            % {"work": failure.work, "count": failure.count, "error": failure.error},
            _("It is retried with growing pauses; the worker's log has the traceback."),
        )
        for failure in read_failures([project.pk])
    ]


def _waiting_verdict(experiment: Experiment, look: Look | None, link: str) -> list[HealthIssue]:
    """Name a verdict that the platform should have carried out by now."""
    if look is None or not is_pending(experiment, look):
        return []
    if timezone.now() - look.taken_at < CARRY_OUT_WITHIN:
        return []
    what = _("the verdict of its last analysis could not be carried out")
    return [HealthIssue(experiment.title, what, _("It is retried; the worker's log says why."), link)]


def _forged_exposures(experiment: Experiment, link: str) -> list[HealthIssue]:
    why = describe_quarantined(count_quarantined(experiment))
    remedy = _("They are forged, or a client hashes another ID or caches old rules: docs/flags.md.")
    return [HealthIssue(experiment.title, why, remedy, link)] if why else []
