"""Redis by Sentinel: the primary is killed, its replica takes over, and the platform goes on with it."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys

import pytest
import redis
from celery import Celery
from django.db import connection

from bakeoff.environment import read_environment
from bakeoff.gateway.cache import HOT_SECONDS, BoundedRedis
from bakeoff.heartbeat import Heart
from experiments.ingest.spill import STREAM, drain
from experiments.models import Event
from inference import redis_clients
from inference.redis_clients import async_redis_client, redis_client
from inference.serving.beats import read_beats, read_ended_tasks
from tests.support import builders
from tests.support.fast_lane import test_database_url
from tests.support.outages import ASK, Outage, click
from tests.support.sentinels import SentinelGroup, TlsGroup
from tests.support.waiting import wait_until

TICK = "experiments.tasks.count_waiting_usage"
WORKER = "worker@sentinels"


@pytest.fixture
def group(folder):
    group = SentinelGroup(folder)
    group.wait_until_whole()
    yield group
    group.close()


def kill_and_wait(group: SentinelGroup) -> redis.Redis:
    """Kill the primary; return a client of the next one, as soon as that takes writes."""
    group.kill_primary()
    wait_until(lambda: group.role(group.replica) == "master", "the replica is promoted")
    client = redis_client(group.url, socket_timeout=5)
    wait_until(lambda: _takes_writes(client), "clients reach the new primary")
    assert client.config_get("port")["port"] == str(group.replica.port)
    return client


def _takes_writes(client: redis.Redis) -> bool:
    try:
        return bool(client.set("here", 1))
    except redis.RedisError:
        return False


def test_events_and_recommendations_go_on_beside_the_next_primary(tables, group):
    shop = builders.make_shop()
    outage = Outage(redis_url=group.url)
    post = outage.lane.post
    acknowledged = []

    def send(durability: str) -> bool:
        number = len(acknowledged)
        answer = post("/v1/events", click(number), shop.public)
        if answer.status_code != 202:
            return False
        acknowledged.append(f"e{number}")
        return answer.json()["durability"] == durability

    def shown() -> list[str]:
        answer = post("/v1/recommend", ASK, shop.public)
        assert answer.status_code == 200
        return [item["item_id"] for item in answer.json()["items"]]

    try:
        assert send("committed")
        purchase = {"name": "purchase", "unit_id": "u1", "item_id": "i0"}
        assert post("/v1/events", purchase, shop.public).status_code == 202
        wait_until(lambda: "i0" not in shown(), "what was bought is hidden by the first primary")
        wait_until(lambda: group_offset(group) == 0, "the replica has it")
        group.kill_primary()
        # While there is no primary, PostgreSQL takes every event, and answers go on.
        while group.role(group.replica) != "master":
            assert send("committed")
            assert len(shown()) == 3
        wait_until(lambda: "i0" not in shown(), "the next primary says what was bought")
        assert outage.lane.client.get("/readyz").json()["redis"] is True
        outage.postgres.cut()
        wait_until(lambda: send("spilled"), "the next primary takes what spills")
        outage.postgres.mend()
        client = redis_client(group.url)
        assert client.xlen(STREAM) >= 1
        while drain(client, connection.connection):
            continue
        stored = set(Event.objects.filter(project=shop.project).values_list("event_id", flat=True))
        assert set(acknowledged) <= stored
    finally:
        outage.stop()


def group_offset(group: SentinelGroup) -> int:
    """Bytes that the replica is behind."""
    with redis.Redis(port=group.primary.port) as client:
        about = client.info("replication")
    return about["master_repl_offset"] - about["slave0"]["offset"]


def test_a_worker_takes_tasks_from_the_next_primary(tables, group):
    variables = {"REDIS_URL": group.url, "DATABASE_URL": test_database_url()}
    inherited = {name: value for name, value in os.environ.items() if name != "BROKER_URL"}
    worker = subprocess.Popen(
        [
            sys.executable, "-m", "celery", "-A", "bakeoff.celery", "worker", "--pool", "solo",
            "--queues", "default", "--loglevel", "WARNING", "--hostname", WORKER,
        ],
        env=inherited | variables,
    )  # fmt: skip
    try:
        first = redis_client(group.url, socket_timeout=5)
        wait_until(lambda: WORKER in {one.beat.name for one in read_beats(first)}, "the worker beats")
        app = sender(group.url)
        app.send_task(TICK)
        wait_until(lambda: TICK in read_ended_tasks(first), "a task of the first primary")
        client = kill_and_wait(group)
        client.delete("bakeoff:beats", "bakeoff:tasks")
        wait_until(lambda: _sends(app), "a message is sent to the next primary")
        wait_until(lambda: WORKER in {one.beat.name for one in read_beats(client)}, "it beats there")
        wait_until(lambda: TICK in read_ended_tasks(client), "a task of the next primary")
    finally:
        worker.terminate()
        worker.wait(60)


def sender(url: str) -> Celery:
    """An application of Celery as a web process has it, by the settings."""
    with pytest.MonkeyPatch.context() as variables:
        variables.setenv("REDIS_URL", url)
        environment = read_environment()
    app = Celery("sender", broker=environment.broker_url)
    app.conf.update(
        broker_transport_options={"socket_timeout": 5, **environment.broker_options},
        broker_use_ssl=environment.broker_tls,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0.2},
        task_default_queue="default",
    )
    return app


def _sends(app: Celery) -> bool:
    try:
        app.send_task(TICK)
    except Exception:  # noqa: BLE001  each transport raises its own
        return False
    return True


def test_a_primary_that_comes_back_is_a_replica_and_takes_no_writes(tables, group):
    heart = Heart(group.url, "heart@sentinels")
    heart.start()
    try:
        before = redis_client(group.url, socket_timeout=5)
        wait_until(lambda: "heart@sentinels" in {one.beat.name for one in read_beats(before)}, "a beat")
        client = kill_and_wait(group)
        group.primary.start()
        wait_until(lambda: group.role(group.primary) == "slave", "sentinels demote it")
        client.delete("bakeoff:beats")
        wait_until(lambda: "heart@sentinels" in {one.beat.name for one in read_beats(client)}, "a beat")
        assert before.set("here", 2)
        assert client.get("here") == b"2"
    finally:
        heart.stop()


@pytest.mark.parametrize("is_silent", [False, True])
def test_with_the_first_sentinel_away_the_hot_way_has_the_cache(group, is_silent):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing
        away = silent.getsockname()[1] if is_silent else 1
        url = group.url.replace("sentinel://", f"sentinel://127.0.0.1:{away},")

        async def ping() -> bool:
            client = BoundedRedis.of(url, HOT_SECONDS)
            try:
                return bool(await client.ping())
            finally:
                await client.aclose()

        assert [asyncio.run(ping()) for _ in range(5)] == [True] * 5
        assert _sends(sender(url))


def test_without_a_sentinel_that_answers_it_is_one_sentence(folder):
    variables = {"REDIS_URL": "sentinel://127.0.0.1:1,127.0.0.1:2/bakeoff", "BAKEOFF_HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "bakeoff", "config", "check"],
        env={**os.environ, **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    (line,) = (one for one in (done.stdout + done.stderr).splitlines() if "REDIS_URL" in one)
    assert line == "REDIS_URL: No sentinel of 127.0.0.1:1, 127.0.0.1:2 names a primary of 'bakeoff'."
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("scheme", "options", "seconds"),
    [
        ("sentinels", {"socket_timeout": HOT_SECONDS}, 0.1),  # the next must be reached in time, too
        ("sentinels", {"socket_timeout": 1.0}, 0.4),
        ("sentinels", {"socket_connect_timeout": 5.0}, 0.5),
        ("sentinels", {}, 0.5),
        ("sentinel", {"socket_timeout": 5.0}, 0.1),
    ],
)
def test_over_tls_a_sentinel_has_the_longer_the_more_time_its_client_has(scheme, options, seconds):
    url = f"{scheme}://127.0.0.1:1/bakeoff"
    for client in (
        redis_client(url, **options), async_redis_client(url, redis.asyncio.Redis, **options)
    ):  # fmt: skip
        (sentinel,) = client.connection_pool.sentinel_manager.sentinels
        limits = sentinel.connection_pool.connection_kwargs
        assert limits["socket_timeout"] == pytest.approx(seconds)
        assert limits["socket_connect_timeout"] == pytest.approx(seconds)


def test_over_tls_the_certificates_of_sentinel_and_server_are_checked(folder, monkeypatch):
    monkeypatch.setattr(redis_clients, "SENTINEL_SECONDS", 5.0)  # a busy machine is no failure
    group = TlsGroup(folder)
    absence = f"No sentinel of 127.0.0.1:{group.sentinel.port} names a primary of 'bakeoff'"

    async def ping() -> bool:
        client = BoundedRedis.of(group.url(), 5.0)
        try:
            return bool(await client.ping())
        finally:
            await client.aclose()

    try:
        client = redis_client(group.url(), socket_timeout=5)
        wait_until(lambda: _takes_writes(client), "the sentinel names the primary")
        assert client.client_info()["laddr"] == f"127.0.0.1:{group.primary.port}"
        assert asyncio.run(ping())
        app = sender(group.url())
        wait_until(lambda: _sends(app), "a message is sent")
        assert client.llen("default") == 1
        for url in (group.url("other.pem"), group.url(scheme="sentinel")):
            with pytest.raises(redis.ConnectionError) as refused:
                redis_client(url, retry=None).ping()
            assert str(refused.value) == absence
            assert not _sends(sender(url))
        with redis_client(f"{group.url('other.pem')}&ssl_cert_reqs=none") as trusting:
            assert trusting.ping()
    finally:
        group.close()
