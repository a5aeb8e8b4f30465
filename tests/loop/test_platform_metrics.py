"""What PostgreSQL, the cache and the broker say of the platform at a scrape."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
import redis
from django.db import OperationalError
from django.utils import timezone

from bakeoff import platform_metrics
from bakeoff.celery import app
from experiments.actions.stop_experiment import stop_experiment
from experiments.ingest.spill import REFUSED, STREAM
from experiments.models import Experiment
from inference.cache import cache_client
from inference.isolation import FAILURES, Failure, _record
from inference.models import TrainingRun
from inference.serving.beats import BEATS, TASKS, Beat, write_beat, write_ended_tasks
from inference.serving.heartbeats import ServingHeartbeat
from inference.serving.keys import SERVING, serving_key
from tests.support import builders
from tests.support.metrics import read_samples


@pytest.fixture
def cache(empty_platform):
    client = cache_client()
    names = (BEATS, TASKS, FAILURES, STREAM, REFUSED)
    client.delete(*names)
    yield client
    client.delete(*names)


def scrape() -> dict[str, float]:
    return read_samples(platform_metrics.read().decode())


def test_experiments_decisions_and_runs(cache):
    shop = builders.make_shop()
    before = scrape()
    experiment = shop.run_experiment()
    Experiment.objects.filter(pk=experiment.pk).update(started_at=timezone.now() - timedelta(hours=2))
    queued_at = timezone.now() - timedelta(minutes=5)
    for state in ("queued", "failed"):
        run = TrainingRun.objects.create(surface=shop.surface, algorithm="ease", state=state)
        TrainingRun.objects.filter(pk=run.pk).update(queued_at=queued_at)
    now = scrape()
    slug = shop.project.slug
    assert now[f'bakeoff_running_experiments{{project="{slug}"}}'] == 1
    assert now[f'bakeoff_look_age_seconds{{project="{slug}"}}'] == pytest.approx(7200, abs=60)
    assert now["bakeoff_training_oldest_queued_seconds"] == pytest.approx(300, abs=60)
    failed = 'bakeoff_training_runs{state="failed"}'
    assert now[failed] - before[failed] == 1
    assert (
        now['bakeoff_training_runs{state="refused"}']
        == before['bakeoff_training_runs{state="refused"}']
    )
    stopped = 'bakeoff_decisions_total{action="stop_inconclusive"}'
    stop_experiment(experiment=experiment, by="ann", reason="enough")
    after = scrape()
    assert after[stopped] - before[stopped] == 1
    assert f'bakeoff_running_experiments{{project="{slug}"}}' not in after
    assert after["bakeoff_breaker_trips_total"] == before["bakeoff_breaker_trips_total"]
    assert after["bakeoff_database_bytes"] > 2**20


def test_beats_tasks_queues_and_what_waits(cache):
    beat = Beat("worker-loop@here", 7, ("default", "refresh"), 3, "a.task", 12.0, time.time())
    write_beat(cache, beat)
    every = {entry["task"]: entry["schedule"] for entry in app.conf.beat_schedule.values()}
    drain = "experiments.tasks.drain_spilled_rows"
    write_ended_tasks(cache, {drain: 40.0, "experiments.tasks.of_an_older_version": 9.0})
    cache.xadd(STREAM, {"kind": "x"})
    cache.xadd(REFUSED, {"kind": "x"})
    samples = scrape()
    assert samples['bakeoff_beat_age_seconds{process="worker-loop@here"}'] < 5
    assert samples['bakeoff_busy_seconds{process="worker-loop@here",task="a.task"}'] == 12
    assert samples['bakeoff_queue_workers{queue="default"}'] == 1
    assert samples['bakeoff_queue_workers{queue="train"}'] == 0
    assert samples["bakeoff_beat_processes"] == 0
    assert samples[f'bakeoff_task_age_seconds{{task="{drain}"}}'] == pytest.approx(40, abs=5)
    assert samples[f'bakeoff_task_interval_seconds{{task="{drain}"}}'] == every[drain]
    assert not [name for name in samples if "older_version" in name]
    assert samples["bakeoff_spill_entries"] == samples["bakeoff_spill_refused_entries"] == 1
    assert samples['bakeoff_queue_messages{queue="train"}'] >= 0
    assert 0 < samples["bakeoff_disk_used_ratio"] <= 1
    assert [samples[f'bakeoff_source_up{{source="{one}"}}'] for one in platform_metrics.SOURCES] == [
        1
    ] * 3


def test_web_processes_and_work_that_keeps_failing(cache):
    project = builders.make_project()
    for n in range(2):
        failure = Failure("look", f"trial-{n}", project.pk, 3, "ValueError: no", time.time())
        _record(f"look:{n}", failure)
    heartbeat = ServingHeartbeat(
        unserved=[5, 6],
        breakers=[7],
        work=[
            {"name": "writer", "alive": True, "failures": 4, "last_error": "", "silence_seconds": 2.5}
        ],
        issues=[{"project_id": project.pk, "subject": "surface a", "message": "no"}],
    )
    from dataclasses import asdict

    import orjson

    cache.sadd(SERVING, "here:1", "here:2")
    for name in ("here:1", "here:2"):
        cache.set(serving_key(name), orjson.dumps(asdict(heartbeat)), ex=60)
    try:
        samples = scrape()
    finally:
        cache.srem(SERVING, "here:1", "here:2")
        cache.delete(serving_key("here:1"), serving_key("here:2"))
    assert samples['bakeoff_failing_work{work="look"}'] == 2
    assert samples["bakeoff_web_processes"] >= 2
    assert samples['bakeoff_work_silence_seconds{process="here:1",work="writer"}'] == 2.5
    assert samples['bakeoff_work_failures_total{process="here:2",work="writer"}'] == 4
    # Two processes that say the same of one version are one version.
    assert samples["bakeoff_unserved_versions"] >= 2
    assert samples["bakeoff_breakers_versions"] >= 1
    assert samples["bakeoff_config_issues"] >= 1


@pytest.mark.parametrize(
    ("source", "name", "error"),
    [
        ("postgres", "_rows", OperationalError("the server closed the connection")),
        ("cache", "read_buffer", redis.ConnectionError("refused")),
        ("broker", "read_queues", platform_metrics.BrokerError("it does not answer")),
    ],
)
def test_a_server_that_is_away_is_named_and_the_others_answer(cache, monkeypatch, source, name, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(platform_metrics, name, fail)
    samples = scrape()
    up = {one: samples[f'bakeoff_source_up{{source="{one}"}}'] for one in platform_metrics.SOURCES}
    assert up == {one: float(one != source) for one in platform_metrics.SOURCES}
    assert ("bakeoff_database_bytes" in samples) == (source != "postgres")
    assert ("bakeoff_spill_entries" in samples) == (source != "cache")
    assert ('bakeoff_queue_messages{queue="train"}' in samples) == (source != "broker")
