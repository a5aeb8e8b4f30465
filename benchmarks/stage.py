"""A platform to measure: servers, web, a shop with data; and the plain Django peer beside it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx2

UNITS = 2_000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Stage:
    """Where to send requests."""

    port: int
    peer_port: int
    public: str
    project_id: int
    database_url: str
    web_pid: int
    plain_surface: str = "plain"
    shared_surface: str = "shared"
    surface: str = "home-feed"


@contextlib.contextmanager
def staged(home: str, *, peer: bool = True) -> Iterator[Stage]:
    """Start servers and web, fill them, and start the peer."""
    os.environ["BAKEOFF_HOME"] = home
    os.environ["DJANGO_SETTINGS_MODULE"] = "bakeoff.settings"
    from bakeoff.embedded.programs import programs_of
    from bakeoff.embedded.supervisor import Platform
    from bakeoff.environment import read_environment

    environment = read_environment()
    platform = Platform(environment, port=free_port())
    platform.start_servers()
    processes: list[subprocess.Popen] = []
    try:
        import django

        django.setup()
        from benchmarks.shop import fill_shop

        public, project_id = fill_shop()
        port, peer_port = free_port(), free_port()
        # The command of `bakeoff up`: what is measured is served as users are served.
        web = programs_of(environment, "127.0.0.1", port, web_processes=1)[0]
        processes.append(subprocess.Popen(web.command, env=dict(web.environment)))
        if peer:
            processes.append(_start_peer(peer_port))
        wait_until_up(f"http://127.0.0.1:{port}/readyz")
        if peer:
            wait_until_up(f"http://127.0.0.1:{peer_port}/ready")
        database_url, web_pid = environment.database_url, processes[0].pid
        yield Stage(port, peer_port, public, project_id, database_url, web_pid)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(20)
        platform.stop()


def _start_peer(port: int) -> subprocess.Popen:
    from bakeoff.embedded.programs import ONE_THREAD

    command = [
        sys.executable, "-m", "uvicorn", "benchmarks.peer:application", "--port", str(port),
        "--no-access-log", "--log-level", "error",
    ]  # fmt: skip
    variables = {**os.environ, **ONE_THREAD, "DJANGO_SETTINGS_MODULE": "benchmarks.peer_settings"}
    return subprocess.Popen(command, env=variables)


START_SECONDS = 180.0  # loaded machines, and peers that import for long


def wait_until_up(url: str) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(httpx2.HTTPError):
            if httpx2.get(url, timeout=2).status_code == 200:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{url} did not answer")


def body(value: object) -> bytes:
    return json.dumps(value).encode()
