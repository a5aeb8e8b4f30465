"""A whole platform in processes of its own, on a disk of its own where the system allows one."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx2
import psutil
import psycopg
import redis

from experiments.ingest.spill import STREAM
from tests.support.faults.clock import Clock
from tests.support.template import VARIABLE, copy_template
from tests.support.waiting import wait_until
from tests.support.warm_python import called_by, family_of

# Memory while it is full: 40 seconds of load fit into the small one; in ten minutes PostgreSQL's log
# of changes alone takes four thousand.
SMALL_DISK, LARGE_DISK = 1200, 8000
READY_SECONDS = 300  # generous: a busy machine is no failure
OWN_DISK = ["unshare", "--user", "--map-root-user", "--mount"]
MARKS = {
    "web": "bakeoff.asgi:application",
    "worker": "worker-loop@",
    "worker-train": "worker-train@",
    "worker-embed": "worker-embed@",
    "postgres": "/postgres -D",
    "valkey": "valkey-server",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PlatformUnderTest:
    """Started with `bakeoff up`; everything else is asked over HTTP or done to its processes."""

    def __init__(
        self,
        home: Path,
        *,
        disk_megabytes: int = SMALL_DISK,
        own_disk: bool = True,
        variables: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        interpreter: Path | str = sys.executable,
    ) -> None:
        """Prepare a home.

        Args:
            home: where it keeps everything.
            disk_megabytes: how large its disk is.
            own_disk: whether it gets a small disk of its own, which can be filled.
            variables: settings beside the home; DATABASE_URL and the like of this process do not count.
            arguments: of `bakeoff up`, beside the port.
            interpreter: that starts it; with a disk of its own, a warm one of its own.
        """
        self.home, self.port, self.disk_megabytes = home, free_port(), disk_megabytes
        self.variables, self.arguments = dict(variables or {}), arguments
        self.interpreter = str(interpreter)
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = home.with_suffix(".out")
        self.holder: subprocess.Popen | None = None
        self.has_disk = own_disk and self._hold_disk()
        self.clock: Clock | None = None  # a test that wants one sets it before the start
        self.supervisor: subprocess.Popen | None = None
        self.public = self.secret = ""

    def _hold_disk(self) -> bool:
        """Mount a small disk in a namespace that a sleeping process keeps."""
        self.home.mkdir(parents=True, exist_ok=True)
        if not shutil.which("unshare") or not shutil.which("nsenter"):
            return False
        mount = f"mount -t tmpfs -o size={self.disk_megabytes}m tmpfs {self.home} && echo held && exec sleep 7200"
        holder = subprocess.Popen(
            [*OWN_DISK, "sh", "-c", mount], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        if holder.stdout.readline().strip() != b"held":
            holder.kill()
            holder.wait()
            return False
        self.holder = holder
        return True

    def start(self) -> None:
        """Start it and wait until it is ready; the keys are shown at the first start."""
        enter = []
        if self.holder is not None:
            enter = [
                "nsenter",
                "-t",
                str(self.holder.pid),
                "--user",
                "--mount",
                "--preserve-credentials",
            ]
        if self.supervisor is None and VARIABLE in os.environ and "DATABASE_URL" not in self.variables:
            self.home.mkdir(parents=True, exist_ok=True)
            copy_template(self.home, enter=enter)
        command = [*enter, self.interpreter, "-m", "bakeoff", "up", "--port", str(self.port)]
        command += self.arguments
        variables = {**os.environ, "BAKEOFF_HOME": str(self.home), "BAKEOFF_TICK_SECONDS": "0.5"}
        for name in ("DATABASE_URL", "REDIS_URL", "BROKER_URL"):
            variables.pop(name, None)
        variables |= self.variables
        if self.clock is not None:
            variables |= self.clock.variables
        with self.output.open("ab") as file:
            self.supervisor = subprocess.Popen(
                command, env=variables, stdout=file, stderr=file, stdin=subprocess.DEVNULL
            )
        self.wait_until_ready()
        if not self.public:
            self.until(lambda: "secret key" in self.output.read_text(), "keys are shown")
            text = self.output.read_text()
            self.public = re.search(r"public key\s+(pk_\S+)", text)[1]
            self.secret = re.search(r"secret key\s+(sk_\S+)", text)[1]

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            assert self.supervisor.poll() is None, self.output.read_text()[-3000:]
            with contextlib.suppress(httpx2.HTTPError):
                return client.get(f"{self.url}/readyz", timeout=3).status_code == 200
            return False

        # One client for all looks: each reads the system's certificates, which takes 25 ms.
        with httpx2.Client() as client:
            self.until(ready, "the platform is ready")

    def wait_until_drained(self) -> None:
        """Wait until everything answers and nothing is spilled any more."""

        def drained() -> bool:
            # A server of ours that was killed a moment ago is away while /readyz says what it last saw.
            with contextlib.suppress(redis.RedisError, OSError, psycopg.OperationalError):
                if "DATABASE_URL" not in self.variables:
                    self.database().close()
                return self.cache().xlen(STREAM) == 0
            return False

        self.wait_until_ready()
        self.until(drained, "what was spilled is drained")

    def until(self, holds: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> None:
        wait_until(holds, what, seconds=seconds)

    def processes(self, name: str) -> list[psutil.Process]:
        """The processes of one kind that the supervisor started itself."""
        processes = []
        with contextlib.suppress(psutil.Error):
            supervisor = called_by(psutil.Process(self.supervisor.pid))
            for child in supervisor.children(recursive=False):
                with contextlib.suppress(psutil.Error):
                    if MARKS[name] in " ".join(child.cmdline()):
                        processes.append(child)
        return processes

    def families(self, *names: str) -> list[psutil.Process]:
        """The processes of these kinds and all below them, by a warm interpreter, too."""
        processes = []
        for process in [p for name in names for p in self.processes(name)]:
            with contextlib.suppress(psutil.Error):
                processes += [process, called_by(process), *family_of(process)]
        return processes

    def kill(self, *names: str) -> None:
        """Kill −9, all at once."""
        for process in [p for name in names for p in self.processes(name)]:
            with contextlib.suppress(psutil.Error):
                called_by(process).kill()

    def kill_under_a_statement(self) -> None:
        """Kill the postmaster while a backend is busy, which goes on without it."""
        busy = self.database()
        busy.execute("SET statement_timeout = 0")
        with contextlib.suppress(psycopg.OperationalError):
            busy.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 10000000000)")
        self.kill("postgres")
        busy.close()

    def lose_logs(self) -> None:
        """Take the folder of the logs away, then kill what would write there next."""
        shutil.rmtree(self.folder / "logs")
        self.kill("web")

    def freeze(self, seconds: float, *names: str) -> None:
        """Stop processes and all below them for a while: PostgreSQL, unless others are named."""
        frozen = self.suspend(*(names or ("postgres",)))
        time.sleep(seconds)
        for process in frozen:
            with contextlib.suppress(psutil.Error):
                process.resume()

    def suspend(self, *names: str) -> list[psutil.Process]:
        """Stop processes and all below them; return them."""
        frozen = self.families(*names)
        for process in frozen:
            with contextlib.suppress(psutil.Error):
                process.suspend()
        return frozen

    def refuse_writes(self, seconds: float) -> None:
        """Take no writes for a while, on open connections, too: as a primary that was demoted."""
        with self.database() as connection:
            connection.autocommit = True
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            connection.execute("SELECT pg_reload_conf()")
            try:
                time.sleep(seconds)
            finally:
                connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
                connection.execute("SELECT pg_reload_conf()")

    def miss_a_table(self, seconds: float) -> None:
        """Lack a table for a while, as between a new web process and its migration."""
        with self.database() as connection:
            connection.autocommit = True
            connection.execute("ALTER TABLE experiments_eventid RENAME TO elsewhere")
            try:
                time.sleep(seconds)
            finally:
                connection.execute("ALTER TABLE elsewhere RENAME TO experiments_eventid")

    def jump_clock(self, seconds: float) -> None:
        """Be an hour ahead for a while, then an hour behind."""
        for offset in (3600, -3600, 0):
            self.clock.jump(offset)
            time.sleep(seconds / 2 if offset else 0)

    @property
    def folder(self) -> Path:
        """The home, as it is seen from outside its namespace."""
        if self.holder is None:
            return self.home
        return Path(f"/proc/{self.holder.pid}/root{self.home}")

    def fill_disk(self, seconds: float) -> None:
        """Take the last byte of the disk, and give it back."""
        ballast = self.folder / "ballast"
        deadline = time.monotonic() + seconds
        with ballast.open("wb") as file:
            taken = 0
            while time.monotonic() < deadline:  # what others give back is taken too
                free = shutil.disk_usage(self.folder).free
                if free:
                    with contextlib.suppress(OSError):
                        os.posix_fallocate(file.fileno(), taken, free)
                        taken += free
                time.sleep(0.02)
        ballast.unlink()

    def restart(self) -> None:
        """Ask it to stop, as a deployment does, and start it again."""
        self.stop()
        self.start()

    def database(self) -> psycopg.Connection:
        return psycopg.connect(f"postgresql:///bakeoff?host={self.folder}/run&user=bakeoff")

    def cache(self) -> redis.Redis:
        return redis.Redis.from_url(f"unix://{self.folder}/run/valkey.sock?db=0")

    def broker(self) -> redis.Redis:
        return redis.Redis.from_url(f"unix://{self.folder}/run/valkey.sock?db=1")

    def stop(self) -> None:
        if self.supervisor is not None and self.supervisor.poll() is None:
            self.supervisor.send_signal(signal.SIGTERM)
            try:
                self.supervisor.wait(90)
            except subprocess.TimeoutExpired:
                for child in family_of(psutil.Process(self.supervisor.pid)):
                    child.kill()
                self.supervisor.kill()

    def close(self) -> None:
        self.stop()
        if self.holder is not None:
            self.holder.kill()
            self.holder.wait()
        shutil.rmtree(self.home, ignore_errors=True)
        self.output.unlink(missing_ok=True)
        shutil.rmtree(self.home.with_suffix(".clock"), ignore_errors=True)
