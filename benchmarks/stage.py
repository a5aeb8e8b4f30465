"""A platform to measure: servers, web, a shop with data; and the plain Django peer beside it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2

from benchmarks.load import request_bytes

if TYPE_CHECKING:
    from bakeoff.environment import Environment

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
    from bakeoff.embedded.supervisor import Platform
    from bakeoff.environment import read_environment

    environment = read_environment()
    platform = Platform(environment, port=free_port())
    platform.start_servers()
    with contextlib.ExitStack() as stack:
        stack.callback(platform.stop)
        import django

        django.setup()
        from benchmarks.shop import fill_shop

        public, project_id = fill_shop(UNITS)
        web = stack.enter_context(serving_web(environment))
        peer_port = stack.enter_context(serving_peer()).port if peer else 0
        yield Stage(web.port, peer_port, public, project_id, environment.database_url, web.pid)


@dataclass(frozen=True)
class Served:
    """A server that answers: its port, and its first process."""

    port: int
    pid: int


@contextlib.contextmanager
def serving_web(environment: Environment, processes: int = 1) -> Iterator[Served]:
    """Start web by the command of `bakeoff up`: what is measured is served as users are served."""
    from bakeoff.embedded.programs import empty_metrics, programs_of

    port = free_port()
    empty_metrics(environment)
    web = programs_of(environment, "127.0.0.1", port, web_processes=processes)[0]
    with running(web.command, dict(web.environment), f"http://127.0.0.1:{port}/readyz") as pid:
        yield Served(port, pid)


@contextlib.contextmanager
def serving_peer(processes: int = 1) -> Iterator[Served]:
    """Start the plain Django peer."""
    variables = {"DJANGO_SETTINGS_MODULE": "benchmarks.peer_settings"}
    with serving_app("benchmarks.peer:application", processes, variables) as served:
        yield served


@contextlib.contextmanager
def serving_app(
    app: str, processes: int, variables: dict[str, str], *options: str, ready: str = "/ready"
) -> Iterator[Served]:
    """Start an application of the benchmarks by uvicorn."""
    from bakeoff.embedded.programs import ONE_THREAD

    port = free_port()
    command = [
        sys.executable, "-m", "uvicorn", app, "--port", str(port), "--workers", str(processes),
        "--no-access-log", "--log-level", "error", *options,
    ]  # fmt: skip
    environment = {**os.environ, **ONE_THREAD, **variables}
    with running(command, environment, f"http://127.0.0.1:{port}{ready}") as pid:
        yield Served(port, pid)


@contextlib.contextmanager
def running(command: list[str], variables: dict[str, str], url: str) -> Iterator[int]:
    """Run a server meanwhile; yield its process id once it answers."""
    process = subprocess.Popen(command, env=variables)
    try:
        wait_until_up(url, is_over=lambda: process.poll() is not None)
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


START_SECONDS = 180.0  # loaded machines, and peers that import for long


def wait_until_up(url: str, is_over: Callable[[], bool] = lambda: False) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and not is_over():
        with contextlib.suppress(httpx2.HTTPError):
            if httpx2.get(url, timeout=2).status_code == 200:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{url} did not answer")


def recommend_requests(stage: Stage, surface: str) -> list[bytes]:
    """Return a request for each user."""
    return [
        request_bytes(
            "POST",
            "/v1/recommend",
            body({"surface": surface, "unit_id": f"user-{n}", "k": 10}),
            stage.public,
        )
        for n in range(UNITS)
    ]


def body(value: object) -> bytes:
    return json.dumps(value).encode()
