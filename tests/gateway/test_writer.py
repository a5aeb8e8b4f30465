"""One request's rows are its own trouble; what is temporary is not refused; nothing ends the writer."""

from __future__ import annotations

import asyncio
import contextlib
import json
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.db import DatabaseError, connection

from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.intake import group_commit
from experiments.ingest.rows import ExclusionRow, Rows
from experiments.ingest.spill import REFUSED, STREAM
from experiments.ingest.statement import Payload
from experiments.tasks import drain_spilled_rows
from inference.cache import cache_client
from tests.support.outages import ASK, click
from tests.support.waiting import wait_until


def deep(body: dict, name: str, depth: int) -> str:
    """The body with a field nested so deep that Python's own writer would give up."""
    return json.dumps(body)[:-1] + f', "{name}": ' + '{"a":' * depth + "{}" + "}" * depth + "}"


def commit(lane, payload) -> None:
    """Hand the writer of a running lane something, past the doors that would refuse it."""
    writer = lane.gateway._writer
    work = writer._commit(payload) if isinstance(payload, Payload) else writer.commit(payload)
    asyncio.run_coroutine_threadsafe(work, lane.loop).result(30)


@contextlib.contextmanager
def altered(change: str, back: str):
    with connection.cursor() as cursor:
        cursor.execute(change)
        try:
            yield cursor
        finally:
            cursor.execute(back)


POISON = """CREATE FUNCTION refuse_poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.name = 'poison' THEN
        RAISE EXCEPTION 'index row size 2800 exceeds maximum 2704' USING ERRCODE = '54000';
    END IF; RETURN NEW; END $$;
    CREATE TRIGGER refuse_poison BEFORE INSERT ON experiments_event
    FOR EACH ROW EXECUTE FUNCTION refuse_poison()"""
NO_POISON = "DROP TRIGGER refuse_poison ON experiments_event; DROP FUNCTION refuse_poison()"


@pytest.fixture
def patient(monkeypatch):
    """Wait long for a new connection: a busy machine's server is not away."""
    monkeypatch.setattr(group_commit, "RECONNECT_PATIENCE_SECONDS", 20.0)


@pytest.mark.parametrize("depth", [253, 2000])
def test_deep_json_is_refused_and_the_next_request_is_not(lane, shop, rows, depth):
    headers = {"Authorization": f"Bearer {shop.public}"}
    for path, body in (
        ("/v1/events", deep(click(1), "properties", depth)),
        ("/v1/recommend", deep(ASK, "context", depth)),
    ):
        assert lane.client.post(path, content=body, headers=headers).status_code == 400
    assert lane.post("/v1/events", click(2), shop.public).status_code == 202
    assert lane.post("/v1/recommend", ASK, shop.public).json().get("recorded", True)
    assert rows("event", shop.project) == 1


def test_rows_that_have_no_json_fail_their_own_request(lane, shop, rows):
    exclusion = ExclusionRow(shop.project.pk, "u\ud800", "bot")
    with pytest.raises(ApiError) as refused:
        commit(lane, Rows(exclusions=[exclusion]))
    assert (refused.value.status, refused.value.code) == (400, "not_storable")
    assert lane.post("/v1/events", click(1), shop.public).status_code == 202


def test_whatever_the_writer_meets_fails_that_batch_alone(lane, shop, rows, caplog):
    status = lane.gateway._supervisor.statuses
    writer = next(one for one in status if one.name == "writer")
    before = writer.failures
    with pytest.raises(ApiError) as failed:
        commit(lane, Payload(("nonsense",), (b"[]",), 0))
    assert failed.value.status == 503
    assert writer.failures == before + 1
    assert "KeyError" in caplog.text
    assert lane.post("/v1/events", click(1), shop.public).json()["durability"] == "committed"
    tasks = {task["name"]: task for task in lane.client.get("/readyz").json()["tasks"]}
    assert tasks["writer"] == {"name": "writer", "alive": True, "failures": before + 1}


def test_work_that_hangs_makes_the_process_unready(lane, shop):
    writer = next(one for one in lane.gateway._supervisor.statuses if one.name == "writer")
    limit, writer.max_silence_seconds = writer.max_silence_seconds, -1.0
    try:
        ready, health = lane.client.get("/readyz"), lane.client.get("/healthz")
    finally:
        writer.max_silence_seconds = limit
    assert (ready.status_code, ready.json()["work"]) == (503, False)
    assert (health.status_code, health.json()) == (503, {"status": "hung", "work": ["writer"]})
    assert lane.client.get("/readyz").status_code == 200


READ_ONLY = (
    "ALTER SYSTEM SET default_transaction_read_only = on",
    "ALTER SYSTEM RESET default_transaction_read_only",
)


def test_a_primary_that_became_read_only_is_an_outage(outage, shop, rows):
    """As in a fail-over: the connection stays, and what it leads to takes no writes any more."""
    assert outage.lane.post("/v1/events", click(0), shop.public).json()["durability"] == "committed"
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = off")  # this session goes on writing
        cursor.execute(READ_ONLY[0])
        try:
            cursor.execute("SELECT pg_reload_conf()")
            wait_until(lambda: not outage.lane.client.get("/readyz").json()["postgres"])
            answers = [outage.lane.post("/v1/events", click(n), shop.public) for n in range(1, 6)]
            slate = outage.lane.post("/v1/recommend", ASK, shop.public)
        finally:
            cursor.execute(READ_ONLY[1])
            cursor.execute("SELECT pg_reload_conf()")
            cursor.execute("RESET default_transaction_read_only")
    assert [(one.status_code, one.json()["durability"]) for one in answers] == [(202, "spilled")] * 5
    assert slate.json().get("recorded", True)
    assert outage.lane.client.get("/readyz").status_code == 200

    def committed() -> bool:
        answer = outage.lane.post("/v1/events", click(9), shop.public)
        return answer.json()["durability"] == "committed"

    wait_until(committed)
    drain_spilled_rows()
    assert (rows("event", shop.project), rows("slate", shop.project)) == (7, 1)
    assert cache_client().xlen(REFUSED) == 0


@pytest.mark.parametrize(
    ("change", "back"),
    [
        (
            "ALTER TABLE experiments_eventid RENAME TO elsewhere",
            "ALTER TABLE elsewhere RENAME TO experiments_eventid",
        ),
        (
            "ALTER TABLE experiments_event RENAME COLUMN claimed_at TO elsewhere",
            "ALTER TABLE experiments_event RENAME COLUMN elsewhere TO claimed_at",
        ),
    ],
)
def test_a_table_that_a_migration_still_has_to_make_is_an_outage(outage, shop, rows, change, back):
    with altered(change, back):
        answer = outage.lane.post("/v1/events", click(1), shop.public)
        with contextlib.suppress(Exception):
            drain_spilled_rows()
    assert (answer.status_code, answer.json()["durability"]) == (202, "spilled")
    drain_spilled_rows()
    assert rows("event", shop.project) == 1
    assert cache_client().xlen(REFUSED) == 0


def test_without_a_spill_temporary_trouble_is_503(outage, shop, rows):
    outage.redis.cut()
    with altered(
        "ALTER TABLE experiments_eventid RENAME TO elsewhere",
        "ALTER TABLE elsewhere RENAME TO experiments_eventid",
    ):
        answer = outage.lane.post("/v1/events", click(1), shop.public)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "cannot_commit")
    assert answer.headers["retry-after"]


@pytest.mark.usefixtures("patient")
def test_rows_that_fail_for_no_reason_of_their_senders_are_put_aside_alone(outage, shop, rows):
    bodies = [{**click(n), "name": "poison"} if n == 7 else click(n) for n in range(16)]
    with altered(POISON, NO_POISON), ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda body: outage.lane.post("/v1/events", body, shop.public), bodies))
    assert {answer.status_code for answer in answers} == {202}
    assert rows("event", shop.project) == 15
    assert cache_client().xlen(STREAM) == 0
    ((_, entry),) = cache_client().xrange(REFUSED)
    assert b"poison" in entry[b"events"]


def test_such_rows_hold_up_no_spilled_ones(outage, shop, rows):
    events = [{**click(n), "name": "poison"} if n == 3 else click(n) for n in range(8)]
    outage.postgres.cut()
    answer = outage.lane.post("/v1/events", {"events": events}, shop.public)
    assert answer.json()["durability"] == "spilled"
    assert outage.lane.post("/v1/events", click(9), shop.public).json()["durability"] == "spilled"
    with altered(POISON, NO_POISON):
        drain_spilled_rows()
    assert rows("event", shop.project) == 8
    assert cache_client().xlen(STREAM) == 0
    ((_, entry),) = cache_client().xrange(REFUSED)
    assert b"poison" in entry[b"events"]
    assert b"54000" in entry[b"why"] or b"2704" in entry[b"why"]


def test_a_full_disk_is_nobodys_fault_although_small_writes_still_work(outage, shop, rows):
    before = cache_client().xlen(REFUSED)
    full = POISON.replace("54000", "53100").replace("'poison'", "'large'")
    with altered(full, NO_POISON):
        answer = outage.lane.post("/v1/events", {**click(1), "name": "large"}, shop.public)
        assert (answer.status_code, answer.json()["durability"]) == (202, "spilled")
        with contextlib.suppress(DatabaseError, psycopg.Error):
            drain_spilled_rows()  # it cannot be written now, and stays where it is
        assert cache_client().xlen(STREAM) == 1
    drain_spilled_rows()
    assert rows("event", shop.project) == 1
    assert cache_client().xlen(REFUSED) == before


def test_an_entry_of_the_spill_that_is_none_of_ours_is_put_aside(outage, shop):
    cache_client().xadd(STREAM, {"events": "[{"})
    cache_client().xadd(STREAM, {"other": "thing"})
    drain_spilled_rows()
    assert (cache_client().xlen(STREAM), cache_client().xlen(REFUSED)) == (0, 2)
