"""Servers start on whatever their last run left: orphans, cut locks, a broken log."""

from __future__ import annotations

import shutil
import signal
import tempfile
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from bakeoff.embedded.postgres import start_postgres
from bakeoff.embedded.processes import is_running
from bakeoff.embedded.valkey import start_valkey
from bakeoff.environment import read_environment, run_folder_of
from tests.support.waiting import wait_until


@pytest.fixture
def environment():
    """Of a home of its own; whatever runs there is ended."""
    home = Path(tempfile.mkdtemp(prefix="bf-"))
    run = run_folder_of(home)
    (home / "logs").mkdir()
    (home / "cache").mkdir()
    run.mkdir(exist_ok=True)
    yield replace(
        read_environment(),
        home=home,
        database_url=f"postgresql:///bakeoff?host={run}&user=bakeoff",
        redis_url=f"unix://{run}/valkey.sock?db=0",
    )
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(home):
                process.kill()
        except (psutil.Error, OSError):
            continue
    shutil.rmtree(home, ignore_errors=True)


def backends_of(child) -> list[psutil.Process]:
    return psutil.Process(child.pid).children(recursive=True)


def test_postgres_starts_after_its_postmaster_was_killed_under_a_statement(environment):
    first = start_postgres(environment)
    connection = psycopg.connect(environment.database_url, autocommit=True)
    connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    busy = connection.info.backend_pid
    # It computes, so that it does not notice that its postmaster is gone.
    connection.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 100000000000)")
    wait_until(lambda: psutil.Process(busy).cpu_percent(0.05) > 0)
    family = backends_of(first)
    first.process.kill()
    first.process.wait()
    assert is_running(busy)
    second = start_postgres(environment)
    connection.close()
    wait_until(lambda: not any(is_running(one.pid) for one in family))
    with psycopg.connect(environment.database_url) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)

    # A lock that a full disk cut off, and an orphan that is stopped.
    (environment.home / "postgres" / "postmaster.pid").write_text("")
    psutil.Process(second.pid).suspend()
    third = start_postgres(environment)
    assert not second.alive
    third.request_stop()
    third.wait_or_kill(30)


def test_an_interrupted_initdb_is_begun_again(environment):
    """It is made beside its place, so that what is in its place is whole."""
    begun = environment.home / "postgres.new"
    (begun / "base").mkdir(parents=True)
    (begun / "PG_VERSION").write_text("18\n")
    child = start_postgres(environment)
    assert not begun.exists()
    child.request_stop()
    child.wait_or_kill(30)


def test_valkey_starts_with_a_broken_log_and_beside_a_frozen_orphan(environment):
    first = start_valkey(environment)
    with redis.Redis.from_url(environment.redis_url) as client:
        client.set("before", "1")
        client.execute_command("WAITAOF", 1, 0, 5000)
    first.process.kill()
    first.process.wait()
    folder = environment.home / "valkey" / "appendonlydir"
    log = next(folder.glob("*.incr.aof"))
    log.write_bytes(log.read_bytes() + b"\0" * 512 + b"*3\r\n$3\r\nSET\r\n")

    second = start_valkey(environment)
    with redis.Redis.from_url(environment.redis_url) as client:
        assert client.get("before") == b"1"
        client.set("after", "2")
    assert list((environment.home / "valkey").glob("appendonlydir.broken.*"))

    psutil.Process(second.pid).suspend()
    third = start_valkey(environment)
    assert not second.alive
    with redis.Redis.from_url(environment.redis_url) as client:
        assert client.get("after") == b"2"
    third.process.send_signal(signal.SIGTERM)
    third.wait_or_kill(30)
