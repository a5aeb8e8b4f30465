"""Somebody else's PostgreSQL 15 in place of the bundled one."""

from __future__ import annotations

import os
import subprocess
import sys

import httpx2
import psycopg

from tests.support.backups import restore, servers_of
from tests.support.debian_servers import postgres_url
from tests.support.faults.platform import PlatformUnderTest
from tests.support.first_starts import check_ways
from tests.support.servers import WARM
from tests.support.waiting import wait_until

UNITS = "SELECT unit_id FROM experiments_event"


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
        assert answer.status_code == 202, answer.text
        # On a busy machine a commit that takes long is spilled, and drained later.
        wait_until(lambda: stored_units(postgres15) == [("u1",)], "the event is stored", seconds=60)
        backup = folder / "backup"
        done = subprocess.run(
            [sys.executable, "-m", "bakeoff", "backup", backup], check=False, capture_output=True, text=True,
            env=os.environ | {"BAKEOFF_HOME": str(platform.home), "DATABASE_URL": postgres_url(postgres15)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    finally:
        platform.close()
    # A later minor of its major marks its columns, which the bundled one refuses.
    restored = restore(backup, folder / "r")
    assert restored.returncode == 0, restored.stderr
    with servers_of(folder / "r") as url, psycopg.connect(url) as connection:
        assert connection.execute(UNITS).fetchall() == [("u1",)]


def test_a_first_start_makes_on_15_what_all_migrations_make(folder, postgres15):
    def make(name: str) -> str:
        with psycopg.connect(postgres_url(postgres15, "postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return postgres_url(postgres15, name)

    check_ways(make, folder)


def stored_units(server) -> list[tuple]:
    with psycopg.connect(postgres_url(server)) as connection:
        return connection.execute(UNITS).fetchall()
