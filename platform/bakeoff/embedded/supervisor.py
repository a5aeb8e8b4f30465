"""Start a whole platform on one machine, keep it up, and stop it in order.

Order of start: home, PostgreSQL, Valkey, migrations, web, workers, beat. Order of stop is the
reverse: whoever makes work first, whoever keeps it last.
"""

from __future__ import annotations

import contextlib
import hashlib
import http
import http.client
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bakeoff.embedded.errors import StartError
from bakeoff.embedded.home import check_port, prepare_home
from bakeoff.embedded.postgres import start_postgres
from bakeoff.embedded.processes import Child, end_orphans, kill_tree
from bakeoff.embedded.valkey import start_valkey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bakeoff.environment import Environment

WEB_READY_SECONDS = 60
STOP_SECONDS = 15
RESTART_PAUSE_SECONDS = 1.0
# One thread a process: two OpenMP threads beside other work are many times slower than one.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(slots=True)
class Platform:
    """The running processes of one home."""

    environment: Environment
    host: str = "127.0.0.1"
    port: int = 8000
    web_processes: int = 1
    tell: Callable[[str], None] = print
    servers: list[Child] = field(default_factory=list, init=False)
    processes: list[Child] = field(default_factory=list, init=False)
    _lock: IO[str] | None = field(default=None, init=False)
    _stopping: threading.Event = field(default_factory=threading.Event, init=False)
    _watcher: threading.Thread | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """Where the platform answers."""
        return f"http://{self.host}:{self.port}"

    def start_servers(self) -> None:
        """Take the home and start what is bundled; then bring the tables up to date.

        Raises:
            StartError: something is in the way; nothing is left running.
        """
        self._lock = prepare_home(self.environment)
        try:
            end_orphans(self.environment.home)
            check_port(self.host, self.port)
            if self.environment.bundled_postgres:
                self.servers.append(start_postgres(self.environment))
            if self.environment.bundled_valkey:
                self.servers.append(start_valkey(self.environment))
            _migrate(self.environment)
        except BaseException:
            self.stop()
            raise

    def start_processes(self) -> None:
        """Start web, workers and beat, and wait until web is ready.

        Raises:
            StartError: web did not become ready; nothing is left running.
        """
        python, logs = sys.executable, self.environment.logs
        variables = {**os.environ, **ONE_THREAD, "BAKEOFF_HOME": str(self.environment.home)}

        def celery(name: str, *arguments: str) -> Child:
            command = [python, "-m", "celery", "-A", "bakeoff.celery", *arguments]
            return Child(name, command, logs / f"{name}.log", variables)

        def worker(name: str, queues: str) -> Child:
            return celery(
                name, "worker", "--queues", queues, "--pool", "solo", "--loglevel", "WARNING",
                "--hostname", f"{name}@%h", "--without-gossip", "--without-mingle",
            )  # fmt: skip

        web = Child(
            "web",
            [
                python, "-m", "uvicorn", "bakeoff.asgi:application", "--host", self.host,
                "--port", str(self.port), "--workers", str(self.web_processes),
                "--no-access-log", "--log-level", "warning", "--timeout-graceful-shutdown", "10",
                "--no-server-header", "--no-proxy-headers",
            ],
            logs / "web.log",
            variables,
        )  # fmt: skip
        self.processes = [
            web,
            worker("worker-loop", "default,refresh"),
            # Alone: a look may take a minute, and nobody's refresh, ramp or drain waits for it.
            worker("worker-analysis", "analysis"),
            worker("worker-embed", "embed"),
            worker("worker-answer", "answers"),
            worker("worker-train", "train"),
            celery("beat", "beat", "--loglevel", "WARNING", "--pidfile", ""),
        ]  # fmt: skip
        try:
            web.start()
            self._wait_for_web(web)  # alone on the cores: who waits, waits for web
            for child in self.processes[1:]:
                child.start()
        except BaseException:
            self.stop()
            raise
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def _wait_for_web(self, web: Child) -> None:
        deadline = time.monotonic() + WEB_READY_SECONDS
        while time.monotonic() < deadline:
            if not web.alive:
                raise StartError(f"Web did not start: {web.last_lines(2)} (see {web.log}).")
            with contextlib.suppress(OSError, http.client.HTTPException):
                probe = http.client.HTTPConnection(self.host, self.port, timeout=2)
                probe.request("GET", "/readyz")
                if probe.getresponse().status == http.HTTPStatus.OK:
                    return
            time.sleep(0.05)
        raise StartError(f"Web was not ready within {WEB_READY_SECONDS} s (see {web.log}).")

    def _watch(self) -> None:
        """Start again what has ended without being asked to."""
        while not self._stopping.wait(RESTART_PAUSE_SECONDS):
            for child in [*self.servers, *self.processes]:
                if not child.alive and not self._stopping.is_set():
                    self.tell(f"{child.name} ended and is started again (see {child.log}).")
                    self._restart(child)

    def _restart(self, child: Child) -> None:
        if child.name == "postgres":
            with contextlib.suppress(StartError):
                self._replace(child, start_postgres(self.environment))
        elif child.name == "valkey":
            with contextlib.suppress(StartError):
                self._replace(child, start_valkey(self.environment))
        else:
            child.start()

    def _replace(self, old: Child, new: Child) -> None:
        self.servers[self.servers.index(old)] = new

    def wait(self) -> None:
        """Wait until somebody asks to stop (Ctrl-C or SIGTERM)."""
        asked = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: asked.set())
        while not asked.wait(0.5):
            pass

    def stop(self) -> None:
        """Stop everything that was started and give the home back."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join(WEB_READY_SECONDS)
        trees = [child.pid for child in self.processes]
        for child in reversed(self.processes):
            child.ask_to_stop()
        for child in reversed(self.processes):
            child.wait_or_kill(STOP_SECONDS)
        for pid in trees:
            if pid is not None:
                kill_tree(pid)
        for child in reversed(self.servers):
            child.ask_to_stop()
            child.wait_or_kill(60)
        self.processes, self.servers = [], []
        if self._lock is not None:
            self._lock.close()
            self._lock = None


@contextlib.contextmanager
def running_platform(platform: Platform) -> Iterator[Platform]:
    """Run a platform for the length of a block."""
    platform.start_servers()
    try:
        platform.start_processes()
        yield platform
    finally:
        platform.stop()


def stop_on_terminate() -> None:
    """Turn SIGTERM into the exception that Ctrl-C raises, so that everything is stopped."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def _migrate(environment: Environment) -> None:
    """Bring the tables up to date; skipped when this home has seen the same migrations."""
    stamp = environment.home / "migrated"
    digest = _migrations_digest()
    if environment.bundled_postgres and stamp.exists() and stamp.read_text() == digest:
        return
    import django  # noqa: PLC0415  a second start does not need it
    from django.core.management import call_command  # noqa: PLC0415

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bakeoff.settings")
    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    from django.db import connection, connections  # noqa: PLC0415

    from experiments.ingest.partitions import make_partitions  # noqa: PLC0415

    connection.ensure_connection()
    make_partitions(connection.connection, datetime.now(UTC).date())
    connections.close_all()
    stamp.write_text(digest)


def _migrations_digest() -> str:
    import experiments  # noqa: PLC0415
    import inference  # noqa: PLC0415

    digest = hashlib.sha256()
    packages = [Path(__file__).parent.parent / "accounts"]
    packages += [Path(package.__file__ or "").parent for package in (experiments, inference)]
    for package in packages:
        for path in sorted((package / "migrations").glob("*.py")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def with_tick(environment: Environment, seconds: float) -> Environment:
    """Return an environment whose beat ticks at this pace, here and in what is started."""
    os.environ["BAKEOFF_TICK_SECONDS"] = str(seconds)
    return replace(environment, tick_seconds=seconds)
