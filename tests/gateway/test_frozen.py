"""Servers that are there and say nothing; configuration that nobody can follow."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import httpx2
import orjson
import pytest
import redis
from django.db import connection

from bakeoff.accounts.models import ApiKey
from bakeoff.environment import read_environment
from bakeoff.gateway.cache import listening_client, subscribe
from experiments.ingest.spill import STREAM, why_unfit
from experiments.models import Experiment, SavedGroup
from experiments.tasks import drain_spilled_rows
from inference.cache import cache_client
from inference.models import Surface
from tests.support import builders
from tests.support.fast_lane import FastLane, test_database_url
from tests.support.faults.platform import free_port
from tests.support.outages import ASK, click
from tests.support.waiting import wait_until


def test_a_frozen_redis_holds_nobody_up(outage, shop, rows):
    outage.redis.freeze()
    answer = outage.lane.post("/v1/recommend", ASK, shop.public)
    assert (answer.status_code, answer.json()["fallback"]) == (200, "default_list")
    assert outage.lane.post("/v1/events", click(1), shop.public).json()["durability"] == "committed"
    ready = outage.lane.client.get("/readyz")
    assert (ready.status_code, ready.json()["redis"]) == (200, False)
    outage.redis.thaw()
    # Not `?strict`: malformed rows that other tests left in this database would keep it at 503.
    wait_until(lambda: outage.lane.client.get("/readyz").json()["redis"])


def test_nobody_waits_for_ever_to_subscribe_at_a_frozen_redis(outage):
    outage.redis.freeze()

    async def listen() -> Exception | None:
        client = listening_client(outage.environment.redis_url)
        try:
            await anext(subscribe(client, "a-channel"))
        except (redis.RedisError, OSError) as error:
            return error
        return None

    async def listen_in_time() -> Exception | None:
        async with asyncio.timeout(60) as limit:
            error = await listen()
        assert not limit.expired()
        return error

    assert asyncio.run(listen_in_time()) is not None


def test_a_frozen_postgres_is_an_outage(outage, shop, rows):
    outage.postgres.freeze()
    answer = outage.lane.post("/v1/events", click(1), shop.public)
    assert (answer.status_code, answer.json()["durability"]) == (202, "spilled")
    ready = outage.lane.client.get("/readyz")
    assert (ready.status_code, ready.json()["postgres"]) == (200, False)
    assert outage.lane.client.get("/readyz?strict").status_code == 503
    outage.postgres.thaw()
    drain_spilled_rows()
    assert rows("event", shop.project) == 1


def test_what_was_said_not_to_be_kept_is_not_drained_later(outage, shop, rows):
    """The command lies unread in a frozen server's socket, and runs when it thaws."""
    outage.postgres.cut()
    outage.redis.freeze()
    event = {key: value for key, value in click(1).items() if key != "event_id"}
    answer = outage.lane.post("/v1/events", event, shop.public)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "cannot_commit")
    outage.redis.thaw()
    wait_until(lambda: cache_client().xlen(STREAM) == 1)
    wait_until(lambda: bool(list(cache_client().scan_iter("bakeoff:spill:taken-back:*"))))
    outage.postgres.mend()
    drain_spilled_rows()
    assert (rows("event", shop.project), cache_client().xlen(STREAM)) == (0, 0)


def test_without_an_append_only_file_nothing_is_spilled(outage, shop, rows):
    cache_client().config_set("appendonly", "no")
    try:
        ready = outage.lane.client.get("/readyz").json()
        outage.postgres.cut()
        answer = outage.lane.post("/v1/events", click(1), shop.public)
        unready = outage.lane.client.get("/readyz")
    finally:
        cache_client().config_set("appendonly", "yes")
    assert (ready["ready"], ready["spill"]) == (True, False)
    assert ready["no_spill"].startswith("appendonly == no, must be yes")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "cannot_commit")
    assert unready.status_code == 503
    assert cache_client().xlen(STREAM) == 0


@pytest.mark.parametrize(
    ("info", "why"),
    [
        ({"redis_version": "7.0.15", "aof_enabled": 1}, "redis_version == 7.0.15, must be 7.2"),
        ({"redis_version": "6.2.1", "aof_enabled": 1}, "redis_version == 6.2.1, must be 7.2"),
        ({"redis_version": "7.2.4", "aof_enabled": 0}, "appendonly == no"),
        (
            {"redis_version": "8.0.0", "aof_enabled": 1, "maxmemory_policy": "allkeys-lru"},
            "maxmemory-policy == allkeys-lru",
        ),
        ({"redis_version": "7.2.4", "aof_enabled": 1, "maxmemory_policy": "volatile-ttl"}, ""),
        ({"redis_version": "7.0.0", "valkey_version": "9.0.0", "aof_enabled": 1}, ""),
        ({"redis_version": "10.0", "aof_enabled": 1}, ""),
    ],
)
def test_which_redis_can_hold_a_spill(info, why):
    assert why_unfit(info).startswith(why) if why else why_unfit(info) == ""


def test_sigterm_ends_a_process_whose_servers_are_frozen(outage, shop):
    environment = {
        **os.environ,
        "DATABASE_URL": outage.environment.database_url,
        "REDIS_URL": outage.environment.redis_url,
    }
    port = free_port()
    command = [
        sys.executable, "-m", "uvicorn", "bakeoff.asgi:application", "--port", str(port),
        "--log-level", "warning", "--timeout-graceful-shutdown", "1",
    ]  # fmt: skip
    process = subprocess.Popen(command, env=environment)
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:

            def ready() -> bool:
                assert process.poll() is None
                try:
                    return client.get("/readyz").status_code == 200
                except httpx2.HTTPError:
                    return False

            wait_until(ready)
            outage.postgres.freeze()
            outage.redis.freeze()
            headers = {"Authorization": f"Bearer {shop.public}"}
            with pytest.raises(httpx2.TimeoutException):
                client.post("/v1/events", json=click(1), headers=headers, timeout=0.5)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    finally:
        process.kill()
        process.wait()


# Configuration: what nobody can follow is its own trouble.


def heartbeat(lane) -> dict:
    return orjson.loads(cache_client().get(f"serving:{lane.gateway._config.process}"))


def write(statement: str, *values) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


DEEP = '{"a":' * 3000 + "1" + "}" * 3000


@pytest.fixture
def other(tables):
    """Somebody else's shop, in the same process."""
    return builders.make_shop()


@contextmanager
def without_rule(table: str, name: str, *, repair: str):
    """Let rows hold what a constraint forbids, as tables did before they had it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", [name])
        (rule,) = cursor.fetchone()
    write(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    yield
    write(repair)
    write(f"ALTER TABLE {table} ADD CONSTRAINT {name} {rule}")


@pytest.fixture
def any_time(tables):
    """Epochs with any time."""
    repair = "UPDATE experiments_epoch SET started_at = now() WHERE started_at > '9999-01-01' OR started_at < '1000-01-01'"
    with without_rule("experiments_epoch", "epoch_times_are_readable", repair=repair):
        yield


@pytest.fixture
def any_origin(tables):
    """Keys with any JSON in place of origins."""
    repair = "UPDATE accounts_apikey SET allowed_origins = '[]'"
    with without_rule("accounts_apikey", "allowed_origins_are_origins", repair=repair):
        yield


@pytest.mark.parametrize("value", ["[5]", '["http://a", null]', "[[]]"])
def test_a_malformed_key_serves_on_as_it_was_and_touches_no_other(lane, shop, other, any_origin, value):
    write(
        "UPDATE accounts_apikey SET allowed_origins = %s WHERE project_id = %s AND kind = 'pk'",
        value,
        shop.project.pk,
    )
    _, new = ApiKey.make(other.project, "pk", name="new")
    ApiKey.objects.filter(project=other.project, kind="sk").update(revoked_at=builders.now())
    lane.refresh()
    assert lane.post("/v1/events", click(1), new).status_code == 202
    assert lane.post("/v1/events", click(1), other.secret).status_code == 401
    assert lane.post("/v1/events", click(1), shop.public).status_code == 202
    issues = [one for one in heartbeat(lane)["issues"] if one["project_id"] == shop.project.pk]
    assert len(issues) == 1
    assert "allowed_origins" in issues[0]["message"]
    assert lane.client.get("/readyz").status_code == 200
    assert lane.client.get("/readyz?strict").json()["rows"] is False


def test_a_malformed_list_of_a_surface_keeps_its_last_value(lane, shop, other):
    for column, value in (("static_list", "5"), ("liked_events", '[">>>"]'), ("credited_events", "{}")):
        write(
            f"UPDATE inference_surface SET {column} = %s WHERE project_id = %s", value, shop.project.pk
        )
    lane.refresh()
    surface = lane.gateway._config.current.surfaces[shop.project.pk]["home-feed"]
    assert surface.static_list == tuple(shop.items[-3:])
    assert [rule.name for rule in surface.liked] == ["click", "conversion"]
    assert lane.post("/v1/recommend", ASK, shop.public).status_code == 200
    assert len([i for i in heartbeat(lane)["issues"] if i["project_id"] == shop.project.pk]) == 3


@pytest.mark.parametrize(
    ("column", "value"),
    [("condition", DEEP), ("condition", "5"), ("forced_units", "[1]"), ("prerequisites", "[{}]")],
)
def test_a_malformed_experiment_runs_on_and_its_kill_switch_works(lane, shop, column, value):
    experiment = shop.run_experiment()
    lane.refresh()
    first = lane.post("/v1/recommend", ASK, shop.public).json()
    assert first["experiment"] == experiment.key
    write(f"UPDATE experiments_experiment SET {column} = %s WHERE id = %s", value, experiment.pk)
    lane.refresh()
    assert lane.post("/v1/recommend", ASK, shop.public).json()["variant"] == first["variant"]
    Experiment.objects.filter(pk=experiment.pk).update(enabled=False)
    lane.refresh()
    assert lane.post("/v1/recommend", ASK, shop.public).json()["variant"] is None


def test_a_group_that_is_nested_too_deep_touches_nobody(lane, shop, other):
    SavedGroup.objects.create(project=other.project, key="deep", values=["u"])
    write(
        "UPDATE experiments_savedgroup SET condition = %s WHERE project_id = %s", DEEP, other.project.pk
    )
    Surface.objects.filter(pk=shop.surface.pk).update(static_list=["i5"])
    lane.refresh()
    assert lane.gateway._config.current.surfaces[shop.project.pk]["home-feed"].static_list == ("i5",)
    assert lane.client.get("/v1/flags", headers={"X-API-Key": other.secret}).status_code == 200


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "20000-01-01"])
def test_a_time_that_python_has_not_touches_no_other_project(lane, shop, other, any_time, moment):
    experiment = shop.run_experiment()
    lane.refresh()
    first = lane.post("/v1/recommend", ASK, shop.public).json()
    write(
        "UPDATE experiments_epoch SET started_at = %s WHERE experiment_id = %s", moment, experiment.pk
    )
    Surface.objects.filter(project=other.project).update(static_list=["i5"])
    lane.refresh()
    live = lane.gateway._config.current
    assert {s.static_list for s in live.surfaces[other.project.pk].values()} == {("i5",)}
    assert lane.post("/v1/recommend", ASK, shop.public).json()["variant"] == first["variant"]
    assert {shop.project.pk, other.project.pk} & {i.project_id for i in live.issues} == {
        shop.project.pk
    }


def test_a_process_starts_beside_a_malformed_row(tables, shop, other, any_origin):
    shop.run_experiment()
    write("UPDATE experiments_experiment SET condition = '5' WHERE project_id = %s", shop.project.pk)
    write("UPDATE accounts_apikey SET allowed_origins = '[5]' WHERE project_id = %s", other.project.pk)
    lane = FastLane(replace(read_environment(), database_url=test_database_url()))
    try:
        assert lane.client.get("/readyz").status_code == 200
        assert lane.post("/v1/recommend", ASK, shop.public).status_code == 200
        assert lane.post("/v1/recommend", ASK, other.public).status_code == 401
    finally:
        lane.stop()


def test_a_condition_is_bounded_when_it_is_saved(lane, shop):
    def put(key: str, condition) -> httpx2.Response:
        body = {"key": key, "condition": condition}
        headers = {"X-API-Key": shop.secret}
        return lane.client.put("/v1/groups", json=body, headers=headers)

    # Groups that name groups: small texts, and together more than anybody can evaluate.
    assert put("g0", {"a": 1}).status_code == 200
    answers = []
    for n in range(1, 10):
        inner = [{"$savedGroup": {"id": f"g{n - 1}"}}] * 6
        answers.append(put(f"g{n}", {"$or": inner}))
    assert answers[0].status_code == 200
    assert answers[-1].status_code == 422
    refused = next(answer for answer in answers if answer.status_code == 422)
    assert "more than 10000 parts" in refused.json()["error"]["message"]
