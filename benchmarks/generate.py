"""The door of chat completions, beside asking the provider directly and beside LiteLLM's proxy.

LITELLM names the `litellm` of an environment of its own (`pip install 'litellm[proxy]'`); without it there
is no peer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import uvloop

from benchmarks.instant_provider import CHUNKS
from benchmarks.load import measure, request_bytes
from benchmarks.results import Row, median_of, write_result
from benchmarks.stage import body, free_port, staged, wait_until_up

MESSAGES = [{"role": "user", "content": "Where is my order?"}]
SLOW_SECONDS = 16.0
LITELLM_KEY = f"sk-{secrets.token_hex(16)}"  # it does not start with one that is well known


@dataclass(frozen=True)
class Target:
    """Where to ask, and as whom."""

    port: int
    key: str
    model: str

    def request(self, *, stream: bool, unit: str = "u1") -> bytes:
        fields = {"model": self.model, "user": unit, "stream": stream, "messages": MESSAGES}
        return request_bytes("POST", "/v1/chat/completions", body(fields), self.key)


def run(size: str, home: str) -> None:
    seconds, repeats, streams = (5.0, 3, 500) if size == "full" else (1.0, 1, 50)
    port, slow = free_port(), free_port()
    declare(home, instant=port, slow=slow)
    with providers(port, slow), staged(home, peer=False) as stage, litellm(home, port) as peer_port:
        secret = make_surfaces(stage.project_id)
        targets = {
            "ours": Target(stage.port, secret, "instant"),
            "limit": Target(port, "", "instant"),
        }
        if peer_port:
            targets["peer"] = Target(peer_port, LITELLM_KEY, "instant")
        figures: dict[str, dict[str, list[float]]] = {name: {} for name in targets}
        for _ in range(repeats):
            for name, target in targets.items():
                for what, value in measured(target, seconds).items():
                    figures[name].setdefault(what, []).append(value)
        opened = open_streams(stage.web_pid, Target(stage.port, secret, "slow"), streams)
    rows = [row(figures, what, unit, higher) for what, unit, higher in FIGURES]
    rows += [
        Row("memory of the web process", opened.before / 2**20, "MiB"),
        Row(f"memory of {streams} open streams, each", opened.each / 1024, "KiB", target="ours <= 256"),
        Row(
            f"{streams} open streams: mean time between chunks, the median stream",
            median(opened.means),
            "ms",
        ),
        Row("the same, from the 5th to the 95th percentile of streams", spread_of(opened.means), "ms"),
        Row("the longest time between chunks, the median stream", median(opened.max_gaps), "ms"),
        Row(
            "the same, the 95th percentile of streams", float(np.quantile(opened.max_gaps, 0.95)), "ms"
        ),
    ]
    notes = (
        "A provider that answers at once, in a process of its own; the limit asks it directly, the peer is LiteLLM's "
        f"proxy with one worker. Streams of {CHUNKS} chunks. One web process; each answer of ours is committed to "
        "PostgreSQL before its last byte, the peer stores nothing. Everything on the same cores. Of open streams the "
        f"provider gives a chunk every {SLOW_SECONDS * 1000 / CHUNKS:g} ms to each; the client that reads them is one process."
    )
    write_result("generate", size, rows, notes)


FIGURES = (
    ("requests/s, not streamed, 16 at once", "requests/s", True),
    ("streams/s, 16 at once", "streams/s", True),
    ("time to first token, one at a time", "ms", False),
    ("a whole stream, one at a time", "ms", False),
    ("a chunk, one at a time", "µs", False),
)


def row(figures, what: str, unit: str, higher: bool) -> Row:
    ours, spread = median_of(figures["ours"][what])
    peer = median_of(figures["peer"][what])[0] if "peer" in figures else None
    limit = median_of(figures["limit"][what])[0]
    return Row(what, ours, unit, peer, limit, "ratio_to_peer >= 1" if peer else "",
               higher_is_better=higher, spread=spread)  # fmt: skip


def measured(target: Target, seconds: float) -> dict[str, float]:
    plain = measure(target.port, lambda: target.request(stream=False), connections=16, seconds=seconds)
    if plain.errors:
        raise RuntimeError(f"{plain.errors} failed: {plain.first_error!r}")
    many = uvloop.run(read_streams(target, connections=16, seconds=seconds))
    alone = uvloop.run(read_streams(target, connections=1, seconds=seconds))
    first, whole = np.median(np.array(alone), axis=0)
    return {
        FIGURES[0][0]: plain.requests_per_second,
        FIGURES[1][0]: len(many) / seconds,
        FIGURES[2][0]: first * 1000,
        FIGURES[3][0]: whole * 1000,
        FIGURES[4][0]: (whole - first) * 1e6 / CHUNKS,
    }


async def read_streams(
    target: Target, *, connections: int, seconds: float
) -> list[tuple[float, float]]:
    """Return, per stream, the seconds to its first token and to its end."""
    seen: list[tuple[float, float]] = []
    until = time.perf_counter() + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        while time.perf_counter() < until:
            seen.append(await read_stream(reader, writer, target.request(stream=True)))
        writer.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    return seen


async def read_stream(reader, writer, request: bytes) -> tuple[float, float]:
    start = time.perf_counter()
    writer.write(request)
    received, first = b"", 0.0
    while not received.endswith(b"0\r\n\r\n"):
        part = await reader.read(65536)
        if not part:
            raise RuntimeError(f"a stream ended early: {received[-200:]!r}")
        received = received[-64:] + part
        if not first and b'"word ' in received:
            first = time.perf_counter() - start
    if not first:
        raise RuntimeError(f"no stream: {received[:200]!r}")
    return first, time.perf_counter() - start


@dataclass(frozen=True)
class OpenStreams:
    """What many open streams cost, and how evenly they are served.

    Attributes:
        before: bytes of the web process.
        each: bytes that a stream adds.
        means: mean time between chunks of each stream, in ms.
        max_gaps: longest of these times of each stream, in ms.
    """

    before: int
    each: float
    means: list[float]
    max_gaps: list[float]


def median(values: list[float]) -> float:
    return float(np.median(values))


def spread_of(values: list[float]) -> float:
    low, high = np.quantile(values, [0.05, 0.95])
    return float(high - low)


def open_streams(pid: int, target: Target, streams: int) -> OpenStreams:
    """Open so many streams at once, and read all of them to their end."""
    process = psutil.Process(pid)
    before = process.memory_info().rss
    highest = [before]

    async def one(number: int) -> np.ndarray:
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        times = await chunk_times(reader, writer, target.request(stream=True, unit=f"u{number}"))
        writer.close()
        return np.diff(times) * 1000

    async def watch() -> None:
        while True:
            highest.append(process.memory_info().rss)
            await asyncio.sleep(0.2)

    async def open_all() -> list[np.ndarray]:
        watching = asyncio.create_task(watch())
        gaps = await asyncio.gather(*(one(number) for number in range(streams)))
        watching.cancel()
        return gaps

    gaps = uvloop.run(open_all())
    means, max_gaps = [float(one.mean()) for one in gaps], [float(one.max()) for one in gaps]
    return OpenStreams(before, float(max(highest) - before) / streams, means, max_gaps)


async def chunk_times(reader, writer, request: bytes) -> list[float]:
    """Return when each of a stream's words came; several that came together, at one time."""
    writer.write(request)
    received, times = b"", []
    while not received.endswith(b"0\r\n\r\n"):
        part = await reader.read(65536)
        if not part:
            raise RuntimeError(f"a stream ended early: {received[-200:]!r}")
        times += [time.perf_counter()] * part.count(b'"word ')
        received = received[-64:] + part
    return times


def declare(home: str, **ports: int) -> None:
    """Declare the providers, before the platform starts."""
    file = Path(home) / "providers.yaml"
    file.write_text(
        "".join(f"{name}: {{base_url: 'http://127.0.0.1:{port}/v1'}}\n" for name, port in ports.items())
    )
    os.environ["BAKEOFF_PROVIDERS"] = str(file)
    os.environ["BAKEOFF_OUTGOING_ALLOW"] = "127.0.0.1"


@contextlib.contextmanager
def providers(instant: int, slow: int):
    commands = [
        [sys.executable, "-m", "benchmarks.instant_provider", str(instant)],
        [sys.executable, "-m", "benchmarks.instant_provider", str(slow), str(SLOW_SECONDS)],
    ]
    processes = [subprocess.Popen(command) for command in commands]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.wait(20)


@contextlib.contextmanager
def litellm(home: str, provider: int):
    """Start LiteLLM's proxy, if there is one; yield its port, or 0."""
    program = os.environ.get("LITELLM", "")
    if not program:
        yield 0
        return
    port, config = free_port(), Path(home) / "litellm.yaml"
    config.write_text(
        "model_list:\n- model_name: instant\n  litellm_params:\n    model: openai/instant\n"
        f"    api_base: http://127.0.0.1:{provider}/v1\n    api_key: none\n"
        f"general_settings:\n  master_key: {LITELLM_KEY}\n"
    )
    command = [program, "--config", str(config), "--port", str(port), "--num_workers", "1"]
    with (Path(home) / "litellm.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_until_up(f"http://127.0.0.1:{port}/health/liveliness")
            yield port
        finally:
            process.terminate()
            process.wait(20)


def make_surfaces(project_id: int) -> str:
    """Make a surface per provider; return a secret key."""
    from bakeoff.accounts.keys import SECRET
    from bakeoff.accounts.models import ApiKey, Project
    from experiments.actions.add_prompt import add_prompt
    from experiments.actions.change_surface import create_surface

    project = Project.objects.get(pk=project_id)
    for name in ("instant", "slow"):
        surface = create_surface(project=project, key=name, values={"kind": "generate"}, by="bench")
        add_prompt(surface=surface, data={"provider": name, "model": name}, by="bench")
    _, secret = ApiKey.make(project, SECRET, name="bench")
    time.sleep(5)  # web processes read it
    return secret
