"""Two machines with web and workers behind HAProxy, a primary and its standby, and an object store.

What runs where: web, a worker and a beat on `one` and on `two`; PostgreSQL on `primary` and `standby`,
each commit on both before it is acknowledged; moto's S3 on `store`; HAProxy and Valkey on the switch.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import psycopg
import redis

from bakeoff.embedded import valkey
from bakeoff.embedded.postgres import BINARIES
from bakeoff.environment import read_environment
from experiments.ingest.spill import REFUSED, STREAM
from tests.support.debian_servers import AS_NOBODY, binary
from tests.support.faults.conductor import TABLES
from tests.support.faults.load import ITEMS, KINDS, Ledger, Load
from tests.support.machines import PREFIX, Machine, Network
from tests.support.template import copy_template
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
WEB = [
    "uvicorn", "bakeoff.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--no-access-log",
    "--no-proxy-headers", "--lifespan", "on", "--http", "bakeoff.gateway.http.connection:Connection",
]  # fmt: skip
QUEUES = "default,refresh,analysis,embed,answers,train"
WORKER = [
    "celery",
    "-A",
    "bakeoff.celery",
    "worker",
    "--pool",
    "solo",
    "--queues",
    QUEUES,
    "--hostname",
]
BEAT = [
    "celery",
    "-A",
    "bakeoff.celery",
    "beat",
    "--loglevel",
    "WARNING",
    "--pidfile",
    "",
    "--schedule",
]
# A request that begins this long after a fault may be answered late or not: HAProxy finds out.
SWITCH_SECONDS = 5.0
START_SECONDS = 180  # generous: a busy machine is no failure


class Deployment:
    """All of it, in a folder with a short path."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.network = folder, Network()
        self.front = self.network.switch
        self.one, self.two = (self.network.add(name) for name in ("one", "two"))
        self.primary, self.standby = (self.network.add(name) for name in ("primary", "standby"))
        self.store = self.network.add("store")
        self.public = self.secret = ""

    def start(self) -> None:
        """Start everything and wait until HAProxy sees both web processes."""
        self._start_store()
        self._start_valkey()
        copy_template(self._home(self.primary))
        with (self._data(self.primary) / "pg_hba.conf").open("a") as file:
            for database in ("all", "replication"):
                file.write(f"host {database} all {PREFIX}0/24 trust\n")
        self._start_postgres(self.primary)
        self.follow(self.standby, self.primary)
        self._start_haproxy()
        # Beside them: the tables are there, what is missing is a project.
        for machine in (self.one, self.two):
            self.start_programs(machine)
        done = self.command(self.one, "migrate")
        assert done.returncode == 0, done.stderr
        words = done.stdout.split()
        self.public = next(word for word in words if word.startswith("pk_"))
        self.secret = next(word for word in words if word.startswith("sk_"))
        self.wait_until_up(self.one, self.two)

    def close(self) -> None:
        self.network.close()

    def variables(self, machine: Machine) -> dict[str, str]:
        """Return the settings of the platform on a machine."""
        hosts = [f"{one.address}:5432" for one in (self.primary, self.standby)]
        cache = f"redis://{self.front.address}:6379"
        return {
            "BAKEOFF_HOME": str(self._home(machine)),
            "DATABASE_URL": f"postgresql://bakeoff@{','.join(hosts)}/bakeoff",
            "DATABASE_REPLICA_URL": f"postgresql://bakeoff@{','.join(reversed(hosts))}/bakeoff",
            "REDIS_URL": f"{cache}/0",
            "BROKER_URL": f"{cache}/1",
            "SECRET_KEY": "one for both machines",
            "BAKEOFF_TICK_SECONDS": "2",
            "BAKEOFF_TRUSTED_PROXIES": self.front.address,
            "BAKEOFF_ARTIFACTS": "s3://models/shop",
            "AWS_ENDPOINT": f"http://{self.store.address}:5000", "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
        }  # fmt: skip

    def command(self, machine: Machine, *arguments: str) -> subprocess.CompletedProcess:
        """Run a command of the platform on a machine."""
        return subprocess.run(
            [*machine.enter, sys.executable, "-m", "bakeoff", *arguments], cwd=self.folder,
            env=os.environ | self.variables(machine), capture_output=True, text=True, check=False,
        )  # fmt: skip

    def start_programs(self, machine: Machine, *names: str) -> None:
        """Start web, a worker and a beat on a machine, or those of them that are named."""
        variables = self.variables(machine)
        programs = {
            "web": WEB,
            "worker": [*WORKER, f"all@{machine.name}"],
            "beat": [*BEAT, str(self._home(machine) / "beat")],
        }
        for name in names or programs:
            command = [sys.executable, "-m", *programs[name]]
            machine.start(name, command, self.folder, variables)

    def follow(self, standby: Machine, primary: Machine) -> None:
        """Copy a primary to a machine and let it follow: no commit is acknowledged before it has it."""
        shutil.rmtree(self._data(standby), ignore_errors=True)
        source = f"host={primary.address} user=bakeoff application_name={standby.name}"
        subprocess.run(
            [*standby.enter, *AS_NOBODY, BINARIES / "pg_basebackup", "-d", source, "-D",
             self._data(standby), "-R", "-c", "fast", "-X", "stream"],
            check=True, cwd=self.folder,
        )  # fmt: skip
        self._start_postgres(standby)
        with self.database(primary) as connection:
            connection.autocommit = True
            connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{standby.name}'")
            connection.execute("SELECT pg_reload_conf()")
            state = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
            wait_until(lambda: connection.execute(state).fetchone(), f"{standby.name} follows")

    def promote(self, standby: Machine) -> None:
        """Make a standby the primary, as whatever runs the database would."""
        with self.database(standby) as connection:
            connection.execute("SELECT pg_promote(true, 60)")

    def database(self, machine: Machine) -> psycopg.Connection:
        """Connect to one of the two servers, whatever its cable does."""
        return psycopg.connect(f"postgresql:///bakeoff?host={self._home(machine)}&user=bakeoff")

    def cache(self) -> redis.Redis:
        return redis.Redis.from_url(f"unix://{self.folder}/valkey.sock?db=0")

    def client(self) -> httpx2.Client:
        """Return a client with the secret key that asks HAProxy."""
        transport = httpx2.HTTPTransport(uds=str(self.folder / "haproxy.sock"))
        headers = {"X-API-Key": self.secret}
        return httpx2.Client(
            base_url="http://localhost", transport=transport, headers=headers, timeout=60
        )

    def load(self, seed: int) -> Load:
        """Return visitors that ask HAProxy."""
        return Load(
            "http://localhost", self.public, clients=4, seed=seed, think_seconds=0.06,
            socket=self.folder / "haproxy.sock",
        )  # fmt: skip

    def is_up(self, machine: Machine) -> bool:
        """Whether HAProxy sends requests to a machine's web process."""
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(str(self.folder / "admin.sock"))
            admin.sendall(b"show stat\n")
            rows = admin.makefile().read().splitlines()
        name = f"web-{1 + (machine is self.two)}"
        return any(row.startswith(f"web,{name},") and ",UP," in row for row in rows)

    def wait_until_up(self, *machines: Machine) -> None:
        wait_until(
            lambda: all(self.is_up(one) for one in machines),
            f"HAProxy sees {[one.name for one in machines]}", seconds=START_SECONDS,
        )  # fmt: skip

    def go_on(self, load: Load, *, events: int = 60, seconds: float = 0.0) -> None:
        """Wait for some more acknowledged events, and for a time."""
        end = time.monotonic() + seconds
        wanted = len(load.ledger.acknowledged["events"]) + events
        wait_until(
            lambda: len(load.ledger.acknowledged["events"]) > wanted and time.monotonic() > end,
            f"{events} more events", seconds=START_SECONDS,
        )  # fmt: skip

    def wait_until_drained(self) -> None:
        try:
            wait_until(
                lambda: self.cache().xlen(STREAM) == 0, "what was spilled is drained",
                seconds=START_SECONDS,
            )  # fmt: skip
        except AssertionError as error:
            # Why nobody drains, only those who should know: their folder goes with the test.
            logs = sorted(self.folder.glob("*-worker.log")) + sorted(self.folder.glob("*-beat.log"))
            last = [f"{log.name}:\n{log.read_text()[-3000:]}" for log in logs]
            raise AssertionError("\n".join([str(error), *last])) from None
        assert self.cache().xlen(REFUSED) == 0

    def assert_stored(self, primary: Machine, ledger: Ledger) -> None:
        """Whether all that was acknowledged is stored, once."""
        assert not ledger.unexpected, ledger.unexpected[:5]
        assert ledger.without_retry == 0
        self.wait_until_drained()
        with self.database(primary) as connection:
            for kind in KINDS:
                table, column = TABLES[kind]
                rows = connection.execute(f"SELECT {column}, count(*) FROM {table} GROUP BY 1")
                stored, promised = dict(rows.fetchall()), ledger.acknowledged[kind]
                assert promised
                assert promised <= stored.keys(), f"{kind} lost: {len(promised - stored.keys())}"
                assert set(stored.values()) == {1}, f"{kind} are doubled"

    def _home(self, machine: Machine) -> Path:
        home = self.folder / machine.name
        home.mkdir(exist_ok=True)
        return home

    def _data(self, machine: Machine) -> Path:
        return self._home(machine) / "postgres"

    def _start_postgres(self, machine: Machine) -> None:
        command = [
            *AS_NOBODY, str(BINARIES / "postgres"), "-D", str(self._data(machine)), "-k",
            str(self._home(machine)), "-c", f"listen_addresses={machine.address}", "-c", "fsync=off",
            "-c", "shared_buffers=32MB", "-c", f"log_statement={'all' if machine is self.standby else 'none'}",
        ]  # fmt: skip
        machine.start("postgres", command, self.folder)
        wait_until(lambda: self._answers(machine), f"PostgreSQL of {machine.name} answers")

    def _answers(self, machine: Machine) -> bool:
        try:
            self.database(machine).close()
        except psycopg.OperationalError:
            return False
        return True

    def _start_store(self) -> None:
        script = f"from moto.server import main; main(['-H', '{self.store.address}', '-p', '5000'])"
        self.store.start("moto", [sys.executable, "-c", script], self.folder)
        bucket = f"http://{self.store.address}:5000/models"
        put = "import sys, urllib.request as u; u.urlopen(u.Request(sys.argv[1], method='PUT'))"
        make = [*self.store.enter, sys.executable, "-c", put, bucket]
        wait_until(
            lambda: not subprocess.run(make, capture_output=True, check=False).returncode, "moto"
        )

    def _start_valkey(self) -> None:
        command = [
            str(valkey._executable(read_environment())), "--bind", self.front.address, "--port", "6379",
            "--unixsocket", str(self.folder / "valkey.sock"), "--protected-mode", "no",
            "--dir", str(self.folder), "--appendonly", "yes", "--save", "",
        ]  # fmt: skip
        self.front.start("valkey", command, self.folder)
        wait_until((self.folder / "valkey.sock").exists, "Valkey listens")

    def _start_haproxy(self) -> None:
        """Start it by the configuration that we ship, with the addresses of this network."""
        text = (ROOT / "deploy" / "haproxy" / "haproxy.cfg").read_text()
        text = text.replace("bind :8080", f"bind unix@{self.folder}/haproxy.sock")
        text = text.replace("global\n", f"global\n    stats socket {self.folder}/admin.sock\n")
        for number, machine in enumerate((self.one, self.two), 1):
            text = text.replace(f"web-{number}:8000", f"{machine.address}:8000")
        (self.folder / "haproxy.cfg").write_text(text)
        command = [binary("haproxy", "haproxy"), "-db", "-f", str(self.folder / "haproxy.cfg")]
        self.front.start("haproxy", command, self.folder)
        wait_until((self.folder / "haproxy.sock").exists, "HAProxy listens")


def make_shop(deployment: Deployment) -> None:
    """Make a catalogue and a surface with a model: an order of items, whose artifact is in the store."""
    with deployment.client() as client:
        items = {"items": [{"item_id": item, "title": f"Item {item}"} for item in ITEMS]}
        assert client.put("/v1/items", json=items).status_code == 200
        surface = {"key": "feed", "static_list": ITEMS, "list": "latest"}
        answer = client.put("/v1/surfaces", json=surface)
        assert answer.status_code == 200, answer.text


def is_answered_by_model(deployment: Deployment) -> bool:
    """Whether an answer comes from the model: both machines are asked in turn."""
    body = {"surface": "feed", "unit_id": "u", "k": 3}
    with deployment.client() as client:
        answers = [client.post("/v1/recommend", json=body) for _ in range(4)]
    return all(one.status_code == 200 and one.json()["fallback"] is None for one in answers)


def assert_answered(ledger: Ledger, switches: list[float]) -> None:
    """Whether at least 99.9 % of the recommendations were answered but for those next to a switch."""
    apart = [
        (begun, answered)
        for begun, answered in ledger.recommends
        if not any(-0.5 <= begun - at <= SWITCH_SECONDS for at in switches)
    ]
    assert len(apart) > 30
    missed = [[round(begun - at, 2) for at in switches] for begun, answered in apart if not answered]
    assert len(missed) <= 0.001 * len(apart), f"{missed} of {len(apart)}: {ledger.refused}"
