"""How the platform is, the issues of it, and what to do about each."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import redis.exceptions
from django.conf import settings
from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _

from bakeoff.alerts.models import Alert
from bakeoff.dashboard.health import HealthIssue
from bakeoff.dashboard.store_health import store_problems
from experiments.archive.state import summarise
from experiments.ingest.spill import REFUSED, STREAM
from experiments.models import DataExport
from inference.cache import cache_client
from inference.models import Item, ModelVersion
from inference.process_issues import read_background
from inference.providers import providers_problem
from inference.serving.heartbeats import read_heartbeats
from inference.serving.model_rpc import REQUESTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from django.db.models import QuerySet

    from bakeoff.accounts.models import Project
    from inference.serving.heartbeats import ServingHeartbeat

# PostgreSQL refuses writes on a full disk; at nine tenths there is time to make room.
FULL_SHARE = 0.9
ALERT_WITHIN = timedelta(minutes=1)
MAX_EXPORTS = 20  # shown


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
    full = usage.used / usage.total > FULL_SHARE
    of_cache = _cache_health(projects)
    return {
        "disk_used": usage.used / usage.total,
        "disk_free": usage.free,
        "disk_full": full,
        "texts": Item.objects.filter(project__in=projects, vector_due_at__isnull=False).count(),
        "database_size": size,
        "database": version.split(" on ")[0],
        "partitions": partitions,
        "lags": lags,
        "archive": summarise(projects.values_list("pk", flat=True)),
        "archive_url": settings.BAKEOFF.archive,
        "exports": DataExport.objects.filter(project__in=projects)[:MAX_EXPORTS],
        **of_cache,
        "health_issues": [*(_full_disk() if full else ()), *of_cache["health_issues"]],
    }


def _full_disk() -> list[HealthIssue]:
    what = _("it is nearly full, and PostgreSQL refuses writes on a full one")
    remedy = _("Give it more room, or archive and drop old months: docs/archive.md.")
    return [HealthIssue(_("disk"), what, remedy)]


def _cache_health(projects: QuerySet[Project]) -> dict[str, Any]:
    cache = cache_client()
    try:
        info: Any = cache.info("memory")
        background = read_background(cache)
        heartbeats = read_heartbeats(cache)
        processes = _describe_processes(heartbeats, projects)
        spilled = cache.xlen(STREAM)
        return {
            "cache": True,
            "cache_memory": info["used_memory"],
            "background": background,
            "health_issues": [
                *(HealthIssue(one.where, one.what, one.remedy) for one in background.issues),
                *_work_issues(processes),
                *_serving_issues(processes),
                *_waiting_issues(spilled),
                *_row_issues(processes, projects),
                *_refused_issues(cache),
                *_alert_issues(),
                *_provider_issues(),
                *_store_issues(),
            ],
            "asks": cache.llen(REQUESTS),
            "spilled": spilled,
            "processes": processes,
            "broken": _labels_in(processes, "breakers"),
            "unserved": _labels_in(processes, "unserved"),
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
            "impaired": [labels[pk] for pk in one.impaired if pk in labels],
        }
        for name, one in heartbeats.items()
    ]


def _labels_of(heartbeats: Iterable[ServingHeartbeat], projects: QuerySet[Project]) -> dict[int, str]:
    """Return surface and label of the versions that heartbeats name, those of other projects left out."""
    named = {pk for one in heartbeats for pk in (*one.breakers, *one.unserved, *one.impaired)}
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


def _labels_in(processes: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    """Return the versions that processes name so, each once."""
    return sorted({label for process in processes for label in process[name]})


def _serving_issues(processes: Sequence[Mapping[str, Any]]) -> list[HealthIssue]:
    """Name versions that cannot answer, and say when no web process reports."""
    if not processes:
        what = _("none has reported, so nobody can say what is served")
        return [HealthIssue(_("web processes"), what, _("Restart them; their logs say why."))]
    unserved = _("it cannot be loaded, so lists answer in its place")
    promote = _("Promote another version, or train one; the web process's log says why.")
    impaired = _("its file of nearest items is damaged, so similar items go by behaviour alone")
    restore = _("Restore the file from a backup, or train the version anew.")
    broken = _("it failed again and again, so its circuit breaker is open")
    wait = _("It is tried again by itself; roll back if it stays. The log has its reason.")
    return [
        *(HealthIssue(label, unserved, promote) for label in _labels_in(processes, "unserved")),
        *(HealthIssue(label, impaired, restore) for label in _labels_in(processes, "impaired")),
        *(HealthIssue(label, broken, wait) for label in _labels_in(processes, "breakers")),
    ]


def _waiting_issues(spilled: int) -> list[HealthIssue]:
    if not spilled:
        return []
    what = _("commits that wait in the cache for PostgreSQL: %(count)s") % {"count": spilled}
    remedy = _(
        "They are written by themselves; if not, see the log of the worker of the queue default."
    )
    return [HealthIssue(_("buffered events"), what, remedy)]


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
