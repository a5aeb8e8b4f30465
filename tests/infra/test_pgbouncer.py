"""PgBouncer in transaction mode in front of PostgreSQL 15: every transaction may get another server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx2
import psycopg
import pytest

from bakeoff.gateway.database import Connector
from experiments.ingest.spill import REFUSED
from tests.support.debian_servers import postgres_url
from tests.support.faults.load import Load
from tests.support.faults.platform import PlatformUnderTest
from tests.support.servers import WARM


@pytest.fixture
def pooled(folder, postgres15, pgbouncer):
    """A platform that knows its database through the pooler only."""
    variables = {"DATABASE_URL": postgres_url(pgbouncer), "BAKEOFF_POOLED": "1"}
    platform = PlatformUnderTest(folder / "home", own_disk=False, variables=variables, interpreter=WARM)
    platform.start()
    yield platform
    platform.close()


def test_everything_works_behind_a_pooler_and_over_its_restart(pooled, postgres15, pgbouncer):
    secret = {"X-API-Key": pooled.secret}
    items = [f"i{n}" for n in range(20)]
    with httpx2.Client(base_url=pooled.url, headers=secret, timeout=60) as client:
        body = {"items": [{"item_id": item, "title": item} for item in items]}
        assert client.put("/v1/items", json=body).status_code == 200
        assert client.put("/v1/surfaces", json={"key": "feed", "static_list": items}).status_code == 200
        ask = {"surface": "feed", "unit_id": "u", "k": 1}
        pooled.until(lambda: client.post("/v1/recommend", json=ask).status_code == 200, "served")

        def send(n: int) -> httpx2.Response:
            # Ids of two kinds: the unit is looked up and linked beside the writing.
            ids = {"anonymous_id": f"a{n % 7}", "user_id": f"p{n % 7}"}
            return client.post("/v1/events", json={"event_id": f"e{n}", "name": "click", **ids})

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(send, range(300)))
        assert {answer.status_code for answer in answers} == {202}, answers[0].text
        assert {answer.json()["durability"] for answer in answers} == {"committed"}
        load = Load(pooled.url, pooled.public, clients=6)
        load.start()
        for _ in range(3):
            pooled.until(lambda: len(load.ledger.acknowledged["events"]) > 50, "load")
            pgbouncer.restart()
            pooled.until(
                lambda: client.get("/readyz").json()["postgres"], "PostgreSQL is reached again"
            )
        ledger = load.stop()
        pooled.wait_until_drained()
        assert client.get("/v1/units/u").status_code in {200, 404}  # Django, through the pooler
    assert not ledger.unexpected, ledger.unexpected
    assert pooled.cache().xlen(REFUSED) == 0
    with psycopg.connect(postgres_url(postgres15)) as connection:
        rows = connection.execute(
            "SELECT event_id, count(*) FROM experiments_event GROUP BY 1"
        ).fetchall()
        slates = connection.execute("SELECT recommendation_id::text FROM experiments_slate").fetchall()
    stored = dict(rows)
    assert set(stored.values()) == {1}
    assert {f"e{n}" for n in range(300)} <= stored.keys()
    assert ledger.acknowledged["events"] <= stored.keys()
    assert ledger.acknowledged["slates"] <= {slate for (slate,) in slates}


@pytest.mark.parametrize(
    ("pooled", "line"), [("1", "ok      behind a pooler"), ("", "ISSUE   behind a pooler: set")]
)
def test_the_doctor_finds_the_pooler(folder, pgbouncer, pooled, line):
    variables = {"DATABASE_URL": postgres_url(pgbouncer), "BAKEOFF_POOLED": pooled}
    command = [sys.executable, "-m", "bakeoff", "doctor"]
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    assert line in done.stdout


def test_the_fast_lane_finds_the_pooler_by_itself(postgres15, pgbouncer):
    async def prepares(url: str) -> bool:
        connector = Connector(url)
        connection = await connector.connect(writes=False)
        threshold = connection.prepare_threshold
        await connection.close()
        return threshold is not None

    assert asyncio.run(prepares(postgres_url(postgres15)))
    assert not asyncio.run(prepares(postgres_url(pgbouncer)))
