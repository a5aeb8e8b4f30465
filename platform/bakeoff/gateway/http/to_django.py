"""The way to Django: bodies are read here, so that no thread ever waits for a client.

A thread of Django's takes a request when all of it is here, and gives the answer away at once: a client
that sends or reads a byte now and then holds its own connection and nothing else.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bakeoff.gateway.http.bodies import BULK, FORM, IMAGE, BodyLimits, BodyReader
from bakeoff.paths import is_api

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.asgi_types import Asgi, Message, Receive, Scope, Send

# A client that takes none of an answer for this long is not waited for.
SEND_SECONDS = 30.0
_BODY_HEADERS = frozenset({b"content-length", b"content-encoding", b"transfer-encoding"})
_ASCII = "".join(chr(n) for n in range(128))


class DjangoLane:
    """Hands requests with their whole body to another application."""

    def __init__(self, application: Asgi, services: Mapping[str, Any] | None = None) -> None:
        """Remember who answers.

        Args:
            application: answers.
            services: of the fast lane, which its pages find in the scope by these names.
        """
        self._application, self._services = application, services or {}

    async def answer(
        self, scope: Scope, receive: Receive, send: Send, bodies: BodyReader, *, trusted: bool
    ) -> None:
        """Read the body and have the request answered.

        Args:
            scope: of the request.
            receive: gives its body.
            send: takes the answer.
            bodies: reads the body.
            trusted: whether a key was sent with which a large body may come.

        Raises:
            ApiError: as of `BodyReader.read`.
        """
        body = await bodies.read(scope, receive, _limits(scope["path"], trusted=trusted))
        outgoing = _Outgoing(send)
        # Beside the application: its thread must not wait for a client that reads slowly.
        sending = asyncio.create_task(outgoing.run())
        try:
            with bodies.holding(len(body)):
                await self._application(
                    {**_whole(scope, len(body)), **self._services},
                    _receive_of(body, receive),
                    outgoing.put,
                )
        finally:
            outgoing.end()
            await sending


def _limits(path: str, *, trusted: bool) -> BodyLimits:
    # Forms of pages carry files: they may be larger than what programs send.
    if not is_api(path):
        return FORM
    if trusted and path.startswith("/v1/item-images/"):
        return IMAGE
    return BULK if trusted else BodyLimits()


def _whole(scope: Scope, length: int) -> Scope:
    """Return the scope as of a request whose body came unpacked and at once."""
    headers = [(name, value) for name, value in scope["headers"] if name not in _BODY_HEADERS]
    if length:
        headers.append((b"content-length", str(length).encode()))
    # WSGI wants an address in ASCII.
    query = quote(scope.get("query_string", b""), safe=_ASCII).encode()
    method = scope["method"]
    if method == "HEAD" and is_api(scope["path"]):
        method = "GET"  # the server leaves the body out
    return {**scope, "headers": headers, "query_string": query, "method": method}


def _receive_of(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body at once."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return waiting.pop() if waiting else await receive()

    return give


class _Outgoing:
    """An answer on its way to a client that may be slow: its maker does not wait."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue()

    async def put(self, message: Message) -> None:
        self._messages.put_nowait(message)

    def end(self) -> None:
        self._messages.put_nowait(None)

    async def run(self) -> None:
        while (message := await self._messages.get()) is not None:
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(SEND_SECONDS):
                    await self._send(message)
                continue
            return
