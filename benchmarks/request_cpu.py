"""CPU that our own code costs for a request, of this checkout beside another one.

`python -m benchmarks.request_cpu --beside CHECKOUT`, for work on the way of a request on a machine that
others use: rates say little there. The application answers within its process, one request at a time,
without a server's HTTP; reads and commits are left out, which a bare route makes as well: what the cache
holds of a unit is read once, and rows are written as JSON and not sent. Both checkouts take turns of many
short blocks of requests, and the figure is that of the cheapest: what others do to the caches only adds.
How fast a machine serves is what `web` measures.
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
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

UNITS, REQUESTS, BLOCKS = 2000, 10, 200  # requests of a block, blocks of a turn
RANK = "/v1/rank"  # 50 actions with 64 features
PATHS = ("/v1/recommend", "/v1/events", RANK)


def answer_in_turns(key: str, decisions: Path) -> None:
    """Be one side: start the application, then answer blocks of a path for each line of the input.

    Args:
        key: of a platform that runs.
        decisions: file with bodies of requests for an action.
    """
    import uvloop

    from bakeoff.asgi import application

    _leave_out_servers()

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
        bodies = json.loads(decisions.read_bytes())
        requests = {path: _requests(path, key, bodies) for path in PATHS}
        await _wait_for_policy(application, requests[RANK])
        for path in PATHS:  # what is met first is loaded, and exposed, once
            for _ in range(UNITS if path != RANK else UNITS // 10):
                await application(*next(requests[path]))
        print("ready", flush=True)
        while path := (await asyncio.to_thread(sys.stdin.readline)).strip():
            print(min(_block(application, requests[path]) for _ in range(BLOCKS)), flush=True)
        messages.put_nowait({"type": "lifespan.shutdown"})
        await ended.wait()
        await living

    uvloop.run(run())


async def _wait_for_policy(application: Any, requests: Iterator[tuple[Any, Any, Any]]) -> None:
    """Wait until the process has read the version that chooses."""
    answers: list[bytes] = []

    async def remember(message: dict[str, Any]) -> None:
        answers.append(message.get("body", b""))

    for _ in range(120):
        await application(*next(requests)[:2], remember)
        if b'"model":"linear-thompson@1"' in answers[-1] and b'"fallback":null' in answers[-1]:
            return
        await asyncio.sleep(0.5)
    raise RuntimeError(f"the policy does not serve: {answers[-1]!r}")


def _leave_out_servers() -> None:
    """Let reads be answered from memory, and commits at once."""
    from bakeoff.gateway.intake import group_commit
    from bakeoff.gateway.slates.cache_reader import GroupRead
    from experiments.ingest.statement import Committed

    really_read, states = GroupRead.read, {}

    async def read(reader: GroupRead, keys: Any) -> Any:
        if keys not in states:
            states[keys] = await really_read(reader, keys)
        return states[keys]

    async def commit(_writer: Any, rows: Any) -> Any:
        group_commit._payload_of(rows)
        return group_commit.CommitResult("committed", Committed())

    GroupRead.read = read  # type: ignore[method-assign]
    group_commit.GroupCommit.commit = commit  # type: ignore[method-assign]


def _block(application: Any, requests: Iterator[tuple[Any, Any, Any]]) -> float:
    """Return milliseconds of CPU for a request, of a block that is answered."""
    ready = [application(*next(requests)) for _ in range(REQUESTS)]
    before = time.thread_time()
    for answering in ready:
        try:
            answering.send(None)
        except StopIteration:
            continue
        raise RuntimeError("a request waited")
    return (time.thread_time() - before) / REQUESTS * 1000


def _requests(path: str, key: str, decisions: list[dict[str, Any]]) -> Iterator[tuple[Any, Any, Any]]:
    """Yield what an ASGI application is called with."""
    mark = uuid.uuid4().hex[:8]
    for n in itertools.count():
        body: dict[str, Any] = {"unit_id": f"user-{n % UNITS}"}
        if path == RANK:
            body |= decisions[n % len(decisions)]
        elif path == "/v1/recommend":
            body |= {"surface": "home-feed", "k": 10}
        else:
            body |= {
                "event_id": f"{mark}-{n}",
                "name": "view",
                "item_id": f"item-{n % 5000}",
                "value": 1.0,
            }
        raw = json.dumps(body).encode()
        yield _scope(path, raw, key), partial(_receive, raw), _send


async def _receive(body: bytes) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": False}


async def _send(message: dict[str, Any]) -> None:
    if message["type"] == "http.response.start" and message["status"] not in {200, 202}:
        raise RuntimeError(message)


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
        "bakeoff.body_arrived": True,
    }


class Side:
    """A process that answers with the code of one checkout."""

    def __init__(self, tree: Path, key: str, decisions: Path) -> None:
        """Start it."""
        folders = [str(tree), str(tree / "platform"), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, "--key", key, "--decisions", str(decisions)],
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


def compare(trees: dict[str, Path], turns: int, paths: Sequence[str]) -> None:
    """Let the checkouts take turns; print each path's figures, and the ratios of neighbouring turns."""
    from benchmarks.rank import serve_policy
    from benchmarks.stage import staged

    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="bakeoff-cpu-"))
        stage = stack.enter_context(staged(home, peer=False))
        decisions = Path(home) / "decisions.json"
        decisions.write_text(json.dumps(serve_policy(stage.project_id)))
        sides = {name: Side(tree, stage.public, decisions) for name, tree in trees.items()}
        for side in sides.values():
            stack.callback(side.stop)
        for path in paths:
            _compare(path, sides, turns)


def _compare(path: str, sides: dict[str, Side], turns: int) -> None:
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
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--key", help="of a platform that runs: be one side of it")
    parser.add_argument("--decisions", type=Path, help="likewise: bodies of requests for an action")
    parser.add_argument("--only", choices=PATHS)
    arguments = parser.parse_args()
    if arguments.key:
        answer_in_turns(arguments.key, arguments.decisions)
        return
    trees = {"this": Path.cwd()}
    if arguments.beside is not None:
        trees["beside"] = arguments.beside.resolve()
    compare(trees, arguments.turns, [arguments.only] if arguments.only else PATHS)


if __name__ == "__main__":
    main()
