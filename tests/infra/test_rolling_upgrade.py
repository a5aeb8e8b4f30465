"""Two machines behind HAProxy, upgraded one after the other to a version that only adds, under load."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psycopg
import pytest
import redis

from bakeoff import __version__
from bakeoff.embedded.valkey import _binary
from bakeoff.schema_version import EXPANDS, migration_files
from experiments.ingest.spill import STREAM
from tests.support.debian_servers import Server, binary, free_port, postgres_url
from tests.support.faults.load import ITEMS, Ledger, Load
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
NEXT = "9.9.9"
MIGRATION = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("experiments", "{last}")]
    operations = [
        migrations.AddField("event", "colour", models.TextField(null=True)),
        migrations.AddField("slate", "colour", models.TextField(db_default="")),
        migrations.CreateModel("Colour", [("id", models.BigAutoField(primary_key=True)), ("name", models.TextField())]),
    ]
"""


@pytest.fixture
def next_tree(folder):
    """The next version: this tree with a migration that adds columns to what is written all the time."""
    tree = folder / "next"
    for room in ("platform", "experiments", "inference"):
        shutil.copytree(ROOT / room, tree / room)
    about = tree / "platform" / "bakeoff" / "__init__.py"
    about.write_text(about.read_text().replace(__version__, NEXT))
    last = [path.stem for app, path in migration_files() if app == "experiments"][-1]
    number = int(last[:4]) + 1
    name = tree / "experiments" / "migrations" / f"{number:04}_colours{EXPANDS}.py"
    name.write_text(MIGRATION.format(last=last))
    return tree


@pytest.fixture
def valkey(folder):
    port = free_port()
    command = [str(_binary()), "--port", str(port), "--dir", str(folder), "--appendonly", "yes"]
    server = Server("valkey", [*command, "--save", "", "--bind", "127.0.0.1"], folder, port)
    server.start()
    yield server
    server.stop()


@dataclass
class Site:
    """What all machines share: the home, the servers, and who ends what was started."""

    folder: Path
    variables: dict[str, str]
    running: list[Server]

    def command(self, tree: Path, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "bakeoff", *arguments], env=self._environment(tree),
            cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def web(self, tree: Path, port: int) -> Server:
        """Start a web process as the image does, and wait until it is ready."""
        arguments = [
            "uvicorn", "bakeoff.asgi:application", "--host", "127.0.0.1", "--port", str(port),
            "--no-access-log", "--no-proxy-headers", "--lifespan", "on", "--timeout-graceful-shutdown", "10",
            "--http", "bakeoff.gateway.http.connection:Connection",
        ]  # fmt: skip
        server = self.start(tree, f"web-{port}", port, arguments)
        wait_until(lambda: self._is_ready(port), f"{server.name} is ready", seconds=120)
        return server

    def _is_ready(self, port: int) -> bool:
        return httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=10).status_code == 200

    def start(self, tree: Path, name: str, port: int, arguments: list[str]) -> Server:
        path = f"PYTHONPATH={self._environment(tree)['PYTHONPATH']}"
        settings = [f"{key}={value}" for key, value in self.variables.items()]
        command = ["env", path, *settings, sys.executable, "-m", *arguments]
        server = Server(name, command, self.folder, port)
        server.start()
        self.running.append(server)
        return server

    def _environment(self, tree: Path) -> dict[str, str]:
        return os.environ | self.variables | {"PYTHONPATH": f"{tree}:{tree / 'platform'}"}


@pytest.fixture
def site(folder, postgres15, valkey):
    address = f"redis://127.0.0.1:{valkey.port}"
    variables = {
        "DATABASE_URL": postgres_url(postgres15), "REDIS_URL": f"{address}/0",
        "BROKER_URL": f"{address}/1", "BAKEOFF_HOME": str(folder / "home"),
        "SECRET_KEY": "of-a-test-" * 5, "BAKEOFF_TICK_SECONDS": "0.5",
    }  # fmt: skip
    site = Site(folder, variables, [])
    yield site
    for server in site.running:
        server.stop()


@pytest.fixture
def haproxy(folder, site):
    """HAProxy by the configuration that we ship, with the addresses of this machine."""
    port, ports = free_port(), [free_port(), free_port()]
    text = (ROOT / "deploy" / "haproxy" / "haproxy.cfg").read_text()
    text = text.replace("bind :8080", f"bind 127.0.0.1:{port}")
    for number, one in enumerate(ports, 1):
        text = text.replace(f"web-{number}:8000", f"127.0.0.1:{one}")
    (folder / "haproxy.cfg").write_text(text)
    command = [binary("haproxy", "haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]
    server = Server("haproxy", command, folder, port)
    server.start()
    yield server, ports
    server.stop()


# With a beat inside, so that what is spilled is drained.
WORKER = ["celery", "-A", "bakeoff.celery", "worker", "-B", "--pool", "solo", "--queues", "default"]


@pytest.fixture
def serving(site, haproxy):
    """Two web processes and a worker of this version, and what a visitor and a shop need to know."""
    proxy, ports = haproxy
    first = site.command(ROOT, "migrate")
    assert first.returncode == 0, first.stderr
    public, secret = (re.search(rf"({kind}_\S+)", first.stdout)[1] for kind in ("pk", "sk"))
    webs = [site.web(ROOT, port) for port in ports]
    worker = site.start(ROOT, "worker", ports[0], WORKER)
    url = f"http://127.0.0.1:{proxy.port}"
    with httpx2.Client(base_url=url, headers={"X-API-Key": secret}, timeout=60) as client:
        items = {"items": [{"item_id": item, "title": item} for item in ITEMS]}
        wait_until(lambda: client.get("/readyz").status_code == 200, "HAProxy has seen a process")
        assert client.put("/v1/items", json=items).status_code == 200
        assert client.put("/v1/surfaces", json={"key": "feed", "static_list": ITEMS}).status_code == 200
        body = {"surface": "feed", "unit_id": "u", "k": 1}
        wait_until(lambda: client.post("/v1/recommend", json=body).status_code == 200, "served")
    return webs, worker, Load(url, public, clients=4, think_seconds=0.02)


def test_nothing_is_lost_while_machines_are_replaced(
    site, serving, haproxy, next_tree, postgres15, valkey
):
    (_, ports), (webs, worker, load) = haproxy, serving

    def go_on() -> None:
        """Wait until HAProxy has looked at all processes, and what is acknowledged grows by some events."""
        time.sleep(3)
        wanted = len(load.ledger.acknowledged["events"]) + 100
        wait_until(lambda: len(load.ledger.acknowledged["events"]) > wanted, "events", seconds=120)

    load.start()
    go_on()
    plan = site.command(next_tree, "migrate", "--plan")
    assert "These only add: processes of the version before may serve meanwhile" in plan.stdout
    migrated = site.command(next_tree, "migrate")
    assert migrated.returncode == 0, migrated.stderr
    go_on()
    webs[1].process.send_signal(signal.SIGKILL)  # a crash in between: the old version starts again
    webs[1].process.wait()
    webs[1] = site.web(ROOT, ports[1])
    for number, port in enumerate(ports):
        go_on()
        webs[number].stop()
        webs[number] = site.web(next_tree, port)
    worker.stop()
    site.start(next_tree, "worker", ports[0], WORKER)
    go_on()
    ledger = load.stop()
    assert not ledger.unexpected, ledger.unexpected
    assert ledger.without_retry == 0
    assert sum(ledger.refused.values()) <= 8, ledger.refused  # what the crash held
    cache = redis.Redis(port=valkey.port)
    wait_until(lambda: cache.xlen(STREAM) == 0, "what was spilled is drained", seconds=120)
    _assert_stored(postgres_url(postgres15), ledger)
    for port in ports:
        about = httpx2.get(f"http://127.0.0.1:{port}/v1/openapi.json", timeout=60).json()["info"]
        assert about["version"] == NEXT


def _assert_stored(url: str, ledger: Ledger) -> None:
    """Whether each acknowledged row is stored, once, in tables of the next version."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT event_id, count(*) FROM experiments_event GROUP BY 1"
        ).fetchall()
        slates = connection.execute("SELECT recommendation_id::text FROM experiments_slate").fetchall()
        assert connection.execute("SELECT count(*) FROM experiments_colour").fetchone() == (0,)
    stored = dict(rows)
    assert set(stored.values()) == {1}
    assert ledger.acknowledged["events"] <= stored.keys() <= ledger.sent["events"]
    assert ledger.acknowledged["slates"] <= {slate for (slate,) in slates}
