"""The issues of projects and of the platform, and what to do about each."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import redis.exceptions
from django.conf import settings
from django.db import connection
from django.db.models import Count, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from bakeoff.alerts.models import Alert, Delivery
from bakeoff.dashboard.store_health import store_problems
from experiments.actions.look_at_experiment import is_pending
from experiments.archive.state import summarise
from experiments.ingest.spill import REFUSED, STREAM
from experiments.models import DataExport, Experiment
from experiments.reports.quarantine import count_quarantined, describe_quarantined
from inference.cache import cache_client
from inference.isolation import read_failures
from inference.models import ModelVersion, TrainingRun
from inference.process_issues import read_background
from inference.providers import providers_problem
from inference.serving.heartbeats import read_heartbeats
from inference.serving.model_rpc import REQUESTS
from inference.unreadable_rows import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from django.db.models import QuerySet

    from bakeoff.accounts.models import Project
    from experiments.models import Look
    from inference.serving.heartbeats import ServingHeartbeat

logger = logging.getLogger(__name__)
# PostgreSQL refuses writes on a full disk; at nine tenths there is time to make room.
FULL_SHARE = 0.9
ALERT_WITHIN = timedelta(minutes=1)
CARRY_OUT_WITHIN, EMBED_WITHIN = timedelta(minutes=1), timedelta(minutes=10)
MAX_ERRORS = 0.05  # share of a variant's answers that may fail before the page says so
MAX_EXPORTS = 20  # shown
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
        if not (settings.BAKEOFF.artifacts / version.artifact_sha256).exists():
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


def platform_health(projects: QuerySet[Project]) -> dict[str, Any]:
    """Return queues, processes, storage, partitions and troubles of the platform; lags of some projects."""
    usage = shutil.disk_usage(settings.BAKEOFF.home if settings.BAKEOFF.home.exists() else "/")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database()), version()")
        size, version = cursor.fetchone() or (0, "")
        # A look that is due and was not taken is how far counting lags behind.
        cursor.execute(
            """SELECT e.key, extract(epoch FROM now() - coalesce(max(l.taken_at), e.started_at))::float8
            FROM experiments_experiment AS e LEFT JOIN experiments_look AS l ON l.experiment_id = e.id
            WHERE e.state = 'running' AND e.project_id = ANY(%s)
            GROUP BY e.id ORDER BY 2 DESC LIMIT 10""",
            [list(projects.values_list("pk", flat=True))],
        )
        lags = [{"experiment": key, "seconds": seconds} for key, seconds in cursor.fetchall()]
        cursor.execute(
            """SELECT parent.relname, child.relname, pg_total_relation_size(child.oid),
                greatest(child.reltuples, 0)::bigint
            FROM pg_inherits JOIN pg_class AS parent ON parent.oid = inhparent
            JOIN pg_class AS child ON child.oid = inhrelid
            WHERE parent.relname IN ('experiments_slate', 'experiments_event')
            ORDER BY parent.relname, child.relname"""
        )
        partitions = [
            {"table": table.removeprefix("experiments_"), "name": name, "bytes": of, "rows": rows}
            for table, name, of, rows in cursor.fetchall()
        ]
    return {
        "disk_used": usage.used / usage.total,
        "disk_free": usage.free,
        "disk_full": usage.used / usage.total > FULL_SHARE,
        "database_size": size,
        "database": version.split(" on ")[0],
        "partitions": partitions,
        "lags": lags,
        "archive": summarise(projects.values_list("pk", flat=True)),
        "archive_url": settings.BAKEOFF.archive,
        "exports": DataExport.objects.filter(project__in=projects)[:MAX_EXPORTS],
        **_cache_health(projects),
    }


def _cache_health(projects: QuerySet[Project]) -> dict[str, Any]:
    cache = cache_client()
    try:
        info: Any = cache.info("memory")
        background = read_background(cache)
        heartbeats = read_heartbeats(cache)
        processes = _describe_processes(heartbeats, projects)
        return {
            "cache": True,
            "cache_memory": info["used_memory"],
            "background": background,
            "health_issues": [
                *(HealthIssue(one.where, one.what, one.remedy) for one in background.issues),
                *_work_issues(processes),
                *_row_issues(processes, projects),
                *_refused_issues(cache),
                *_alert_issues(),
                *_provider_issues(),
                *_store_issues(),
            ],
            "asks": cache.llen(REQUESTS),
            "spilled": cache.xlen(STREAM),
            "processes": processes,
            "broken": [name for process in processes for name in process["breakers"]],
            "unserved": sorted({name for process in processes for name in process["unserved"]}),
        }
    except redis.exceptions.RedisError as error:
        what = _("it does not answer: %(error)s") % {"error": error}
        issue = HealthIssue(_("cache"), what, _("Start it, or check REDIS_URL."))
        return {
            "cache": False,
            "cache_error": str(error),
            "processes": [],
            "spilled": 0,
            "health_issues": [issue],
        }


def _provider_issues() -> list[HealthIssue]:
    """Name what is wrong with the file of language models' providers; what was read before serves on."""
    problem = providers_problem()
    remedy = _("Correct the file that BAKEOFF_PROVIDERS names.")
    return [HealthIssue(_("providers"), problem, remedy)] if problem else []


def _store_issues() -> list[HealthIssue]:
    """Name object stores that do not answer: what is cached serves on, and nothing new is stored."""
    remedy = _("Check the store, its address and its credentials: `bakeoff config check` tries them.")
    return [HealthIssue(variable, problem, remedy) for variable, problem in store_problems()]


def _describe_processes(
    heartbeats: Mapping[str, ServingHeartbeat], projects: QuerySet[Project]
) -> list[dict[str, Any]]:
    """Return the web processes as the page shows them; versions of other projects have no label."""
    labels = _labels_of(heartbeats.values(), projects)
    return [
        {
            "name": name,
            "work": one.work,
            "issues": one.issues,
            "surfaces": len(one.champion),
            "breakers": [labels[pk] for pk in one.breakers if pk in labels],
            "unserved": [labels[pk] for pk in one.unserved if pk in labels],
        }
        for name, one in heartbeats.items()
    ]


def _labels_of(heartbeats: Iterable[ServingHeartbeat], projects: QuerySet[Project]) -> dict[int, str]:
    """Return surface and label of the versions that heartbeats name, those of other projects left out."""
    named = {pk for one in heartbeats for pk in (*one.breakers, *one.unserved)}
    versions = ModelVersion.objects.filter(pk__in=named, surface__project__in=projects)
    return {v.pk: f"{v.surface}: {v.label}" for v in versions.select_related("surface")}


def _work_issues(processes: Sequence[Mapping[str, Any]]) -> list[HealthIssue]:
    """Name the long-lived work of web processes that hangs, or that failed and went on."""
    return [
        HealthIssue(
            process["name"],
            _("'%(work)s' failed %(count)s times, last with: %(error)s")
            % {"work": work["name"], "count": work["failures"], "error": work["last_error"]}
            if work["alive"]
            else _("no heartbeat from '%(work)s' for %(seconds)s s")
            % {"work": work["name"], "seconds": f"{work['silence_seconds']:.0f}"},
            _("It recovers by itself; its log has the traceback.")
            if work["alive"]
            else _("Restart this web process."),
        )
        for process in processes
        for work in process["work"]
        if work["failures"] or not work["alive"]
    ]


def _row_issues(
    processes: Sequence[Mapping[str, Any]], projects: QuerySet[Project]
) -> list[HealthIssue]:
    """Name rows of these projects that web processes cannot follow, each once."""
    slugs = dict(projects.values_list("pk", "slug"))
    rows = {
        (slugs[row["project_id"]], row["subject"], row["message"])
        for process in processes
        for row in process["issues"]
        if row["project_id"] in slugs
    }
    return [
        HealthIssue(
            f"{slug}: {subject}",
            _("the stored configuration is invalid, so the previous one stays in use: %(error)s")
            % {"error": message},
            _("Save it again."),
        )
        for slug, subject, message in sorted(rows)
    ]


def _alert_issues() -> list[HealthIssue]:
    """Say when alerts wait and no worker takes them up."""
    late = timezone.now() - ALERT_WITHIN
    waiting = Alert.objects.filter(fanned_out_at__isnull=True, created_at__lt=late).count()
    if not waiting:
        return []
    what = _("alerts that no worker has taken up for a minute: %(count)s")
    remedy = _("Restart the workers of the queues default and answers; their logs say why.")
    return [HealthIssue(_("alerts"), what % {"count": waiting}, remedy)]


def _refused_issues(cache: redis.Redis) -> list[HealthIssue]:
    refused = cache.xlen(REFUSED)
    if not refused:
        return []
    what = _("%(count)s commits cannot be written and were set aside") % {"count": refused}
    remedy = _("See them and their reasons with XRANGE %(stream)s - +")
    return [HealthIssue(_("buffered events"), what, remedy % {"stream": REFUSED})]
