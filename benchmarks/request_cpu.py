"""CPU of a web process for a request, of this checkout beside another: `python -m benchmarks.request_cpu`.

For work on the way of a request on a machine that others use: rates say little there, and what a process
spends says what the code costs. The application answers within its process, without a server's HTTP,
64 requests at once, with real PostgreSQL and Valkey. Both checkouts take turns of a few blocks of
requests; what others do to the caches only adds, so a turn's figure is that of its cheapest block. How
fast a machine serves is what `web` measures.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

CONNECTIONS, PER_CONNECTION, BLOCKS = 64, 8, 4
PATHS = ("/v1/recommend", "/v1/events")


def answer_in_turns(key: str) -> None:
    """Be one side: start the application, then answer blocks of a path for each line of the input."""
    import uvloop

    from bakeoff.asgi import application

    async def run() -> None:
        loop, messages = asyncio.get_running_loop(), asyncio.Queue[dict[str, Any]]()
        started, ended = asyncio.Event(), asyncio.Event()

        async def send(message: dict[str, Any]) -> None:
            if message["type"].endswith("failed"):
                raise RuntimeError(message)
            (ended if "shutdown" in message["type"] else started).set()

        living = loop.create_task(application({"type": "lifespan"}, messages.get, send))
        messages.put_nowait({"type": "lifespan.startup"})
        await started.wait()
        bodies = {path: _bodies(path) for path in PATHS}
        print("ready", flush=True)
        while path := (await asyncio.to_thread(sys.stdin.readline)).strip():
            # A block that something disturbed costs more, and none costs less than it must.
            seen = [await _block(application, path, bodies[path], key) for _ in range(BLOCKS)]
            print(json.dumps(min(seen)), flush=True)
        messages.put_nowait({"type": "lifespan.shutdown"})
        await ended.wait()
        await living

    uvloop.run(run())


def _bodies(path: str) -> Iterator[bytes]:
    mark = uuid.uuid4().hex[:8]
    for n in itertools.count():
        body: dict[str, Any] = {"unit_id": f"user-{n % 2000}"}
        if path == "/v1/recommend":
            body |= {"surface": "home-feed", "k": 10}
        else:
            body |= {
                "event_id": f"{mark}-{n}",
                "name": "view",
                "item_id": f"item-{n % 5000}",
                "value": 1.0,
            }
        yield json.dumps(body).encode()


async def _block(application: Any, path: str, bodies: Iterator[bytes], key: str) -> float:
    """Return milliseconds of CPU for a request, of a block that is answered."""
    count = CONNECTIONS * PER_CONNECTION
    ready = list(itertools.islice(bodies, count))
    statuses: list[int] = []

    async def connection(number: int) -> None:
        for body in ready[number::CONNECTIONS]:
            await application(_scope(path, body, key), *_channel(body, statuses))

    before = time.process_time()
    await asyncio.gather(*(connection(number) for number in range(CONNECTIONS)))
    spent = time.process_time() - before
    if len(statuses) != count or not set(statuses) <= {200, 202}:
        raise RuntimeError(f"{len(statuses)} answers, {set(statuses)}")
    return spent / count * 1000


def _channel(body: bytes, statuses: list[int]) -> tuple[Any, Any]:
    message = {"type": "http.request", "body": body, "more_body": False}

    async def receive() -> dict[str, Any]:
        return message

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    return receive, send


def _scope(path: str, body: bytes, key: str) -> dict[str, Any]:
    headers = [
        (b"host", b"127.0.0.1"),
        (b"content-length", str(len(body)).encode()),
        (b"content-type", b"application/json"),
        (b"authorization", b"Bearer " + key.encode()),
    ]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }


class Side:
    """A process that answers with the code of one checkout."""

    def __init__(self, tree: Path, key: str) -> None:
        """Start it."""
        folders = [str(tree), str(tree / "platform"), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--key", key],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(folders), "OMP_NUM_THREADS": "1"},
        )
        self._read()

    def turn(self, path: str) -> float:
        """Answer a few blocks; return the CPU of the cheapest, in milliseconds for a request."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        return float(self._read())

    def stop(self) -> None:
        """End it."""
        self._process.communicate("\n", timeout=30)

    def _read(self) -> str:
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            raise RuntimeError("a side ended")
        return line


def compare(trees: dict[str, Path], turns: int) -> None:
    """Let the checkouts take turns; print each path's figures, and the ratios of neighbouring turns."""
    from benchmarks.stage import staged

    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="bakeoff-cpu-"))
        stage = stack.enter_context(staged(home, peer=False))
        sides = {name: Side(tree, stage.public) for name, tree in trees.items()}
        for side in sides.values():
            stack.callback(side.stop)
        for path in PATHS:
            _compare(path, sides, turns)


def _compare(path: str, sides: dict[str, Side], turns: int) -> None:
    for side in sides.values():  # what is met first is loaded, and exposed, once
        for _ in range(2):
            side.turn(path)
    seen: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(turns):
        # Who comes first changes: nobody gets the caches warm each time.
        for name in sorted(sides, reverse=turn % 2 == 1):
            seen[name].append(sides[name].turn(path))
    for name, values in seen.items():
        print(f"{path} {name}: least {min(values):.3f}, {_spread(values)} ms of CPU")
    if "beside" in seen:
        ratios = [a / b for a, b in zip(seen["this"], seen["beside"], strict=True)]
        print(f"{path} this / beside: {_spread(ratios)}", flush=True)


def _spread(values: list[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"median {middle:.3f} (quarters {low:.3f} to {high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.request_cpu")
    parser.add_argument("--beside", type=Path, help="another checkout, with the same migrations")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--key", help="of a platform that runs: be one side of it")
    arguments = parser.parse_args()
    if arguments.key:
        answer_in_turns(arguments.key)
        return
    trees = {"this": Path.cwd()}
    if arguments.beside is not None:
        trees["beside"] = arguments.beside.resolve()
    compare(trees, arguments.turns)


if __name__ == "__main__":
    main()
