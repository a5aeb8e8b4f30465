"""HTTP/1.1 connections that are kept and used again: requests out, answers in parts as they come.

httptools parses, as for the requests that come in. Guarantees: an answer is read no faster than its
reader takes it; a connection is used again only where the answer before it has come to its end by its
own framing; a head, and what frames a body, are bounded; a request cannot carry more headers than were
meant (no line breaks in them). Where an address leads is the caller's to judge (`connect`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, cast
from urllib.parse import urlsplit

import httptools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

MAX_HEAD_BYTES = 64 * 1024
MAX_FRAMING = 64  # bytes of framing for one of the body: beyond it the framing is the answer
MAX_BUFFERED_BYTES = 256 * 1024  # then the sender waits
_PORTS = {"http": 80, "https": 443}


class BrokenAnswerError(OSError):
    """An answer that is none, or that ended in the middle."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where connections may be shared."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes, taken from a URL."""

    origin: Origin
    authority: str
    path: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Take a URL apart; user and fragment are left out.

        Raises:
            ValueError: it is no http or https URL, or has characters that a request line cannot have.
        """
        parts = urlsplit(url)
        printable = url.isascii() and url.isprintable() and " " not in url
        if not printable or parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("not a URL of http or https")
        origin = Origin(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme])
        path = parts.path or "/"
        target = f"{path}?{parts.query}" if parts.query else path
        return cls(origin, parts.netloc.rpartition("@")[2], target)


def write_request(
    method: str, target: Target, headers: Mapping[str, str], content: bytes | None
) -> bytes:
    """Return a request as bytes.

    Raises:
        ValueError: a header has a line break or another control character.
    """
    lines = [f"{method} {target.path} HTTP/1.1", f"host: {target.authority}"]
    for name, value in headers.items():
        if not f"{name}{value}".isprintable():
            raise ValueError(f"header {name!r} has a control character")
        lines.append(f"{name}: {value}")
    if content is not None:
        lines.append(f"content-length: {len(content)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (content or b"")


class Connection(asyncio.Protocol):
    """One connection: a request at a time, and its answer in parts."""

    def __init__(self) -> None:
        """Wait for a transport."""
        self._transport: asyncio.Transport | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self.is_open = False
        self._begin()

    def _begin(self) -> None:
        """Expect an answer."""
        self._parser = httptools.HttpResponseParser(self)
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._parts: deque[bytes] = deque()
        self._buffered = self._framing = self._body = 0
        self._has_head = self._is_whole = self._paused = self._is_framed = False
        self._may_reuse = False

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        # Not asserted: uvloop's has the methods, and is no subclass.
        self._transport, self.is_open = cast("asyncio.Transport", transport), True

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._is_whole or not self._waits:
            self.close()  # nobody asked: whatever it is, it would pass for the next answer
            return
        self._framing += len(data)
        try:
            self._parser.feed_data(data)
            self._check_framing()
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, BrokenAnswerError) as error:
            self._fail(BrokenAnswerError(f"no answer of HTTP/1.1: {error or type(error).__name__}"))
        self._wake()

    def eof_received(self) -> None:
        """End an answer that is as long as its connection; others are broken."""
        if self._has_head and not self._is_framed:
            self._is_whole = True

    def connection_lost(self, error: Exception | None) -> None:
        """Say so to who waits."""
        self.is_open = False
        if not self._is_whole and self._error is None:
            self._error = BrokenAnswerError(f"the connection ended: {error or 'early'}")
        self._stop_timer()
        self._wake()

    # httptools' side

    def on_message_begin(self) -> None:
        """Refuse a second answer, which would pass for the next one.

        Raises:
            BrokenAnswerError: there is one.
        """
        if self._is_whole:
            raise BrokenAnswerError("an answer to no request")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; those behind a body are of no use."""
        if self._has_head:
            return
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Begin the body, unless this only announces an answer."""
        self.status = self._parser.get_status_code()
        if self.status >= 200:
            self._has_head = True
            # A status without a body ends at its head, which the parser says at once.
            self._is_framed = any(
                name == b"content-length"
                or (name == b"transfer-encoding" and b"chunked" in value.lower())
                for name, value in self.headers
            )

    def on_body(self, data: bytes) -> None:
        """Keep a part; the sender waits while many are kept."""
        self._parts.append(data)
        self._body += len(data)
        self._buffered += len(data)
        if self._buffered > MAX_BUFFERED_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """End the answer; of an announcement, wait for the answer itself."""
        if self.status < 200:
            self.headers = []
            return
        self._is_whole = True
        self._may_reuse = self._parser.should_keep_alive()

    def _check_framing(self) -> None:
        framing = self._framing - self._body
        if framing > MAX_HEAD_BYTES + MAX_FRAMING * self._body:
            raise BrokenAnswerError(f"bytes that frame an answer == {framing}")

    # the request's side

    @property
    def _waits(self) -> bool:
        return self._expiry is None

    async def send(self, request: bytes) -> None:
        """Send a request, and wait for the answer's head.

        Raises:
            BrokenAnswerError: there is none.
        """
        self._stop_timer()
        self._begin()
        if not self.is_open or self._transport is None:
            raise BrokenAnswerError("the connection has ended")
        self._transport.write(request)
        while not self._has_head:
            await self._more()

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the body, whatever of it is there at a time.

        Raises:
            BrokenAnswerError: it ends in the middle.
        """
        while True:
            while not self._parts:
                if self._is_whole:
                    return
                await self._more()
            part = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts.clear()
            self._buffered = 0
            if self._paused and self._transport is not None and self.is_open:
                self._paused = False
                self._transport.resume_reading()
            yield part

    async def _more(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: BrokenAnswerError) -> None:
        self._error = error
        self.close()

    def rest(self, seconds: float) -> bool:
        """Whether another request may use it, which closes it after so long without one."""
        if not (self._is_whole and self._may_reuse and self.is_open and not self._parts):
            self.close()
            return False
        self._expiry = asyncio.get_running_loop().call_later(seconds, self.close)
        return True

    def _stop_timer(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def close(self) -> None:
        """Hang up, at once."""
        self._stop_timer()
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()


class ConnectionPool:
    """Connections to many origins; one in an event loop."""

    def __init__(
        self,
        connect: Callable[[Origin, Callable[[], Connection]], Awaitable[Connection]],
        *,
        max_connections: int,
        keepalive_seconds: float,
    ) -> None:
        """Connect to nothing yet.

        Args:
            connect: makes a connection to an origin by a protocol's factory.
            max_connections: at once, those at rest among them; more requests wait.
            keepalive_seconds: how long one rests before it is closed.
        """
        self._connect, self._keepalive_seconds = connect, keepalive_seconds
        self._max_connections, self._in_use = max_connections, 0
        self._places = asyncio.Semaphore(max_connections)
        self._resting: dict[Connection, Origin] = {}

    @contextlib.asynccontextmanager
    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None
    ) -> AsyncIterator[Connection]:
        """Send a request, and yield the connection when the answer's head is there.

        Raises:
            OSError, ValueError: it cannot be sent, or there is no answer.
        """
        target = Target.parse(url)
        request = write_request(method, target, headers, content)
        async with self._places:
            self._in_use += 1
            connection = None
            try:
                connection = self._rested(target.origin)
                if connection is None:
                    self._make_room()
                    connection = await self._connect(target.origin, Connection)
                await connection.send(request)
                yield connection
            finally:
                self._in_use -= 1
                if connection is not None and connection.rest(self._keepalive_seconds):
                    self._resting[connection] = target.origin

    def _rested(self, origin: Origin) -> Connection | None:
        """Return the connection that rests for the shortest time."""
        for connection in [one for one in self._resting if not one.is_open]:
            del self._resting[connection]
        for connection in reversed(self._resting):
            if self._resting[connection] == origin:
                del self._resting[connection]
                return connection
        return None

    def _make_room(self) -> None:
        """Close those that have rested for long, where all together are too many."""
        while self._resting and len(self._resting) + self._in_use > self._max_connections:
            oldest = next(iter(self._resting))
            del self._resting[oldest]
            oldest.close()

    async def aclose(self) -> None:
        """Close those that rest; those in use are closed by their requests."""
        for connection in self._resting:
            connection.close()
        self._resting.clear()
