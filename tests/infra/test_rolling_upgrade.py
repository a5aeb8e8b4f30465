"""Web processes behind HAProxy, upgraded one after the other to a version that only adds, under load."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psycopg
import pytest

from bakeoff import __version__
from bakeoff.schema_version import EXPANDS, migration_files
from tests.support.debian_servers import Server, binary, free_port
from tests.support.faults.load import ITEMS, Ledger, Load
from tests.support.faults.platform import PlatformUnderTest
from tests.support.servers import WARM
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


@dataclass
class Site:
    """What all web processes share: the home and the servers of a platform, whose workers go on as they are."""

    platform: PlatformUnderTest
    folder: Path
    running: list[Server] = field(default_factory=list)

    def environment(self, tree: Path) -> dict[str, str]:
        home, socket = self.platform.home, f"unix://{self.platform.home}/run/valkey.sock"
        return {
            "BAKEOFF_HOME": str(home),
            "DATABASE_URL": f"postgresql:///bakeoff?host={home}/run&user=bakeoff",
            "REDIS_URL": f"{socket}?db=0",
            "BROKER_URL": f"redis+socket://{home}/run/valkey.sock?virtual_host=1",
            "PYTHONPATH": f"{tree}:{tree / 'platform'}",
        }

    def command(self, tree: Path, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "bakeoff", *arguments], env=os.environ | self.environment(tree),
            cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def web(self, tree: Path, port: int) -> Server:
        """Start a web process as the image does, and wait until it is ready."""
        command = [
            "env", *(f"{name}={value}" for name, value in self.environment(tree).items()),
            sys.executable, "-m", "uvicorn", "bakeoff.asgi:application", "--host", "127.0.0.1",
            "--port", str(port), "--no-access-log", "--no-proxy-headers", "--lifespan", "on",
            "--http", "bakeoff.gateway.http.connection:Connection", "--timeout-graceful-shutdown", "10",
        ]  # fmt: skip
        server = Server(f"web-{port}", command, self.folder, port)
        server.start()
        self.running.append(server)
        url = f"http://127.0.0.1:{port}/readyz"
        wait_until(
            lambda: httpx2.get(url, timeout=10).status_code == 200, f"{url} answers", seconds=120
        )
        return server


@pytest.fixture
def site(folder):
    platform = PlatformUnderTest(folder / "home", own_disk=False, interpreter=WARM)
    platform.start()
    site = Site(platform, folder)
    yield site
    for server in site.running:
        server.stop()
    platform.close()


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


@pytest.fixture
def load(site, haproxy):
    """Visitors of a shop that is ready, by way of HAProxy and two web processes of this version."""
    proxy, ports = haproxy
    for port in ports:
        site.web(ROOT, port)
    url = f"http://127.0.0.1:{proxy.port}"
    with httpx2.Client(base_url=url, headers={"X-API-Key": site.platform.secret}, timeout=60) as client:
        items = {"items": [{"item_id": item, "title": item} for item in ITEMS]}
        wait_until(lambda: client.get("/readyz").status_code == 200, "HAProxy has seen a process")
        assert client.put("/v1/items", json=items).status_code == 200
        assert client.put("/v1/surfaces", json={"key": "feed", "static_list": ITEMS}).status_code == 200
        body = {"surface": "feed", "unit_id": "u", "k": 1}
        wait_until(lambda: client.post("/v1/recommend", json=body).status_code == 200, "served")
    return Load(url, site.platform.public, clients=4, think_seconds=0.02)


def test_nothing_is_lost_while_web_processes_are_replaced(site, load, haproxy, next_tree):
    _, ports = haproxy
    first, second = site.running

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
    second.process.send_signal(signal.SIGKILL)  # a crash in between: the old version starts again
    second.process.wait()
    second = site.web(ROOT, ports[1])
    for server in (first, second):
        go_on()
        server.stop()
        site.web(next_tree, server.port)
    go_on()
    ledger = load.stop()
    assert not ledger.unexpected, ledger.unexpected
    assert ledger.without_retry == 0
    assert sum(ledger.refused.values()) <= 8, ledger.refused  # what the crash held
    site.platform.wait_until_drained()
    _assert_stored(site.platform.database(), ledger)
    for port in ports:
        about = httpx2.get(f"http://127.0.0.1:{port}/v1/openapi.json", timeout=60).json()["info"]
        assert about["version"] == NEXT


def _assert_stored(connection: psycopg.Connection, ledger: Ledger) -> None:
    """Whether each acknowledged row is stored, once, in tables of the next version."""
    with connection:
        rows = connection.execute(
            "SELECT event_id, count(*) FROM experiments_event GROUP BY 1"
        ).fetchall()
        slates = connection.execute("SELECT recommendation_id::text FROM experiments_slate").fetchall()
        assert connection.execute("SELECT count(*) FROM experiments_colour").fetchone() == (0,)
    stored = dict(rows)
    assert set(stored.values()) == {1}
    assert ledger.acknowledged["events"] <= stored.keys() <= ledger.sent["events"]
    assert ledger.acknowledged["slates"] <= {slate for (slate,) in slates}
