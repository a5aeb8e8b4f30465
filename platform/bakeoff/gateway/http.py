"""Just enough HTTP over ASGI: read a bounded body, send JSON."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import orjson

from bakeoff.gateway.errors import ApiError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MOST_BODY = 1024 * 1024
_JSON = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class Request:
    """One request, its body not yet read."""

    scope: Scope
    receive: Receive

    @property
    def method(self) -> str:
        """HTTP method."""
        return str(self.scope["method"])

    def header(self, name: bytes) -> str:
        """Return a header, or nothing."""
        for key, value in self.scope["headers"]:
            if key == name:
                return str(value.decode("latin-1"))
        return ""

    def query(self, name: str) -> str:
        """Return a query parameter, or nothing."""
        found = parse_qs(self.scope.get("query_string", b"").decode("latin-1")).get(name)
        return found[0] if found else ""

    async def body(self) -> bytes:
        """Return the whole body.

        Raises:
            ApiError: it is larger than `MOST_BODY`, or the client went away.
        """
        parts, size = [], 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ApiError(400, "disconnected", "The client went away before the body ended.")
            part = message.get("body", b"")
            size += len(part)
            if size > MOST_BODY:
                raise _too_large()
            parts.append(part)
            if not message.get("more_body"):
                return b"".join(parts)

    def _unpack(self, raw: bytes) -> bytes:
        """Undo `Content-Encoding: gzip`; what grows beyond the limit is not unpacked to its end."""
        encoding = self.header(b"content-encoding").strip().lower()
        if encoding in {"", "identity"}:
            return raw
        if encoding != "gzip":
            raise ApiError(
                415,
                "unsupported_encoding",
                f"content-encoding == '{encoding[:40]}', must be gzip or identity.",
            )
        unpacker = zlib.decompressobj(wbits=31)
        try:
            unpacked = unpacker.decompress(raw, MOST_BODY + 1)
        except zlib.error as error:
            raise ApiError(400, "not_gzip", f"The body is not gzip: {error}.") from error
        if len(unpacked) > MOST_BODY:
            raise _too_large()
        if not unpacker.eof:
            raise ApiError(400, "not_gzip", "The body is not gzip: it ends too early.")
        return unpacked

    async def json(self) -> dict[str, Any]:
        """Return the body as a JSON object.

        Raises:
            ApiError: another media type, not JSON, not an object, or text that cannot be stored.
        """
        kind = self.header(b"content-type").split(";")[0].strip().lower()
        if kind and kind not in {"application/json", "text/plain"}:
            raise ApiError(
                415,
                "unsupported_media_type",
                f"content-type == '{kind}', must be application/json.",
            )
        raw = self._unpack(await self.body())
        try:
            data = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise ApiError(400, "not_json", f"The body is not JSON: {error}.") from error
        if not isinstance(data, dict):
            raise ApiError(400, "not_an_object", f"body is a {type(data).__name__}, must be an object.")
        # PostgreSQL's text cannot hold NUL; escaped backslashes make this a rare false alarm, so
        # the parsed value is looked at before anybody is refused.
        if b"\\u0000" in raw and holds_nul(data):
            raise ApiError(400, "nul_character", "The body holds U+0000, must hold none.")
        return data


def _too_large() -> ApiError:
    return ApiError(413, "body_too_large", f"body > {MOST_BODY} bytes, must be at most {MOST_BODY}.")


def holds_nul(value: object) -> bool:
    """Whether U+0000 is anywhere in a parsed JSON value; PostgreSQL's text cannot hold it."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(holds_nul(key) or holds_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(holds_nul(item) for item in value)


async def send_json(
    send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    """Send an answer."""
    fixed = [_JSON, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fixed + (headers or [])})
    await send({"type": "http.response.body", "body": body})


async def send_events(
    receive: Receive, send: Send, events: AsyncIterator[bytes], headers: list[tuple[bytes, bytes]]
) -> None:
    """Send server-sent events until the client goes away."""
    fixed = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
    await send({"type": "http.response.start", "status": 200, "headers": fixed + headers})
    await send({"type": "http.response.body", "body": b": hello\n\n", "more_body": True})
    gone = asyncio.ensure_future(_wait_for_end(receive))
    try:
        while True:
            following = asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait({gone, following}, return_when=asyncio.FIRST_COMPLETED)
            if gone in done:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
                return
            await send({"type": "http.response.body", "body": following.result(), "more_body": True})
    finally:
        gone.cancel()


async def _wait_for_end(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_error(send: Send, error: ApiError, headers: list[tuple[bytes, bytes]]) -> None:
    """Send an error in its one shape."""
    extra = list(headers)
    if error.retry_after is not None:
        extra.append((b"retry-after", str(error.retry_after).encode()))
    await send_json(send, error.status, error.body(), extra)
