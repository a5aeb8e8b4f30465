"""Just enough HTTP over ASGI: read a JSON body, send JSON and events."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs

import orjson

from bakeoff.gateway.http.bodies import MAX_HEADER_BYTES, BodyReader
from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.http.routes import JSON
from experiments.bounds import NotJsonError, check, read_json, shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from bakeoff.asgi_types import Receive, Scope, Send
    from bakeoff.gateway.http.routes import EventStream
    from bakeoff.gateway.http.text_threads import TextThreads

READ_INLINE_BYTES = 16 * 1024
# What is JSON in every respect is read in half a millisecond, and holds the interpreter's lock in a
# thread as well: the way there and back would only be added.
READ_STRICTLY_BYTES = 128 * 1024
# A browser must not take JSON that quotes somebody for a page.
_NOSNIFF = (b"x-content-type-options", b"nosniff")
_EVENTS = [
    (b"content-type", b"text/event-stream"),
    _NOSNIFF,
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would hold events back until its buffer is full
]


class Request(NamedTuple):
    """One request, its body not yet read.

    Attributes:
        scope: of ASGI.
        receive: likewise.
        bodies: reads the body.
        text_threads: for large bodies.
        headers: by name, in lower case.
    """

    scope: Scope
    receive: Receive
    bodies: BodyReader
    text_threads: TextThreads
    headers: Mapping[bytes, bytes]

    @classmethod
    def of(
        cls, scope: Scope, receive: Receive, bodies: BodyReader, text_threads: TextThreads
    ) -> Request:
        """Index the headers; of those that came several times the first counts."""
        return cls(scope, receive, bodies, text_threads, dict(reversed(scope["headers"])))

    @property
    def method(self) -> str:
        """HTTP method."""
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        """The path, decoded."""
        return str(self.scope["path"])

    @property
    def address(self) -> str:
        """Where the visitor comes from; empty behind a socket file."""
        client = self.scope.get("client")
        return str(client[0]) if client else ""

    def check_headers(self) -> None:
        """Refuse headers of which no honest client has so many.

        Raises:
            ApiError: 431.
        """
        size = sum(map(len, chain.from_iterable(self.scope["headers"])))
        size += len(self.scope.get("query_string", b"")) + len(self.path)
        if size > MAX_HEADER_BYTES:
            raise ApiError(
                431,
                "headers_too_large",
                f"address and headers == {size} bytes, must be at most {MAX_HEADER_BYTES}.",
                closes=True,
            )

    def header(self, name: bytes) -> str:
        """Return a header, or nothing."""
        return self.headers.get(name, b"").decode("latin-1")

    def query(self, name: str) -> str:
        """Return a query parameter, or nothing."""
        values = parse_qs(self.scope.get("query_string", b"").decode("latin-1")).get(name)
        return values[0] if values else ""

    async def body(self) -> bytes:
        """Return the whole body, unpacked.

        Raises:
            ApiError: as of `BodyReader.read`.
        """
        return await self.bodies.read(self.scope, self.receive)

    async def json(self, *, rows: str = "") -> dict[str, Any]:
        """Return the body as a JSON object whose values can be stored.

        Args:
            rows: name of a list whose entries are judged one by one, by who reads them.

        Raises:
            ApiError: another media type, not JSON, or not an object.
            BoundsError: a value that no lane takes.
        """
        kind = self.header(b"content-type").split(";")[0].strip().lower()
        if kind and kind not in {"application/json", "text/plain"}:
            raise ApiError(
                415,
                "unsupported_media_type",
                f"content-type == {shown(kind)}, must be application/json.",
            )
        raw = await self.body()
        try:
            data = await self._read(raw)
        except NotJsonError as error:
            raise ApiError(400, "not_json", f"The body is not JSON: {error}.") from error
        if not isinstance(data, dict):
            raise ApiError(400, "not_an_object", f"body is a {type(data).__name__}, must be an object.")
        judged = data if rows not in data else {k: v for k, v in data.items() if k != rows}
        check(judged, "body")
        return data

    async def _read(self, raw: bytes) -> Any:
        if len(raw) <= READ_INLINE_BYTES:
            return read_json(raw)
        if len(raw) <= READ_STRICTLY_BYTES:
            with suppress(orjson.JSONDecodeError):
                return orjson.loads(raw)
        # The lenient reading of a large body takes long enough to be felt by others.
        return await self.text_threads.run(partial(read_json, raw))


async def send_json(
    send: Send,
    status: int,
    body: bytes,
    headers: list[tuple[bytes, bytes]] | None = None,
    media_type: bytes = JSON,
) -> None:
    """Send an answer."""
    length = (b"content-length", str(len(body)).encode())
    fixed = [(b"content-type", media_type), _NOSNIFF, length]
    await send({"type": "http.response.start", "status": status, "headers": fixed + (headers or [])})
    await send({"type": "http.response.body", "body": body})


async def no_events() -> AsyncIterator[bytes]:
    """Yield nothing: what HEAD gets of a stream."""
    for _ in ():
        yield b""


async def send_events(
    receive: Receive, send: Send, events: AsyncIterator[bytes], headers: list[tuple[bytes, bytes]]
) -> None:
    """Send server-sent events until the client goes away."""
    await send({"type": "http.response.start", "status": 200, "headers": _EVENTS + headers})
    await send({"type": "http.response.body", "body": b": hello\n\n", "more_body": True})
    gone = asyncio.ensure_future(wait_for_disconnect(receive))
    try:
        while True:
            following = asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait({gone, following}, return_when=asyncio.FIRST_COMPLETED)
            if gone in done:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
                return
            try:
                part = following.result()
            except StopAsyncIteration:
                await send({"type": "http.response.body", "body": b""})
                return
            await send({"type": "http.response.body", "body": part, "more_body": True})
    finally:
        gone.cancel()


async def send_stream(
    receive: Receive, send: Send, stream: EventStream, headers: list[tuple[bytes, bytes]]
) -> None:
    """Send a stream to its end, or until the client goes away, which its maker is told at once."""
    gone = asyncio.ensure_future(wait_for_disconnect(receive))
    gone.add_done_callback(lambda _done: stream.abandon())
    try:
        every = _EVENTS + headers + stream.headers
        await send({"type": "http.response.start", "status": 200, "headers": every})
        async for part in stream.parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()
        stream.abandon()
        await stream.close()


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has gone away; the request's body has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_error(
    send: Send,
    error: ApiError,
    headers: list[tuple[bytes, bytes]],
    write: Callable[[ApiError], bytes] = ApiError.body,
) -> None:
    """Send an error in its one shape, or in that of the route's clients."""
    await send_json(send, error.status, write(error), [*headers, *error.headers()])
