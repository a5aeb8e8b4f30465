"""Start a whole platform on one machine, keep it up, and stop it in order.

Order of start: home, PostgreSQL, Valkey, migrations, web, workers, beat. Order of stop is the
reverse: whoever makes work first, whoever keeps it last.
"""

from __future__ import annotations

import contextlib
import http
import http.client
import os
import signal
import threading
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import IO, TYPE_CHECKING

from bakeoff.embedded.address import forget_address, write_address
from bakeoff.embedded.beats import Beats
from bakeoff.embedded.errors import StartError
from bakeoff.embedded.home import check_port, is_gone, prepare_home
from bakeoff.embedded.keeper import Keeper, stop_all
from bakeoff.embedded.migrate import migrate, refuse_beside_others
from bakeoff.embedded.postgres import start_postgres
from bakeoff.embedded.processes import KILL_SECONDS, end_orphans
from bakeoff.embedded.programs import (
    LOCAL_LLM,
    ONE_THREAD,
    empty_metrics,
    programs_of,
    started,
)
from bakeoff.embedded.valkey import check_redis, start_valkey
from bakeoff.schema_version import WrongSchemaError
from inference.serving.store import ForeignStoreError, check_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bakeoff.embedded.keeper import HangTest
    from bakeoff.embedded.processes import Child
    from bakeoff.environment import Environment

__all__ = ["ONE_THREAD", "Platform", "running_platform", "stop_on_terminate", "with_tick"]

# Models are loaded before the first answer, on two busy cores.
WEB_READY_SECONDS = 60
# Web lets requests end for ten seconds; a worker that is still in its task then is killed, and the
# reconciler sends the task again.
PROCESSES_STOP_SECONDS = 15.0
SERVER_STOP_SECONDS = 20.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class Platform:
    """The running processes of one home."""

    environment: Environment
    host: str = "127.0.0.1"
    port: int = 8000
    web_processes: int = 1
    log: Callable[[str], None] = print
    servers: list[Keeper] = field(default_factory=list, init=False)
    processes: list[Keeper] = field(default_factory=list, init=False)
    _lock: IO[str] | None = field(default=None, init=False)
    _home: int | None = field(default=None, init=False)  # descriptor: its inode is used by no other
    _stopping: threading.Event = field(default_factory=threading.Event, init=False)

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
        self._home = os.open(self.environment.home, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # What was killed a moment ago may hold the port a little longer than it shows as a process.
            seconds = KILL_SECONDS if end_orphans(self.environment.home) else 0.0
            check_port(self.host, self.port, seconds)
            bundled = [
                *([start_postgres] if self.environment.bundled_postgres else []),
                *([start_valkey] if self.environment.bundled_valkey else []),
            ]
            for start in bundled:
                self.servers.append(self._keep(partial(start, self.environment)))
            if not self.environment.bundled_valkey:
                check_redis(self.environment.redis_url)
            if not self.environment.bundled_postgres:  # a bundled one is this platform's alone
                refuse_beside_others(self.environment)
            migrate(self.environment)
            check_store(self.environment.database_url, self.environment.artifacts)
        except (ForeignStoreError, WrongSchemaError) as error:
            self.stop()
            raise StartError(str(error)) from error
        except BaseException:
            self.stop()
            raise

    def _keep(self, start: Callable[..., Child], hang: HangTest | None = None) -> Keeper:
        child = start(is_cancelled=self._stopping.is_set)
        return Keeper(
            child,
            start,
            self._stopping,
            self.log,
            hang,
            max_log_bytes=self.environment.max_log_bytes,
        )

    def start_processes(self) -> None:
        """Start web, workers and beat, and wait until web is ready.

        Raises:
            StartError: web did not become ready; nothing is left running.
        """
        try:
            web, *others = programs_of(self.environment, self.host, self.port, self.web_processes)
            beats = Beats(self.environment)
            beats.forget()
            empty_metrics(self.environment)
            self.processes.append(self._keep(partial(started, web), beats.hung_web_processes))
            self._wait_for_web(web)  # alone on the cores: who waits, waits for web
            write_address(self.environment, self.host, self.port)
            for child in others:
                hang = beats.hung_web_processes if child.name == LOCAL_LLM else beats.hung_workers
                self.processes.append(self._keep(partial(started, child), hang))
        except BaseException:
            self.stop()
            raise
        for keeper in [*self.servers, *self.processes]:
            keeper.begin()

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

    def wait(self) -> None:
        """Wait until somebody asks to stop: Ctrl-C, SIGTERM, or a terminal that was closed.

        Raises:
            StartError: the home folder is gone: what starts in it again would end at once, for ever.
        """
        stop_requested = threading.Event()
        for number in STOP_SIGNALS:
            signal.signal(number, lambda *_: stop_requested.set())
        while not stop_requested.wait(0.5):
            self._check_home()

    def _check_home(self) -> None:
        if self._home is not None and is_gone(self._home, self.environment.home):
            raise StartError(
                f"The home folder {self.environment.home} is gone: the platform stops. Put it back, or "
                "restore a backup with `bakeoff restore`, and start again."
            )

    def stop(self) -> None:
        """Stop everything that was started and give the home back, within a minute.

        What was asked twice to stop stops once: from here on the signals are not heard.
        """
        self._stopping.set()
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                signal.signal(number, signal.SIG_IGN)
        if self._lock is not None:  # else the home is another platform's
            forget_address(self.environment)
        stop_all(self.processes, PROCESSES_STOP_SECONDS)
        for keeper in reversed(self.servers):
            stop_all([keeper], SERVER_STOP_SECONDS)
        self.processes, self.servers = [], []
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        if self._home is not None:
            os.close(self._home)
            self._home = None


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
    """Turn SIGTERM and SIGHUP into the exception that Ctrl-C raises, so that everything is stopped."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def with_tick(environment: Environment, seconds: float) -> Environment:
    """Return an environment whose beat ticks at this pace, here and in what is started."""
    os.environ["BAKEOFF_TICK_SECONDS"] = str(seconds)
    return replace(environment, tick_seconds=seconds)
