"""A first host that is silent, as a machine without power is, costs a process one wait."""

from __future__ import annotations

import asyncio
import json
import os
import select
import socket
import subprocess
import sys
from types import SimpleNamespace

import psycopg
import pytest
from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bakeoff.connected_hosts import _prefer
from bakeoff.database_address import complete
from bakeoff.gateway.config.catalogue_reader import CatalogueReader
from bakeoff.gateway.config.stored_catalogues import StoredCatalogues
from bakeoff.gateway.database import Connector
from bakeoff.preferred_host import prefer_host_of
from bakeoff.settings import _database
from tests.support.fast_lane import test_database_url

WRITES = "user=b target_session_attrs=read-write"
CONNECT_THRICE = """
import json, django
django.setup()
from django.db import connection
hosts = []
for _ in range(3):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    hosts.append(connection.settings_dict["OPTIONS"].get("host") or connection.settings_dict["HOST"])
    connection.close()
print(json.dumps(hosts))
"""


class Silent:
    """A server that accepts connections and never says a word."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port = self._listener.getsockname()[1]

    def address(self, database: str, **options: str) -> str:
        """Return an address whose first host it is, and whose second is a database's."""
        parts = conninfo_to_dict(database)
        hosts = {"host": f"127.0.0.1,{parts['host']}", "port": f"{self.port},5432"}
        return complete(make_conninfo(database, **hosts, connect_timeout="2", **options))

    def count(self) -> int:
        """Return how many have connected since the last time."""
        count = 0
        while select.select([self._listener], [], [], 0)[0]:
            self._listener.accept()[0].close()
            count += 1
        return count


@pytest.fixture
def silent():
    server = Silent()
    yield server
    server._listener.close()


def connect_thrice(address: str) -> list[str]:
    """Connect three times in one process; return the hosts as they stand after each."""
    done = subprocess.run(
        [sys.executable, "-c", CONNECT_THRICE], text=True, capture_output=True, check=True,
        env=os.environ | {"DATABASE_URL": address, "DJANGO_SETTINGS_MODULE": "bakeoff.settings"},
    )  # fmt: skip
    return json.loads(done.stdout)


def test_django_waits_once_for_a_silent_first_host(tables, silent):
    home = conninfo_to_dict(test_database_url())["host"]
    hosts = connect_thrice(silent.address(test_database_url()))
    assert hosts == [f"{home},127.0.0.1"] * 3
    assert silent.count() == 1


def test_hosts_of_which_any_will_do_are_tried_in_their_order(tables, silent):
    address = silent.address(test_database_url(), target_session_attrs="any")
    assert connect_thrice(address)[-1].startswith("127.0.0.1,")
    assert silent.count() == 3


class Interrupted(dict):
    """Settings that another thread changes whenever one of their values has been read."""

    def __getitem__(self, name):
        value = super().__getitem__(name)
        if name in {"HOST", "OPTIONS"}:
            self._is_two = not getattr(self, "_is_two", False)
            host, port = ("db2", 6432) if self._is_two else ("db1", 5432)
            info = SimpleNamespace(host=host, port=port)
            plain = dict(self)
            _prefer(SimpleNamespace(settings_dict=plain, connection=SimpleNamespace(info=info)))
            self.update(plain)
        return value


def test_a_thread_that_connects_meanwhile_takes_no_host_with_the_port_of_another():
    url = complete("postgresql://b@db1:5432,db2:6432/b")
    settings = {"USER": "", "PASSWORD": "", "HOST": "", "PORT": "", "TIME_ZONE": None}
    settings = Interrupted(settings | _database("DATABASE_URL", url))
    pairs = {("db1,db2", "5432,6432"), ("db2,db1", "6432,5432")}
    seen = set()
    for _ in range(4):
        parameters = DatabaseWrapper(settings).get_connection_params()
        seen.add((parameters["host"], parameters["port"]))
    assert seen <= pairs
    assert settings["OPTIONS"]["target_session_attrs"] == "read-write"


def test_the_catalogues_are_read_from_the_host_that_answered(tables, silent, tmp_path):
    url = silent.address(test_database_url())
    reader = CatalogueReader(url, StoredCatalogues(tmp_path))
    for _ in range(2):
        reader.read({}, everything=False)
        reader.close()
    assert silent.count() == 1


def test_the_fast_lane_waits_once_for_a_silent_first_host(tables, silent):
    connector = Connector(silent.address(test_database_url()))

    async def connect_twice() -> None:
        for _ in range(2):
            await (await connector.connect(writes=True)).close()

    asyncio.run(connect_twice())
    assert silent.count() == 1


@pytest.mark.parametrize(
    ("hosts", "reordered"),
    [
        ("host=%s,other", "host=%s,other"),
        ("host=other,%s", "host=%s,other"),
        ("host=one,two,%s port=1,2,5432", "host=%s,one,two port=5432,1,2"),
        ("host=one,%s port=5432", "host=%s,one port=5432,5432"),
        ("host=%s", "host=%s"),
        ("host=one,two", "host=one,two"),
    ],
)
def test_an_address_begins_with_the_host_that_is_connected(tables, hosts, reordered):
    with psycopg.connect(test_database_url()) as connection:
        home = connection.info.host
        address = prefer_host_of(connection, f"{WRITES} {hosts.replace('%s', home)}")
    assert conninfo_to_dict(address) == conninfo_to_dict(f"{WRITES} {reordered.replace('%s', home)}")
