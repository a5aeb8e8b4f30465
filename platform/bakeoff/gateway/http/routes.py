"""The routes of the fast lane as a table: method, path, handler, and what the door does before it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bakeoff.gateway.http.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]
JSON = b"application/json"
KEY = "{key}"  # as the last part of a path, or the one before it: any one part


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler answers when it is more than a body of JSON."""

    status: int
    body: bytes
    headers: Headers
    media_type: bytes = JSON


@dataclass(frozen=True, slots=True)
class EventStream:
    """Server-sent events whose maker is told when the client has left.

    Attributes:
        headers: beside those of every stream.
        parts: events as bytes, one or several at a time.
        abandon: called when the client leaves, or when all was sent; may be called again.
        close: waits until nothing of the stream runs any more.
    """

    headers: Headers
    parts: AsyncIterator[bytes]
    abandon: Callable[[], None]
    close: Callable[[], Awaitable[None]]


Handler = Callable[..., Awaitable["bytes | Answer | EventStream | AsyncIterator[bytes]"]]


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table.

    Attributes:
        method: POST, or GET, which answers HEAD, too.
        path: may end with `{key}`, or have it before its last part.
        handler: takes a `Request`; with a scope a `Call`, and with a body that, too.
        status: of an answer that is just a body.
        scope: that the caller's key must have; empty for a route that needs no key.
        key_in_path: whether the path's last part is the key, as GrowthBook's SDKs send it.
        body: reads the JSON body into what the handler takes.
        rows: name of a list in the body whose entries the handler checks one by one.
        get_by_django: whether GET of the path is the management API's.
        quota: which of the project's monthly quotas its requests are counted by; empty: none.
        error_body: writes errors, of a route whose clients know another shape than ours.
    """

    method: str
    path: str
    handler: Handler
    status: int = 200
    scope: str = ""
    key_in_path: bool = False
    body: Callable[[dict[str, Any]], Any] | None = None
    rows: str = ""
    get_by_django: bool = False
    quota: str = ""
    error_body: Callable[[ApiError], bytes] | None = None

    @property
    def allow(self) -> str:
        """The methods that the path takes, as a 405 names them."""
        reads = ["GET", "HEAD"] if self.method == "GET" or self.get_by_django else []
        writes = [] if self.method == "GET" else [self.method]
        return ", ".join([*reads, *writes, "OPTIONS"])

    def check_method(self, method: str) -> None:
        """Refuse another method.

        Raises:
            ApiError: 405.
        """
        if method == self.method or (method == "HEAD" and self.method == "GET"):
            return
        message = f"method == {method}, must be {self.method}."
        raise ApiError(405, "wrong_method", message, allow=self.allow)


class Router:
    """Finds the route of a path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Index the table by path."""
        self.routes = {route.path: route for route in routes}
        # By what stands before the key: such a path is found by one more look-up.
        self._with_key = {
            path.removesuffix(KEY): route for path, route in self.routes.items() if path.endswith(KEY)
        }

    def find(self, method: str, path: str) -> Route | None:
        """Return the route of a request, or None when another application answers it."""
        route = self.routes.get(path)
        if route is None:
            head, _, last = path.rpartition("/")
            with_key = f"{head.rpartition('/')[0]}/{KEY}/{last}"
            route = self._with_key.get(f"{head}/") or self.routes.get(with_key)
        if route is not None and route.get_by_django and method in {"GET", "HEAD"}:
            return None
        return route
