"""Connections of web processes: what is no HTTP gets the one error shape, and headers come in time.

uvicorn takes the class of its connections by name (`--http`). Its own answers what it cannot parse in
plain text, waits for ever for the rest of a header, and closes after five idle seconds.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bakeoff.gateway.http.bodies import ARRIVED
from bakeoff.gateway.http.errors import ApiError

if TYPE_CHECKING:
    import asyncio

HEADER_SECONDS = 15.0  # as long as a body may take
# Longer than proxies and clients keep theirs (nginx, HAProxy and load balancers of clouds: up to 60 s).
# Who closes first must be the one who asks: else a request meets a connection that is just closing.
IDLE_SECONDS = 75


class Connection(HttpToolsProtocol):
    """A connection of a client; requests follow one another on it."""

    header_seconds = HEADER_SECONDS
    idle_seconds = IDLE_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Make it; the server calls `connection_made` when the client is there."""
        super().__init__(*arguments, **options)
        self.timeout_keep_alive = self.idle_seconds
        self._in_header = True  # a client that connects and says nothing is late, too
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._await_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._forget_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        super().data_received(data)
        # One timer for all pieces of a header, and none for a header that came in one piece.
        if not self._in_header:
            self._forget_deadline()
        elif self._deadline is None and not self.transport.is_closing():
            self._await_header()

    def on_message_begin(self) -> None:
        """Note the first byte of a request."""
        super().on_message_begin()
        self._in_header = True

    def on_headers_complete(self) -> None:
        """Note the last byte of its header."""
        super().on_headers_complete()
        self._in_header = False

    def on_message_complete(self) -> None:
        """Note that a body is whole; the request is begun only after all that came was read."""
        super().on_message_complete()
        if self.cycle is not None and not self.cycle.more_body:  # an upgrade has no cycle
            self.scope[ARRIVED] = True  # type: ignore[literal-required]  # a key of ours

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed."""
        self._refuse(ApiError(400, "not_http", msg, closes=True))

    def _await_header(self) -> None:
        self._deadline = self.loop.call_later(self.header_seconds, self._end_wait)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end_wait(self) -> None:
        self._deadline = None
        if self.scope is None:  # nothing was asked, so there is nothing to answer
            self.transport.close()
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._await_header()  # the answer to the request before is on its way: not into it
            return
        message = f"The header did not arrive within {self.header_seconds:g} seconds."
        self._refuse(ApiError(408, "header_too_slow", message, closes=True))

    def _refuse(self, error: ApiError) -> None:
        body = error.body()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *error.headers(),
        ]
        lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}".encode()]
        lines += [b"%s: %s" % header for header in headers]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.transport.close()
