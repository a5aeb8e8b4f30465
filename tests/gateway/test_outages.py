"""PostgreSQL away, Redis away, both away: real servers behind wires that are cut."""

from __future__ import annotations

from django.db import connection

from experiments.ingest.spill import REFUSED, STREAM
from experiments.tasks import drain_spilled_rows
from inference.cache import cache_client
from tests.support.outages import ASK, click
from tests.support.waiting import wait_until


def test_postgres_away_events_spill_and_drain_once(outage, shop, rows):
    outage.postgres.cut()
    answers = [outage.lane.post("/v1/events", click(n), shop.public) for n in range(5)]
    assert [answer.status_code for answer in answers] == [202] * 5
    assert {answer.json()["durability"] for answer in answers} == {"spilled"}
    assert rows("event", shop.project) == 0
    outage.postgres.mend()
    assert outage.lane.post("/v1/events", click(0), shop.public).status_code == 202
    drain_spilled_rows()
    drain_spilled_rows()
    assert rows("event", shop.project) == 5
    assert cache_client().xlen(STREAM) == 0


def test_postgres_away_recommendations_answer_and_their_slates_are_kept(outage, shop, rows):
    outage.postgres.cut()
    answer = outage.lane.post("/v1/recommend", ASK, shop.public)
    assert answer.status_code == 200
    assert [item["item_id"] for item in answer.json()["items"]] == ["i0", "i1", "i2"]
    drain_spilled_rows()
    assert rows("slate", shop.project) == 1


def test_redis_away_everything_is_committed(outage, shop, rows):
    outage.redis.cut()
    assert outage.lane.post("/v1/recommend", ASK, shop.public).json()["fallback"] == "default_list"
    answer = outage.lane.post("/v1/events", click(1), shop.public)
    assert answer.json()["durability"] == "committed"
    assert (rows("slate", shop.project), rows("event", shop.project)) == (1, 1)
    assert outage.lane.client.get("/readyz").json()["redis"] is False


def test_what_was_bought_while_redis_was_away_is_hidden_when_it_is_back(outage, shop):
    def shown() -> list[str]:
        # Any action of any unit takes along what was missed.
        outage.lane.post("/v1/events", click(2) | {"unit_id": "u2"}, shop.public)
        answer = outage.lane.post("/v1/recommend", ASK, shop.public)
        return [item["item_id"] for item in answer.json()["items"]]

    outage.redis.cut()
    purchase = {"name": "purchase", "unit_id": "u1", "item_id": "i0"}
    assert outage.lane.post("/v1/events", purchase, shop.public).status_code == 202
    outage.redis.mend()
    wait_until(lambda: "i0" not in shown())


def test_both_away_events_are_refused_and_recommendations_say_so(outage, shop, rows):
    outage.postgres.cut()
    outage.redis.cut()
    answer = outage.lane.post("/v1/events", click(1), shop.public)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "cannot_commit")
    assert int(answer.headers["retry-after"]) > 0
    recommended = outage.lane.post("/v1/recommend", ASK, shop.public)
    assert recommended.status_code == 200
    assert recommended.json()["recorded"] is False
    assert len(recommended.json()["items"]) == 3
    assert outage.lane.client.get("/readyz").status_code == 503
    outage.postgres.mend()
    outage.redis.mend()
    wait_until(lambda: outage.lane.post("/v1/events", click(1), shop.public).status_code == 202)
    drain_spilled_rows()  # PostgreSQL may have been mended a moment after Redis
    assert rows("event", shop.project) == 1


def test_what_postgres_refuses_fails_alone(outage, shop, rows):
    """A value that passes our checks and not the database's must not take others down with it."""
    from concurrent.futures import ThreadPoolExecutor

    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE experiments_event ADD CONSTRAINT no_poison CHECK (name <> 'poison')"
        )
    try:
        poison = {**click(7), "name": "poison"}
        bodies = [poison if n == 7 else click(n) for n in range(16)]
        with ThreadPoolExecutor(8) as pool:
            answers = list(
                pool.map(lambda body: outage.lane.post("/v1/events", body, shop.public), bodies)
            )
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE experiments_event DROP CONSTRAINT no_poison")
    assert sorted(answer.status_code for answer in answers) == [202] * 15 + [400]
    assert rows("event", shop.project) == 15


def test_a_spilled_row_that_is_refused_holds_nobody_up(outage, shop, rows):
    outage.postgres.cut()
    for body in ({**click(0), "name": "poison"}, click(1)):
        assert outage.lane.post("/v1/events", body, shop.public).json()["durability"] == "spilled"
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE experiments_event ADD CONSTRAINT no_poison CHECK (name <> 'poison')"
        )
    try:
        drain_spilled_rows()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE experiments_event DROP CONSTRAINT no_poison")
    assert rows("event", shop.project) == 1
    assert cache_client().xlen(STREAM) == 0
    assert cache_client().xlen(REFUSED) == 1


def test_without_workers_serving_goes_on(outage, shop, rows):
    """No Celery worker runs in this test: everything is served and kept, only nothing is refreshed."""
    assert outage.lane.post("/v1/recommend", ASK, shop.public).status_code == 200
    assert outage.lane.post("/v1/events", click(1), shop.public).status_code == 202
    assert (rows("slate", shop.project), rows("event", shop.project)) == (1, 1)
