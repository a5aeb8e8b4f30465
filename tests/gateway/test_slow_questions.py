"""A slow question ends in time, and holds up nobody but its own kind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

import httpx2
import psycopg
import pytest
from django.db import OperationalError, connection

from bakeoff.gateway.http.thread_pools import Pools
from bakeoff.paths import POOLS
from tests.support import builders
from tests.support.fast_lane import test_database_url

LIMITED = """
import django; django.setup()
from bakeoff.statement_timeouts import limit_statements
from django.db import connection
limit_statements(0.2)
with connection.cursor() as cursor:
    cursor.execute("SHOW statement_timeout")
    print(cursor.fetchone()[0])
    try:
        cursor.execute("SELECT pg_sleep(60)")
    except Exception as error:
        print(type(error.__cause__).__name__)
"""


def test_a_statement_of_a_limited_process_ends_in_time(tables):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED],
        env={**os.environ, "DATABASE_URL": test_database_url()},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["200ms", "QueryCanceled"]


def test_a_question_that_takes_too_long_is_answered_with_what_to_do(shop):
    """A lock is as slow as a scan."""
    from django.test import Client

    with psycopg.connect(test_database_url()) as other, connection.cursor() as cursor:
        other.execute("LOCK TABLE experiments_event IN ACCESS EXCLUSIVE MODE")
        cursor.execute("SET statement_timeout = '100ms'")
        try:
            answer = Client().get("/v1/activity", headers={"Authorization": f"Bearer {shop.secret}"})
        finally:
            cursor.execute("SET statement_timeout = 0")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "too_slow"


def test_slow_paths_do_not_hold_up_those_of_another_pool():
    """More slow questions than one pool has threads: the door answers all the same."""
    from a2wsgi import WSGIMiddleware

    started, release = threading.Semaphore(0), threading.Event()

    def application(environ, start_response):
        if environ["PATH_INFO"].startswith(("/v1/", "/sign-in/organization/")):
            started.release()
            release.wait(60)
        start_response("200 OK", [("content-type", "text/plain")])
        return [environ["PATH_INFO"].encode()]

    def workers(count):
        return WSGIMiddleware(application, workers=count)

    pools = Pools(workers(1), {prefixes: workers(2) for prefixes in POOLS})

    async def ask() -> list[str]:
        transport = httpx2.ASGITransport(app=pools)
        async with httpx2.AsyncClient(transport=transport, base_url="http://here") as client:
            waiting = ["/v1/activity", "/sign-in/organization/"] * 6
            slow = [asyncio.create_task(client.get(path)) for path in waiting]
            for _ in range(4):
                await asyncio.to_thread(started.acquire)
            quick = [(await client.get(path)).text for path in ("/sign-in/", "/experiments/")]
            assert not any(task.done() for task in slow)
            release.set()
            await asyncio.gather(*slow)
        return quick

    assert asyncio.run(ask()) == ["/sign-in/", "/experiments/"]


def test_marking_units_that_takes_too_long_is_left_to_the_reconciler(tables):
    from experiments.actions.mark_units import mark_soon, surfaces_to_mark

    shop = builders.make_shop()
    with psycopg.connect(test_database_url()) as other, connection.cursor() as cursor:
        other.execute("LOCK TABLE experiments_event IN ACCESS EXCLUSIVE MODE")
        cursor.execute("SET statement_timeout = '100ms'")
        try:
            mark_soon(surface=shop.surface)  # what was decided stands
            with pytest.raises(OperationalError):
                cursor.execute("SELECT count(*) FROM experiments_event")
        finally:
            cursor.execute("SET statement_timeout = 0")
    assert shop.surface in surfaces_to_mark()
