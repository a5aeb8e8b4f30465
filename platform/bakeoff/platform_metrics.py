"""How the platform is, for Prometheus: what PostgreSQL, the cache and the broker say at a scrape.

Guarantees: a server that does not answer is named by `bakeoff_source_up`, and what only it knows is
left out; every web process of a platform says the same, so a query takes the maximum over instances.
"""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING, Any

import redis
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from bakeoff.accounts.models import Project
from bakeoff.alerts.models import Delivery
from bakeoff.celery import app
from bakeoff.delivery.platform_watch import read_buffer
from experiments.ingest.spill import REFUSED
from experiments.models import Decision
from inference.cache import cache_client
from inference.isolation import read_failures
from inference.models import TrainingRun
from inference.process_issues import BEAT
from inference.queues import QUEUES, BrokerError, read_queues
from inference.serving.beats import read_beats, read_ended_tasks
from inference.serving.heartbeats import read_heartbeats
from inference.serving.model_rpc import REQUESTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from prometheus_client import Metric

    from inference.serving.beats import LastBeat

logger = logging.getLogger(__name__)
SOURCES = ("postgres", "cache", "broker")

_EXPERIMENTS = """SELECT p.slug, count(*),
        max(extract(epoch FROM now() - coalesce(l.taken_at, e.started_at)))::float8
    FROM experiments_experiment AS e JOIN accounts_project AS p ON p.id = e.project_id
    LEFT JOIN LATERAL (
        SELECT max(taken_at) AS taken_at FROM experiments_look WHERE experiment_id = e.id
    ) AS l ON true
    WHERE e.state = 'running' GROUP BY p.slug"""
_RUNS = "SELECT state, count(*) FROM inference_trainingrun GROUP BY state"
_DECISIONS = """SELECT action, count(*), count(*) FILTER (WHERE reason LIKE 'breaker: %')
    FROM experiments_decision GROUP BY action"""
_DELIVERIES = "SELECT state, count(*) FROM alerts_delivery GROUP BY state"
_WAITING = """SELECT
    (SELECT count(*) FROM alerts_alert
        WHERE fanned_out_at IS NULL AND created_at < now() - interval '1 minute'),
    (SELECT coalesce(extract(epoch FROM now() - min(queued_at)), 0)::float8
        FROM inference_trainingrun WHERE state = 'queued'),
    pg_database_size(current_database())"""


def read() -> bytes:
    """Return it in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Platform())
    return generate_latest(registry)


class _Platform:
    """What the servers say now."""

    def collect(self) -> Iterator[Metric]:
        """Yield the families of every source that answers."""
        up = GaugeMetricFamily("bakeoff_source_up", "Whether a server answers.", labels=["source"])
        for source, collect in zip(SOURCES, (_postgres, _cache, _broker), strict=True):
            try:
                yield from list(collect())  # all of it or nothing: half a family misleads
                up.add_metric([source], 1)
            except (DatabaseError, InterfaceError, redis.RedisError, BrokerError, OSError) as error:
                logger.warning("no metrics of %s: %s", source, error)
                up.add_metric([source], 0)
        yield up
        home = settings.BAKEOFF.home
        usage = shutil.disk_usage(home if home.exists() else "/")
        yield _gauge("disk_used_ratio", "Used share of the home's disk.", usage.used / usage.total)

    def describe(self) -> Iterable[Metric]:
        """Return nothing: what there is depends on who answers."""
        return ()


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"bakeoff_{name}", text, value=value)


def _gauges(name: str, text: str, labels: Sequence[str], rows: Iterable[Any]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"bakeoff_{name}", text, labels=labels)
    for values, number in rows:
        family.add_metric([str(value) for value in values], float(number))
    return family


def _counters(name: str, text: str, labels: Sequence[str], rows: Iterable[Any]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"bakeoff_{name}", text, labels=labels)
    for values, number in rows:
        family.add_metric([str(value) for value in values], float(number))
    return family


def _postgres() -> Iterator[Metric]:
    close_old_connections()  # this thread's last scrape was a while ago
    experiments, decisions = _rows(_EXPERIMENTS), _rows(_DECISIONS)
    running = [([project], number) for project, number, _ in experiments]
    yield _gauges("running_experiments", "Experiments that run.", ["project"], running)
    yield _gauges(
        "look_age_seconds",
        "Time since the last analysis of a running experiment; the oldest of a project.",
        ["project"],
        [([project], age) for project, _, age in experiments if age is not None],
    )
    # With zeros: an increase from nothing to one could not be seen.
    counts = dict.fromkeys(Decision.Action.values, 0) | {action: n for action, n, _ in decisions}
    yield _counters("decisions", "Decisions.", ["action"], [([a], n) for a, n in counts.items()])
    trips = sum(trips for _, _, trips in decisions)
    yield CounterMetricFamily("bakeoff_breaker_trips", "Trips of the breaker.", value=trips)
    runs = dict.fromkeys(TrainingRun.State.values, 0) | dict(_rows(_RUNS))
    yield _gauges("training_runs", "Training runs.", ["state"], [([s], n) for s, n in runs.items()])
    sent = dict.fromkeys(Delivery.State.values, 0) | dict(_rows(_DELIVERIES))
    yield _gauges("deliveries", "Deliveries of alerts.", ["state"], [([s], n) for s, n in sent.items()])
    ((alerts, queued, size),) = _rows(_WAITING)
    yield _gauge("alerts_waiting", "Alerts that nobody has taken up for a minute.", alerts)
    yield _gauge("training_oldest_queued_seconds", "Age of the oldest run that waits.", queued)
    yield _gauge("database_bytes", "Size of the database.", size)
    yield _failing_work()


def _rows(statement: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def _failing_work() -> Metric:
    counts: dict[str, int] = {}
    for failure in read_failures(Project.objects.values_list("pk", flat=True)):
        counts[failure.work] = counts.get(failure.work, 0) + 1
    text = "Rows for which work failed three times in a row and more, such as looks."
    return _gauges("failing_work", text, ["work"], [([work], n) for work, n in counts.items()])


def _cache() -> Iterator[Metric]:
    client = cache_client()
    memory: Any = client.info("memory")
    yield _gauge("cache_memory_bytes", "Memory of the cache.", memory["used_memory"])
    yield _gauge("cache_memory_limit_bytes", "Its limit; 0: none.", memory.get("maxmemory", 0))
    spilled = read_buffer(client)
    yield _gauge("spill_entries", "Commits that wait for PostgreSQL.", spilled.entries)
    yield _gauge("spill_oldest_seconds", "Age of the oldest of them.", spilled.oldest_seconds)
    yield _gauge("spill_refused_entries", "Commits that were set aside.", client.xlen(REFUSED))
    yield _gauge("model_requests_waiting", "Requests that wait for models.", client.llen(REQUESTS))
    yield from _background(read_beats(client))
    yield from _tasks(read_ended_tasks(client))
    yield from _web_processes(client)


def _background(beats: Sequence[LastBeat]) -> Iterator[Metric]:
    yield _gauges(
        "beat_age_seconds",
        "Time since the last sign of life of a worker, or of beat.",
        ["process"],
        [([last.beat.name], last.silent_seconds) for last in beats],
    )
    yield _gauges(
        "busy_seconds",
        "For how long a worker has been in its task.",
        ["process", "task"],
        [
            ([last.beat.name, last.beat.task], last.beat.busy_seconds)
            for last in beats
            if last.beat.task
        ],
    )
    alive = [last.beat for last in beats if not last.silent]
    served = {queue: sum(queue in beat.queues for beat in alive) for queue in QUEUES}
    rows = [([queue], number) for queue, number in served.items()]
    yield _gauges("queue_workers", "Workers that take from a queue.", ["queue"], rows)
    beating = sum(beat.name.startswith(BEAT) for beat in alive)
    yield _gauge("beat_processes", "Processes of beat that live.", beating)


def _tasks(ended: dict[str, float]) -> Iterator[Metric]:
    # A task of another version, which no beat sends any more, is late for ever: only those of this one.
    every = {entry["task"]: float(entry["schedule"]) for entry in app.conf.beat_schedule.values()}
    yield _gauges(
        "task_age_seconds",
        "Time since a periodic task last ended well.",
        ["task"],
        [([task], ended[task]) for task in every if task in ended],
    )
    rows = [([task], seconds) for task, seconds in every.items()]
    yield _gauges("task_interval_seconds", "How often beat sends a periodic task.", ["task"], rows)


def _web_processes(client: redis.Redis) -> Iterator[Metric]:
    heartbeats = read_heartbeats(client)
    work = [(name, one) for name, beat in heartbeats.items() for one in beat.work]
    yield _gauge("web_processes", "Web processes that live.", len(heartbeats))
    yield _gauges(
        "work_silence_seconds",
        "Time since long-lived work of a web process went on.",
        ["process", "work"],
        [([name, one["name"]], one["silence_seconds"]) for name, one in work],
    )
    yield _counters(
        "work_failures",
        "Failures of long-lived work of a web process.",
        ["process", "work"],
        [([name, one["name"]], one["failures"]) for name, one in work],
    )
    for name, text in (
        ("breakers", "Versions whose circuit breaker is open in some web process."),
        ("unserved", "Champions and variants that some web process cannot load."),
    ):
        versions = {pk for beat in heartbeats.values() for pk in getattr(beat, name)}
        yield _gauge(f"{name}_versions", text, len(versions))
    issues = {(row["project_id"], row["subject"]) for b in heartbeats.values() for row in b.issues}
    yield _gauge("config_issues", "Rows of the configuration that cannot be followed.", len(issues))


def _broker() -> Iterator[Metric]:
    queues = read_queues()
    yield _gauges(
        "queue_messages",
        "Messages that wait.",
        ["queue"],
        [([one.name], one.waiting) for one in queues],
    )
    yield _gauges(
        "queue_oldest_seconds",
        "Age of the oldest message that waits.",
        ["queue"],
        [([one.name], one.oldest_seconds or 0.0) for one in queues],
    )
