"""The door of the fast lane: the way of every request to its handler, and of the answer back.

In this order: the route of the path, its method, the caller's key, rate and quota, the body as the
route's request type. A handler is called with what has passed all of these, and whatever it raises
leaves here as the one error shape.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from bakeoff.accounts.keys import SECRET, digest_of, prefix_of
from bakeoff.gateway.http.access import authenticate, key_text, path_key
from bakeoff.gateway.http.bodies import BodyReader
from bakeoff.gateway.http.caller import Caller
from bakeoff.gateway.http.errors import ApiError, of_bounds
from bakeoff.gateway.http.quotas import refuse_used_up
from bakeoff.gateway.http.request import (
    Request,
    no_events,
    send_error,
    send_events,
    send_json,
    send_stream,
)
from bakeoff.gateway.http.routes import Answer, EventStream
from bakeoff.gateway.metrics import count_request
from bakeoff.paths import is_api
from bakeoff.request_trace import OTHER, begin_trace, current_trace
from experiments.bounds import BoundsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bakeoff.asgi_types import Message, Receive, Scope, Send
    from bakeoff.gateway.config.config_watcher import ServingConfigWatcher
    from bakeoff.gateway.config.serving_config import ServingConfig
    from bakeoff.gateway.http.key_use import KeyUse
    from bakeoff.gateway.http.rate_limits import Rates
    from bakeoff.gateway.http.routes import Headers, Route, Router
    from bakeoff.gateway.http.server_spans import ServerSpans
    from bakeoff.gateway.http.text_threads import TextThreads
    from bakeoff.gateway.http.to_django import DjangoLane
    from bakeoff.request_trace import RequestTrace

logger = logging.getLogger(__name__)
# Apart from what goes wrong: for a line per request, set the level of this one.
requests_log = logging.getLogger("bakeoff.requests")
CORS_MAX_AGE = b"600"


class Call(NamedTuple):
    """A request that was let in.

    Attributes:
        request: as it came.
        config: by which it is answered; the next request may see another.
        caller: whose key it carries.
    """

    request: Request
    config: ServingConfig
    caller: Caller


class Door:
    """Lets requests in; one in a process."""

    def __init__(
        self,
        router: Router,
        django: DjangoLane,
        config: ServingConfigWatcher,
        *,
        key_use: KeyUse,
        rates: Rates,
        text_threads: TextThreads,
        spans: ServerSpans | None = None,
    ) -> None:
        """Remember the table and what is asked on the way.

        Args:
            router: the routes of the fast lane.
            django: answers every other path.
            config: knows the keys.
            key_use: notes which keys are used.
            rates: how much a caller may send.
            text_threads: for large bodies.
            spans: trace requests, where an operator wants them.
        """
        self._router, self._django, self._config = router, django, config
        self._key_use, self._rates, self._text_threads = key_use, rates, text_threads
        self._bodies, self._spans = BodyReader(), spans

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, by its handler or with an error."""
        request = Request.of(_without_trailing_slash(scope), receive, self._bodies, self._text_threads)
        route = self._router.find(request.method, request.path)
        trace = begin_trace(scope["headers"], OTHER if route is None else route.path)
        if self._spans is None:
            await self._answer(request, route, send, trace)
            return
        with self._spans.serving(scope, trace):
            await self._answer(request, route, send, trace)

    async def _answer(
        self, request: Request, route: Route | None, send: Send, trace: RequestTrace
    ) -> None:
        headers = _cors(request)
        count = _Counting(trace, request.method)
        write = (route.error_body if route is not None else None) or ApiError.body
        try:
            await self._dispatch(request, route, send, headers, count)
        except (ApiError, BoundsError) as error:
            refusal = error if isinstance(error, ApiError) else of_bounds(error)
            count.answered(refusal.status)
            await send_error(send, refusal, headers, write)
        except Exception:  # the last line: no traceback may leave, and the visitor may try again
            logger.exception("%s failed", request.path)
            failed = ApiError(503, "failed", "The request could not be answered.", retry_after=1)
            count.answered(failed.status)
            headers.append((b"x-request-id", trace.request_id.encode()))  # of its line in the log
            with suppress(RuntimeError):  # the answer had begun: the server cuts it off
                await send_error(send, failed, headers, write)

    async def _dispatch(
        self,
        request: Request,
        route: Route | None,
        send: Send,
        headers: Headers,
        count: _Counting,
    ) -> None:
        """Answer by the route of the path, or let Django answer.

        Raises:
            ApiError: what the client did wrong, or what is away.
            BoundsError: a value that no lane takes.
        """
        request.check_headers()
        if route is None:
            await self._pass_on(request, count.watch(send))
            return
        # Browsers ask without a key, so this comes before the caller is known.
        if request.method == "OPTIONS":
            count.answered(204)
            await _answer_preflight(send, route.method, headers)
            return
        route.check_method(request.method)
        answer = await self._call(route, request)
        count.answered(answer.status if isinstance(answer, Answer) else route.status)
        if isinstance(answer, bytes):
            await send_json(send, route.status, answer, headers)
        elif isinstance(answer, Answer):
            await send_json(
                send, answer.status, answer.body, headers + answer.headers, answer.media_type
            )
        elif isinstance(answer, EventStream):
            await send_stream(request.receive, send, answer, headers)
        else:
            events = no_events() if request.method == "HEAD" else answer
            await send_events(request.receive, send, events, headers)

    async def _call(
        self, route: Route, request: Request
    ) -> bytes | Answer | EventStream | AsyncIterator[bytes]:
        if not route.scope:
            return await route.handler(request)
        call = self._admit(route, request)
        if route.body is None:
            return await route.handler(call)
        return await route.handler(call, route.body(await request.json(rows=route.rows)))

    def _admit(self, route: Route, request: Request) -> Call:
        """Let a caller in by its key.

        Raises:
            ApiError: 401 or 403 for its key, 429 when it sends too much, or a quota is used up.
        """
        config = self._config.current
        token = path_key(request) if route.key_in_path else key_text(request)
        key = authenticate(token, request, config, route.scope)
        if (trace := current_trace()) is not None:
            trace.key, trace.project = prefix_of(token), key.project
        # Also of a request that is refused afterwards: the key is in use.
        self._key_use.note(key.digest)
        caller = Caller.of(request, key, self._rates)
        # A payload is the same for everybody, and a page's SDK reads it once: it is not counted.
        if not route.key_in_path:
            caller.spend(1)
        if route.quota:
            refuse_used_up(config, key, route.quota)
        return Call(request, config, caller)

    async def _pass_on(self, request: Request, send: Send) -> None:
        """Let Django answer; a body may be larger when a secret key comes with it."""
        token = key_text(request)
        key = self._config.current.keys.get(digest_of(token)) if token else None
        trusted = key is not None and key.kind == SECRET and not key.is_expired
        await self._django.answer(request.scope, request.receive, send, self._bodies, trusted=trusted)


class _Counting:
    """Counts one request when its answer begins, once, and writes its line where the log has such."""

    __slots__ = ("_is_open", "_method", "_started", "_trace")

    def __init__(self, trace: RequestTrace, method: str) -> None:
        self._trace, self._method = trace, method
        self._started, self._is_open = time.perf_counter(), True

    def answered(self, status: int) -> None:
        """Note the answer's status; a second one is that of an answer that broke off."""
        if not self._is_open:
            return
        self._is_open, self._trace.status = False, status
        seconds = time.perf_counter() - self._started
        count_request(self._trace.route, status, seconds)
        if requests_log.isEnabledFor(logging.INFO):
            requests_log.info(
                "%s %s %d in %.1f ms", self._method, self._trace.route, status, seconds * 1000
            )

    def watch(self, send: Send) -> Send:
        """Return a `send` that notes the status of what it sends."""

        async def watching(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.answered(message["status"])
            await send(message)

        return watching


def _without_trailing_slash(scope: Scope) -> Scope:
    """Take `/v1/events/` for `/v1/events`: no path of programs ends with a slash."""
    path = str(scope["path"])
    if path.endswith("/") and is_api(path):
        return {**scope, "path": path.rstrip("/")}
    return scope


def _cors(request: Request) -> Headers:
    """Let browsers read the answer; which origins may ask is the key's to say."""
    origin = request.header(b"origin")
    if not origin:
        return []
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (
            b"access-control-expose-headers",
            b"etag, retry-after, x-sse-support, x-bakeoff-generation-id",
        ),
        (b"vary", b"Origin"),
    ]


async def _answer_preflight(send: Send, method: str, headers: Headers) -> None:
    allowed = [
        *headers,
        (b"access-control-allow-methods", method.encode()),
        (
            b"access-control-allow-headers",
            b"authorization, content-type, content-encoding, if-none-match, x-api-key, x-bakeoff-unit, "
            b"ocp-apim-subscription-key, traceparent, tracestate",
        ),
        (b"access-control-max-age", CORS_MAX_AGE),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": allowed})
    await send({"type": "http.response.body", "body": b""})
