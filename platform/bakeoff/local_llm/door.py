"""The process's door: chat completions with and without streaming, models, health.

Guarantees: an answer ends by its deadline, the wait for a slot and for a model included; a client that
leaves stops its generation at the next token; a body is bounded; a page of a browser is not served.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.local_llm.answers import chunks_of, usage_of, whole_answer
from bakeoff.local_llm.errors import ApiError
from bakeoff.local_llm.requests import ChatRequest
from bakeoff.local_llm.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from bakeoff.asgi_types import Receive, Scope, Send
    from bakeoff.local_llm.shelf import Shelf

logger = logging.getLogger(__name__)
MAX_BODY_BYTES = 1_000_000
JSON = b"application/json"


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """How much is taken in.

    Attributes:
        slots: generations at once.
        max_waiting: requests that wait for a slot.
        seconds: of an answer, from the request's arrival to its end.
        max_tokens: of an answer.
    """

    slots: int = 4
    max_waiting: int = 64
    seconds: float = 120.0
    max_tokens: int = 512


class Door:
    """An ASGI application over a shelf of models."""

    def __init__(self, shelf: Shelf, limits: DoorLimits | None = None) -> None:
        """Serve these models."""
        self._shelf, self._limits = shelf, limits or DoorLimits()
        self._turns = Turns(self._limits.slots, self._limits.max_waiting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or take part in the server's start and stop."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            try:
                await self._route(scope, receive, send)
            except ApiError as error:
                await _send_json(send, error.status, error.body, retry_seconds=error.retry_seconds)

    async def _live(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "lifespan.shutdown":
            # A thread per generation, and some to load models and read artifacts.
            threads = ThreadPoolExecutor(2 * self._limits.slots, "generate")
            asyncio.get_running_loop().set_default_executor(threads)
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["method"], scope["path"]:
            case "GET", "/healthz":
                await _send_json(send, 200, self._health())
            case "GET", "/v1/models":
                await _send_json(send, 200, self._models())
            case "POST", "/v1/chat/completions":
                await self._complete(scope, receive, send)
            case _, "/healthz" | "/v1/models" | "/v1/chat/completions":
                raise ApiError.invalid(
                    f"method {scope['method']} is not answered here.",
                    code="method_not_allowed",
                    status=405,
                )
            case _:
                raise ApiError.invalid(
                    f"path == '{scope['path'][:100]}', is none of this server's.",
                    code="unknown_path",
                    status=404,
                )

    def _health(self) -> dict[str, Any]:
        turns = self._turns
        return {
            "status": "ok",
            "running": turns.running,
            "waiting": turns.waiting,
            "loaded": self._shelf.loaded,
        }

    def _models(self) -> dict[str, Any]:
        models = [
            {"id": name, "object": "model", "created": 0, "owned_by": "bakeoff"}
            for name in self._shelf.names
        ]
        return {"object": "list", "data": models}

    async def _complete(self, scope: Scope, receive: Receive, send: Send) -> None:
        _check_headers(dict(scope["headers"]))
        body = await _read_body(receive)
        if body is None:
            return
        request = ChatRequest.parse(body, max_tokens=self._limits.max_tokens)
        await _unless_disconnected(self._answer(request, send), receive)

    async def _answer(self, request: ChatRequest, send: Send) -> None:
        """Generate, within the deadline; an error after the first chunk ends the stream with itself."""
        sender = _Sender(request, send)
        try:
            async with asyncio.timeout(self._limits.seconds):
                await self._generate(request, sender)
                await sender.end()
        except TimeoutError:
            await sender.fail(ApiError.too_slow(self._limits.seconds))
        except ApiError as error:
            await sender.fail(error)

    async def _generate(self, request: ChatRequest, sender: _Sender) -> None:
        async with (
            self._turns.turn(),
            self._shelf.engine(request.model) as engine,
            contextlib.aclosing(chunks_of(engine, request)) as chunks,
        ):
            async for chunk in chunks:
                await sender.add(chunk)


class _Sender:
    """Sends an answer: each chunk as it comes, or all of them as one."""

    def __init__(self, request: ChatRequest, send: Send) -> None:
        self._request, self._send, self._chunks, self._begun = request, send, list[Any](), False

    async def add(self, chunk: dict[str, Any]) -> None:
        """Take a chunk of the engine."""
        if not self._request.streams:
            self._chunks.append(chunk)
        elif usage_of(chunk) is None or self._request.wants_usage:
            await self._send_event(orjson.dumps(chunk))

    async def end(self) -> None:
        """End the answer."""
        if self._request.streams:
            await self._send_event(b"[DONE]")
            await self._send({"type": "http.response.body", "body": b""})
        else:
            await _send_json(self._send, 200, whole_answer(self._chunks))

    async def fail(self, error: ApiError) -> None:
        """Say why there is no answer, or no more of it.

        Raises:
            ApiError: nothing was sent yet, so the response can have its status.
        """
        if not self._begun:
            raise error
        await self._send_event(orjson.dumps(error.body))
        await self._send({"type": "http.response.body", "body": b""})

    async def _send_event(self, data: bytes) -> None:
        if not self._begun:
            self._begun = True
            await _send_start(self._send, 200, b"text/event-stream")
        body = b"data: " + data + b"\n\n"
        await self._send({"type": "http.response.body", "body": body, "more_body": True})


def _check_headers(headers: dict[bytes, bytes]) -> None:
    """Refuse pages: a browser on this machine could be made to ask, by any site that it shows."""
    if b"origin" in headers:
        raise ApiError.invalid("pages of browsers are not served.", code="origin", status=403)
    if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != JSON:
        raise ApiError.invalid("content-type must be application/json.", status=415)


async def _read_body(receive: Receive) -> bytes | None:
    """Return a request's body; None when the client left."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise ApiError.invalid(f"the body must have at most {MAX_BODY_BYTES} bytes.", status=413)
        if not message.get("more_body"):
            return bytes(body)


async def _unless_disconnected(work: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Do some work, and cancel it when the client leaves."""
    task = asyncio.create_task(work)
    left = asyncio.create_task(_wait_for_disconnect(receive))
    try:
        await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    finally:
        task.cancel()
        left.cancel()


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_start(send: Send, status: int, content_type: bytes, *more: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", content_type), (b"cache-control", b"no-store"), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _send_json(
    send: Send, status: int, content: object, *, retry_seconds: int | None = None
) -> None:
    body = orjson.dumps(content)
    more = [(b"content-length", str(len(body)).encode())]
    if retry_seconds is not None:
        more.append((b"retry-after", str(retry_seconds).encode()))
    await _send_start(send, status, JSON, *more)
    await send({"type": "http.response.body", "body": body})
