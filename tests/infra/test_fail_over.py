"""Two servers in one URL, as after a fail-over: the one that takes no writes stands first."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import psycopg
import pytest

from bakeoff.gateway.database import Connector
from tests.support.debian_servers import debian_postgres, postgres_url


@pytest.fixture
def demoted(folder):
    """A server that answers and writes nothing."""
    (folder / "demoted").mkdir()
    server = debian_postgres(folder / "demoted")
    with psycopg.connect(postgres_url(server), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        connection.execute("SELECT pg_reload_conf()")
    yield server
    server.stop()


def test_facts_go_to_the_server_that_takes_writes(demoted, postgres15):
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        env={**os.environ, "DATABASE_URL": postgres_url(postgres15)},
        check=True,
    )
    both = postgres_url(postgres15).replace(
        f":{postgres15.port}", f":{demoted.port},127.0.0.1:{postgres15.port}"
    )

    async def port_of(url: str, *, writes: bool) -> int:
        connection = await Connector(url).connect(writes=writes)
        port = connection.info.port
        await connection.close()
        return port

    for writes in (True, False):  # the other may be behind
        assert asyncio.run(port_of(both, writes=writes)) == postgres15.port
    done = subprocess.run(
        [sys.executable, "-m", "bakeoff", "config", "check"],
        env={**os.environ, "DATABASE_URL": both}, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "DATABASE_URL: synchronous_standby_names is empty" in done.stdout
    postgres15.stop()
    assert asyncio.run(port_of(both, writes=False)) == demoted.port
    with pytest.raises(psycopg.Error):
        asyncio.run(port_of(postgres_url(demoted), writes=True))
