"""A load generator: keep-alive HTTP over raw asyncio, so that it costs less than what it measures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import uvloop


@dataclass(frozen=True)
class Measured:
    """What one run saw."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    errors: int
    first_error: bytes = b""
    p95_ms: float = float("nan")


def request_bytes(method: str, path: str, body: bytes = b"", key: str = "") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
    if body:
        head += "Content-Type: application/json\r\n"
    if key:
        head += f"Authorization: Bearer {key}\r\n"
    return head.encode() + b"\r\n" + body


def whole_message(buffer: bytes) -> tuple[bytes, bytes] | None:
    """Return head and body of an HTTP message with a content-length; None while parts are missing."""
    head, separator, body = buffer.partition(b"\r\n\r\n")
    if not separator:
        return None
    at = head.lower().find(b"content-length:")
    length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
    return (head, body) if len(body) >= length else None


class _Client(asyncio.Protocol):
    """One connection that sends the next request when an answer is complete."""

    def __init__(self, make: Callable[[], bytes], until: float, seen: list, errors: list) -> None:
        self.make, self.until, self.seen, self.errors = make, until, seen, errors
        self.buffer, self.done = b"", asyncio.get_running_loop().create_future()

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(self.make())

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        message = whole_message(self.buffer)
        if message is None:
            return
        head, _ = message
        now = time.perf_counter()
        self.seen.append(now - self.sent)
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 202")):
            self.errors.append(head[:80])
        self.buffer = b""
        if now < self.until:
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, _error) -> None:
        if not self.done.done():
            self.done.set_result(None)


def measure(port: int, make: Callable[[], bytes], *, connections: int, seconds: float) -> Measured:
    """Send as fast as the server answers."""

    async def run() -> Measured:
        seen: list[float] = []
        errors: list[bytes] = []
        loop = asyncio.get_running_loop()
        start = time.perf_counter()
        clients = []
        for _ in range(connections):
            _, client = await loop.create_connection(
                lambda: _Client(make, start + seconds, seen, errors), "127.0.0.1", port
            )
            clients.append(client)
        await asyncio.gather(*(client.done for client in clients))
        spent = time.perf_counter() - start
        p50, p99 = np.quantile(np.array(seen) * 1000, [0.5, 0.99])
        return Measured(
            len(seen) / spent, float(p50), float(p99), len(errors), errors[0] if errors else b""
        )

    return uvloop.run(run())


def measure_at_rate(
    port: int,
    make: Callable[[], bytes],
    *,
    rate: float,
    seconds: float,
    answered: Callable[[bytes], None] = lambda _body: None,
    is_over: Callable[[], bool] = lambda: False,
) -> Measured:
    """Send at a steady rate whatever the answers do: latency counts from when a request was due.

    Args:
        port: of the platform.
        make: returns the next request.
        rate: requests a second.
        seconds: how long, at most.
        answered: called with the body of each answer.
        is_over: sends no more once it holds.
    """

    async def run() -> Measured:
        seen: list[float] = []
        errors: list[bytes] = []
        loop = asyncio.get_running_loop()
        idle: asyncio.LifoQueue = asyncio.LifoQueue()
        for _ in range(64):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            idle.put_nowait((reader, writer))

        async def one(due: float) -> None:
            reader, writer = await idle.get()
            if reader.at_eof():  # idle for longer than a server keeps a connection
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(make())
            head = await reader.readuntil(b"\r\n\r\n")
            at = head.lower().find(b"content-length:")
            content = await reader.readexactly(int(head[at + 15 :].split(b"\r\n", 1)[0]))
            seen.append(loop.time() - due)
            answered(content)
            if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 202")):
                errors.append(head[:80])
            idle.put_nowait((reader, writer))

        start, tasks = loop.time(), []
        for number in range(int(rate * seconds)):
            if is_over():
                break
            due = start + number / rate
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            tasks.append(asyncio.create_task(one(due)))
        await asyncio.gather(*tasks)
        p50, p95, p99 = np.quantile(np.array(seen) * 1000, [0.5, 0.95, 0.99]).tolist()
        return Measured(rate, p50, p99, len(errors), errors[0] if errors else b"", p95)

    return uvloop.run(run())
