"""Somebody else's PostgreSQL 15 in place of the bundled one."""

from __future__ import annotations

import httpx2
import psycopg

from tests.support.debian_servers import postgres_url
from tests.support.faults.platform import PlatformUnderTest
from tests.support.servers import WARM


def test_a_platform_on_postgres_15_keeps_events(folder, postgres15):
    platform = PlatformUnderTest(
        folder / "home",
        own_disk=False,
        variables={"DATABASE_URL": postgres_url(postgres15)},
        interpreter=WARM,
    )
    try:
        platform.start()
        answer = httpx2.post(
            f"{platform.url}/v1/events",
            json={"event_id": "one", "name": "click", "unit_id": "u1"},
            headers={"Authorization": f"Bearer {platform.secret}"},
            timeout=20,
        )
    finally:
        platform.close()
    assert answer.status_code == 202, answer.text
    assert answer.json()["durability"] == "committed"
    with psycopg.connect(postgres_url(postgres15)) as connection:
        stored = connection.execute("SELECT unit_id FROM experiments_event").fetchall()
    assert stored == [("u1",)]
